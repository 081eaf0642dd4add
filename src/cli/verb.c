#include "cli/verb.h"

#include <stdio.h>
#include <unistd.h>

#include "cli/common/output.h"

enum status verb_help(const struct verb *verb)
{
	output_put(verb->help);
	return STATUS_OK;
}

enum status verb_misused(const struct verb *verb)
{
	fprintf(stderr, "Try 'knocktail %s --help'.\n", verb->name);
	return STATUS_USAGE;
}

enum status verb_check_end(const struct verb *verb, int argc, char *argv[])
{
	if (optind >= argc)
		return STATUS_OK;
	fprintf(stderr, "knocktail %s: unexpected argument '%s'\n", verb->name, argv[optind]);
	return verb_misused(verb);
}
