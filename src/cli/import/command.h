/* Commands of knockd.conf, which a shell runs, as commands of knocktail.conf(5), which no shell
 * runs. */
#pragma once

#include <stdbool.h>

struct step;

enum import_way {
	IMPORT_PLAIN,	 /* the same words */
	IMPORT_ABSOLUTE, /* the same words, the program with its path */
	IMPORT_SHELL,	 /* /bin/sh -c, because it needs one */
};

/* The command as the value of a key of knocktail.conf(5), quoted if it has to be. 0; -ENOTSUP: no
 * value can hold it; -ENOMEM. The value is the caller's to free. */
int import_command(const char *text, char **ret_value, enum import_way *ret_way);

/* Whether the command adds an iptables rule to INPUT that accepts one port from the address of
 * whoever knocked, and nothing else. */
bool import_accepts(const char *text, struct step *ret_port);

/* Whether the second command takes out the iptables rule that the first one adds. */
bool import_undoes(const char *text, const char *undo);

/* Whether the command runs iptables for IPv4. */
bool import_is_ipv4(const char *text);
