/* Processes, seen without asking them. */
#pragma once

#include <stdbool.h>

enum { PROCESS_PID_SIZE = 16 };

/* Whether one of this name runs, which the kernel has cut to 15 bytes. True: *ret_pid is the first.
 */
bool process_find(const char *name, char ret_pid[static PROCESS_PID_SIZE]);

/* Whether any could be seen. */
bool processes_are_seen(void);
