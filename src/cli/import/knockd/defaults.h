/* What starts knockd: the variable KNOCKD_OPTS of /etc/default/knockd. */
#pragma once

#include <net/if.h>

struct knockd_defaults {
	const char *path;	     /* of the file */
	char interface[IF_NAMESIZE]; /* "": none is given */
	unsigned line;		     /* where */
};

/* Reads the lines of a shell that set variables. */
void knockd_defaults_parse(const char *path, const char *text, struct knockd_defaults *ret);
