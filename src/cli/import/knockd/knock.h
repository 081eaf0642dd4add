/* The knock of a section of knockd.conf: its sequence, and what counts as a probe. */
#pragma once

struct section_import;

void section_put_knock(struct section_import *section);
