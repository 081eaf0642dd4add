/* The command line of knocktap. */
#pragma once

#include "tap/settings.h"

#include <stdbool.h>
#include <stdint.h>

/* What is to be done. */
struct command_line {
	struct settings settings;
	uint32_t given;	     /* the settings that come from the command line, one bit each */
	const char *name;    /* of the profile, and of the host unless the profile says otherwise */
	const char *profile; /* the file with the profiles; NULL: the usual one */
	bool verbose;
	bool relays; /* -W */
	char relay_host[SETTINGS_HOST_MAX + 1];
	uint16_t relay_port;
};

enum options_result { OPTIONS_GO, OPTIONS_DONE, OPTIONS_WRONG };

/* Prints what is wrong, or what was asked for with --help or --version. */
enum options_result options_parse(int argc, char *argv[], struct command_line *ret);

/* Whether every option of the command line has something to do, now that the profiles have been
 * read too. Prints which one has not. */
bool options_have_use(const struct command_line *command_line);
