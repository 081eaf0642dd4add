/* The commands of a section of knockd.conf. */
#pragma once

struct section_import;

/* 0 or -ENOMEM. */
int section_put_opening(struct section_import *section);
