/* Trust: is there anything on this machine that undermines what the daemon believes? */
#pragma once

/* Warns, once, in the log. */
void nf_log_check(void);
