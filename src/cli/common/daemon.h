/* Whether the daemon runs, seen without asking it. */
#pragma once

#include <stdbool.h>

enum { DAEMON_PID_SIZE = 16 };

/* True: *ret_pid is its process. */
bool daemon_find(char ret_pid[static DAEMON_PID_SIZE]);
