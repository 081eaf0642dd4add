#include "firewall/iptables/child.h"

#include <errno.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>

#include "firewall/backend.h"
#include "util/children.h"
#include "util/cleanup.h"

enum { LISTING_MAX = 64 << 20 };

static const struct family_programs {
	const char *name, *list, *restore;
} programs[N_FAMILIES] = {
	{"iptables", "/usr/sbin/iptables", "/usr/sbin/iptables-restore"},
	{"ip6tables", "/usr/sbin/ip6tables", "/usr/sbin/ip6tables-restore"},
};

const char *iptables_name(enum family family)
{
	return programs[family].name;
}

/* A file for a child to read from its beginning, or to write to. */
static int child_make_file(const char *text)
{
	CLEANUP(cleanup_close) int fd = memfd_create("knocktail-iptables", MFD_CLOEXEC);
	size_t length = strlen(text), done = 0;
	int r;

	if (fd < 0)
		return -errno;
	while (done < length) {
		ssize_t n = pwrite(fd, text + done, length - done, (off_t)done);

		if (n < 0)
			return -errno;
		done += (size_t)n;
	}
	r = fd;
	fd = -1;
	return r;
}

static int child_fail(char problem[static PROBLEM_MAX], const char *program, int error)
{
	snprintf(problem, PROBLEM_MAX, "cannot run %s: %s", program, strerror(-error));
	return error == -ENOENT ? -EIO : error;
}

int iptables_start_list(struct children *children, enum family family, const char *option,
			const char *chain, void *owner, char problem[static PROBLEM_MAX],
			int *ret_fd)
{
	const char *program = programs[family].list;
	char *argv[] = {(char *)program, (char *)"-w",	(char *)"5",
			(char *)option,	 (char *)chain, NULL};
	CLEANUP(cleanup_close) int output = child_make_file("");
	int r = output;

	if (output >= 0)
		r = children_spawn_files(children, argv, &(struct child_files){-1, output},
					 UINT64_MAX, owner);
	if (r < 0)
		return child_fail(problem, program, r);
	*ret_fd = output;
	output = -1;
	return FIREWALL_PENDING;
}

int iptables_start_restore(struct children *children, enum family family, const char *option,
			   const char *text, void *owner, char problem[static PROBLEM_MAX])
{
	const char *program = programs[family].restore;
	char *argv[] = {(char *)program,     (char *)"-w",   (char *)"5",
			(char *)"--noflush", (char *)option, NULL};
	CLEANUP(cleanup_close) int input = child_make_file(text);
	int r = input;

	if (input >= 0)
		r = children_spawn_files(children, argv, &(struct child_files){input, -1},
					 UINT64_MAX, owner);
	return r < 0 ? child_fail(problem, program, r) : FIREWALL_PENDING;
}

int iptables_read_list(int fd, char **ret)
{
	CLEANUP(cleanup_free) char *text = NULL;
	struct stat status;
	size_t size;

	if (fstat(fd, &status) < 0)
		return -errno;
	if (status.st_size > LISTING_MAX)
		return -EFBIG;
	size = (size_t)status.st_size;
	text = calloc(1, size + 1);
	if (!text)
		return -ENOMEM;
	if (pread(fd, text, size, 0) != status.st_size || size == 0 || text[size - 1] != '\n')
		return -EIO;
	*ret = TAKE_PTR(text);
	return 0;
}

bool iptables_says_absent(const char *problem)
{
	return strstr(problem, "exited with status 1: ") &&
	       (strstr(problem, "No chain/target/match by that name.") ||
		strstr(problem, "is incompatible, use 'nft' tool."));
}
