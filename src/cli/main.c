/* knocktail: finds the verb and runs it. */
#include <stdio.h>
#include <string.h>

#include "cli/verb.h"
#include "config/text.h"

/* One a line, in the order of the help. */
static const struct verb *const verbs[] = {
	&verb_setup, &verb_check,  &verb_status, &verb_list,  &verb_watch,   &verb_open,
	&verb_close, &verb_reload, &verb_replay, &verb_audit, &verb_metrics, &verb_doctor,
	&verb_rules, &verb_import, &verb_keygen, &verb_keys,  &verb_page,    &verb_fleet,
};

enum { N_VERBS = sizeof verbs / sizeof verbs[0] };

static void print_help(FILE *file)
{
	fputs("Usage: knocktail VERB [OPTIONS]\n"
	      "       knocktail help VERB\n\n",
	      file);
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

/* Which one may have been meant; NULL: who knows. */
static const struct verb *guess_verb(const char *name)
{
	const struct verb *best = NULL;
	unsigned least = 3;

	for (size_t i = 0; i < N_VERBS; i++) {
		unsigned distance = text_distance(verbs[i]->name, name);

		if (distance < least && distance < strlen(verbs[i]->name) - 1) {
			least = distance;
			best = verbs[i];
		}
	}
	return best;
}

static enum status refuse_verb(const char *name)
{
	const struct verb *guess = guess_verb(name);

	fprintf(stderr, "knocktail: there is no verb '%s'", name);
	if (guess)
		fprintf(stderr, ": did you mean '%s'?", guess->name);
	fputs("\nTry 'knocktail --help'.\n", stderr);
	return STATUS_USAGE;
}

static enum status help_with(const char *name)
{
	const struct verb *verb = find_verb(name);

	return verb ? verb_help(verb) : refuse_verb(name);
}

static bool is_option(const char *argument, const char *letter, const char *name)
{
	return strcmp(argument, letter) == 0 || strcmp(argument, name) == 0;
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
	if (strcmp(argv[1], "help") == 0 && argc == 3)
		return finish_output(help_with(argv[2]));
	if (is_option(argv[1], "-h", "--help") || strcmp(argv[1], "help") == 0) {
		print_help(stdout);
		return finish_output(STATUS_OK);
	}
	if (is_option(argv[1], "-V", "--version")) {
		puts("knocktail " PACKAGE_VERSION "\nbuilt with " BUILT_WITH);
		return finish_output(STATUS_OK);
	}
	verb = find_verb(argv[1]);
	if (!verb)
		return refuse_verb(argv[1]);
	snprintf(name, sizeof name, "knocktail %s", verb->name);
	argv[1] = name;
	return finish_output(verb->run(argc - 1, argv + 1));
}
