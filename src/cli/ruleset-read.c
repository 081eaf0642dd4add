/* Asks the programs of both firewalls what is loaded. */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "cli/program.h"
#include "cli/ruleset.h"
#include "util/cleanup.h"

static const char *const programs[N_FAMILIES] = {"/usr/sbin/iptables-save",
						 "/usr/sbin/ip6tables-save"};
static const char *const legacy_programs[N_FAMILIES] = {"/usr/sbin/iptables-legacy-save",
							"/usr/sbin/ip6tables-legacy-save"};
static const char *const legacy_names[N_FAMILIES] = {"/proc/net/ip_tables_names",
						     "/proc/net/ip6_tables_names"};
static const char *const names[N_FAMILIES] = {"iptables", "ip6tables"};

/* Runs a program that prints a ruleset. 0; -ENOENT: there is no such program. */
static int print(const char *const argv[], char **ret, char *problem)
{
	int r;

	if (access(argv[0], X_OK) < 0)
		return -ENOENT;
	r = program_run(argv, NULL, ret, problem);
	return r > 0 ? -EIO : r;
}

/* Whether the old kind of tables is in use: asking its program would make it so. */
static bool has_legacy(enum family family)
{
	CLEANUP(cleanup_fclose) FILE *file = fopen(legacy_names[family], "re");
	char line[64];

	while (file && fgets(line, sizeof line, file))
		if (strcmp(line, "filter\n") == 0)
			return true;
	return false;
}

static int add_iptables(struct ruleset *ruleset, enum family family, bool *ret_is_nft,
			char *problem)
{
	char *text CLEANUP(cleanup_free) = NULL;
	int r = print((const char *const[]){programs[family], NULL}, &text, problem);
	bool is_legacy;

	*ret_is_nft = false;
	if (r < 0)
		return r == -ENOENT ? 0 : r;
	is_legacy = !strstr(text, "(nf_tables)");
	*ret_is_nft = !is_legacy && strstr(text, "*filter\n");
	if (*ret_is_nft || is_legacy)
		r = ruleset_add_iptables(ruleset, family, names[family], text);
	return r;
}

static int add_legacy(struct ruleset *ruleset, enum family family, bool is_nft, char *problem)
{
	char *text CLEANUP(cleanup_free) = NULL;
	int r;

	if (!is_nft || !has_legacy(family))
		return 0;
	r = print((const char *const[]){legacy_programs[family], NULL}, &text, problem);
	if (r < 0)
		return r == -ENOENT ? 0 : r;
	return ruleset_add_iptables(ruleset, family, "iptables-legacy", text);
}

int ruleset_read(struct ruleset *ret, char problem[static RULESET_PROBLEM_MAX])
{
	static const char *const nft[] = {"/usr/sbin/nft", "-j", "list", "ruleset", NULL};
	struct ruleset ruleset CLEANUP(ruleset_done) = {0};
	char *text CLEANUP(cleanup_free) = NULL;
	bool is_nft[N_FAMILIES];
	int r = 0;

	problem[0] = '\0';
	for (enum family family = 0; r == 0 && family < N_FAMILIES; family++) {
		r = add_iptables(&ruleset, family, &is_nft[family], problem);
		if (r == 0)
			r = add_legacy(&ruleset, family, is_nft[family], problem);
	}
	if (r == 0)
		r = print(nft, &text, problem);
	if (r == 0)
		r = ruleset_add_nft(&ruleset, text, is_nft);
	else if (r == -ENOENT)
		r = 0;
	if (r < 0)
		return r;
	*ret = ruleset;
	ruleset = (struct ruleset){0};
	return 0;
}
