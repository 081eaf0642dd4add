#include "cli/common/daemon.h"

#include <ctype.h>
#include <dirent.h>
#include <stdio.h>
#include <string.h>

#include "util/cleanup.h"

static bool is_daemon(const char *pid)
{
	CLEANUP(cleanup_fclose) FILE *file = NULL;
	char *path CLEANUP(cleanup_free) = NULL, name[32] = "";

	if (asprintf(&path, "/proc/%s/comm", pid) < 0) {
		path = NULL;
		return false;
	}
	file = fopen(path, "re");
	return file && fgets(name, sizeof name, file) && strcmp(name, "knocktaild\n") == 0;
}

bool daemon_find(char ret_pid[static DAEMON_PID_SIZE])
{
	CLEANUP(cleanup_closedir) DIR *processes = opendir("/proc");
	const struct dirent *entry;

	while (processes && (entry = readdir(processes)))
		if (isdigit((unsigned char)entry->d_name[0]) && is_daemon(entry->d_name)) {
			snprintf(ret_pid, DAEMON_PID_SIZE, "%.15s", entry->d_name);
			return true;
		}
	return false;
}
