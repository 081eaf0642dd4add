/* The sweep: what --sweep does after a daemon has died. */
#pragma once

/* Closes what is saved under `runtime_directory` and the kernel will not end by itself. 0 when
 * that is done, or a negative errno after a line in the log. */
int sweep_run(const char *runtime_directory);
