#include "util/netns-log.h"

#include <dirent.h>
#include <fcntl.h>
#include <pthread.h>
#include <sched.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include "util/cleanup.h"

/* The second is there in every network namespace. */
static const char all_netns[] = "/proc/sys/net/netfilter/nf_log_all_netns";
static const char loggers[] = "/proc/sys/net/netfilter/nf_log";

enum netns_log netns_log_read(void)
{
	CLEANUP(cleanup_fclose) FILE *file = fopen(all_netns, "re");
	int c = file ? getc(file) : EOF;

	if (c != EOF)
		return c == '0' ? NETNS_LOG_FIRST : NETNS_LOG_ALL;
	return !file && access(all_netns, F_OK) < 0 && access(loggers, F_OK) == 0
		       ? NETNS_LOG_NOT_FIRST
		       : NETNS_LOG_UNKNOWN;
}

/* Enters the process's namespace, unless it is the same as that of the one before: most are. */
static enum netns_log read_of(const char *pid, ino_t *last)
{
	char path[64];
	CLEANUP(cleanup_close) int fd = -1;
	struct stat status;

	snprintf(path, sizeof path, "/proc/%.20s/ns/net", pid);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0 || fstat(fd, &status) < 0 || status.st_ino == *last)
		return NETNS_LOG_UNKNOWN;
	*last = status.st_ino;
	return setns(fd, CLONE_NEWNET) == 0 ? netns_log_read() : NETNS_LOG_UNKNOWN;
}

/* A thread enters a namespace alone. */
static void *find_first(void *ret)
{
	CLEANUP(cleanup_closedir) DIR *processes = opendir("/proc");
	enum netns_log *found = ret;
	const struct dirent *entry;
	ino_t last = 0;

	while (processes && (entry = readdir(processes))) {
		if (entry->d_name[0] < '0' || entry->d_name[0] > '9')
			continue;
		*found = read_of(entry->d_name, &last);
		if (*found == NETNS_LOG_FIRST || *found == NETNS_LOG_ALL)
			return NULL;
	}
	*found = NETNS_LOG_UNKNOWN;
	return NULL;
}

enum netns_log netns_log_read_of_first(void)
{
	enum netns_log found = NETNS_LOG_UNKNOWN;
	pthread_t thread;

	if (pthread_create(&thread, NULL, find_first, &found) == 0)
		pthread_join(thread, NULL);
	return found;
}
