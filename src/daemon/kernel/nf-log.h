/* A setting of this machine that lets others forge what the daemon believes. */
#pragma once

/* Warns, once, in the log. */
void nf_log_check(void);
