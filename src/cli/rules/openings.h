/* The doors that open for knocks, as the daemon reports them in the journal. */
#pragma once

#include <systemd/sd-journal.h>

/* Follows what is reported from now on. 0 or a negative errno. */
int openings_follow(sd_journal **ret);

/* The next one, in the daemon's words, to be freed; NULL: there is none so far. Does not wait. 0 or
 * a negative errno. */
int openings_next(sd_journal *journal, char **ret_message);
