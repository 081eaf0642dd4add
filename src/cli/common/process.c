#include "cli/common/process.h"

#include <ctype.h>
#include <dirent.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "util/cleanup.h"

static bool process_is(const char *pid, const char *wanted)
{
	CLEANUP(cleanup_fclose) FILE *file = NULL;
	char *path CLEANUP(cleanup_free) = NULL, name[32] = "";

	if (asprintf(&path, "/proc/%s/comm", pid) < 0) {
		path = NULL;
		return false;
	}
	file = fopen(path, "re");
	if (!file || !fgets(name, sizeof name, file))
		return false;
	name[strcspn(name, "\n")] = '\0';
	return strcmp(name, wanted) == 0;
}

bool process_find(const char *name, char ret_pid[static PROCESS_PID_SIZE])
{
	CLEANUP(cleanup_closedir) DIR *processes = opendir("/proc");
	const struct dirent *entry;

	while (processes && (entry = readdir(processes)))
		if (isdigit((unsigned char)entry->d_name[0]) && process_is(entry->d_name, name)) {
			snprintf(ret_pid, PROCESS_PID_SIZE, "%.15s", entry->d_name);
			return true;
		}
	return false;
}

bool processes_are_seen(void)
{
	return access("/proc/self/comm", R_OK) == 0;
}
