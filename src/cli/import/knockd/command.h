/* Commands of knockd.conf, which a shell runs, as commands of knocktail.conf(5), which no shell
 * runs. */
#pragma once

enum import_way {
	IMPORT_PLAIN,	 /* the same words */
	IMPORT_ABSOLUTE, /* the same words, the program with its path */
	IMPORT_SHELL,	 /* /bin/sh -c, because it needs one */
	IMPORT_MISSING,	 /* /bin/sh -c, because the program is not where it could be found here */
};

/* The command as the value of a key of knocktail.conf(5), quoted if it has to be. 0, or -ENOTSUP:
 * no value can hold it. The value is the caller's to free. */
int import_command(const char *text, char **ret_value, enum import_way *ret_way);
