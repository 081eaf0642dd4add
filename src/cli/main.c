/* knocktail: finds the verb and runs it. */
#include <stdio.h>
#include <string.h>

#include "cli/verb.h"

/* One a line, in the order of the help. */
static const struct verb *const verbs[] = {
	&verb_check,  &verb_status, &verb_list,	  &verb_watch,	&verb_open,
	&verb_close,  &verb_reload, &verb_replay, &verb_audit,	&verb_metrics,
	&verb_doctor, &verb_rules,  &verb_import, &verb_keygen, &verb_keys,
};

enum { N_VERBS = sizeof verbs / sizeof verbs[0] };

static void print_help(FILE *file)
{
	fputs("Usage: knocktail VERB [OPTIONS]\n\n", file);
	for (size_t i = 0; i < N_VERBS; i++)
		fprintf(file, "  %-8s  %s\n", verbs[i]->name, verbs[i]->summary);
	fputs("\n"
	      "  -h, --help     print this; after a verb, print its options\n"
	      "  -V, --version  print the version\n"
	      "\n"
	      "See knocktail(1).\n",
	      file);
}

static const struct verb *find_verb(const char *name)
{
	for (size_t i = 0; i < N_VERBS; i++)
		if (strcmp(verbs[i]->name, name) == 0)
			return verbs[i];
	return NULL;
}

/* A full disk or a closed pipe under the output is a failure, too. */
static int finish_output(enum status status)
{
	if (fflush(stdout) != 0 || ferror(stdout)) {
		perror("knocktail: cannot write the output");
		return status == STATUS_OK ? STATUS_FAILED : status;
	}
	return status;
}

int main(int argc, char *argv[])
{
	const struct verb *verb;
	char name[32];

	if (argc < 2) {
		print_help(stderr);
		return STATUS_USAGE;
	}
	if (strcmp(argv[1], "-h") == 0 || strcmp(argv[1], "--help") == 0) {
		print_help(stdout);
		return finish_output(STATUS_OK);
	}
	if (strcmp(argv[1], "-V") == 0 || strcmp(argv[1], "--version") == 0) {
		puts("knocktail " PACKAGE_VERSION);
		return finish_output(STATUS_OK);
	}
	verb = find_verb(argv[1]);
	if (!verb) {
		fprintf(stderr, "knocktail: no verb '%s'\nTry 'knocktail --help'.\n", argv[1]);
		return STATUS_USAGE;
	}
	snprintf(name, sizeof name, "knocktail %s", verb->name);
	argv[1] = name;
	return finish_output(verb->run(argc - 1, argv + 1));
}
