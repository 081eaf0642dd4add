#include "firewall/iptables/child.h"

#include <errno.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "firewall/backend.h"
#include "util/children.h"
#include "util/cleanup.h"
#include "util/file.h"
#include "util/programs.h"

enum { LISTING_MAX = 64 << 20 };

static const struct family_programs {
	const char *name, *list, *restore;
} programs[N_FAMILIES] = {
	{"iptables", PROGRAM_IPTABLES, PROGRAM_IPTABLES_RESTORE},
	{"ip6tables", PROGRAM_IP6TABLES, PROGRAM_IP6TABLES_RESTORE},
};

const char *iptables_name(enum family family)
{
	return programs[family].name;
}

static int child_fail(char problem[static PROBLEM_MAX], const char *program, int error)
{
	snprintf(problem, PROBLEM_MAX, "cannot run %s: %s", program, strerror(-error));
	return error == -ENOENT ? -EIO : error;
}

int iptables_start_list(struct children *children, enum family family, const char *table,
			const char *option, const char *chain, void *owner,
			char problem[static PROBLEM_MAX], int *ret_fd)
{
	const char *program = programs[family].list;
	char *argv[] = {(char *)program, (char *)"-w",	 (char *)"5",	(char *)"-t",
			(char *)table,	 (char *)option, (char *)chain, NULL};
	CLEANUP(cleanup_close) int output = children_file(NULL);
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
	CLEANUP(cleanup_close) int input = children_file(text);
	int r = input;

	if (input >= 0)
		r = children_spawn_files(children, argv, &(struct child_files){input, -1},
					 UINT64_MAX, owner);
	return r < 0 ? child_fail(problem, program, r) : FIREWALL_PENDING;
}

int iptables_read_list(int fd, char **ret)
{
	CLEANUP(cleanup_free) char *text = NULL;
	size_t size;
	int r;

	if (lseek(fd, 0, SEEK_SET) < 0)
		return -errno;
	r = file_read(fd, LISTING_MAX, &text, &size);
	if (r < 0)
		return r;
	if (size == 0 || text[size - 1] != '\n')
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
