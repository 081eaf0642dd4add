/* Asks the programs of both firewalls what is loaded. */
#include "ruleset/load.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "ruleset/iptables/iptables.h"
#include "ruleset/nft/listing.h"
#include "ruleset/nft/nft.h"
#include "ruleset/nft/owner.h"
#include "ruleset/ruleset.h"
#include "util/cleanup.h"
#include "util/program.h"
#include "util/programs.h"

static const char *const programs[N_FAMILIES] = {PROGRAM_IPTABLES_SAVE, PROGRAM_IP6TABLES_SAVE};
static const char *const nft_programs[N_FAMILIES] = {PROGRAM_IPTABLES_NFT_SAVE,
						     PROGRAM_IP6TABLES_NFT_SAVE};
static const char *const legacy_programs[N_FAMILIES] = {PROGRAM_IPTABLES_LEGACY_SAVE,
							PROGRAM_IP6TABLES_LEGACY_SAVE};
static const char *const legacy_lists[N_FAMILIES] = {"/proc/net/ip_tables_names",
						     "/proc/net/ip6_tables_names"};
static const char *const names[N_FAMILIES] = {"iptables", "ip6tables"};
static const char *const legacy_names[N_FAMILIES] = {"iptables-legacy", "ip6tables-legacy"};

/* Runs a program that prints a ruleset. 0; -ENOENT: there is no such program. */
static int program_print(const char *const argv[], char **ret, char *problem)
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
	CLEANUP(cleanup_fclose) FILE *file = fopen(legacy_lists[family], "re");
	char line[64];

	return file && fgets(line, sizeof line, file);
}

/* What the program prints, if that is of the kind that is asked for: the old one, or nft's. */
static int add_saved(struct ruleset *ruleset, enum family family, const char *program,
		     const char *name, bool legacy, const char *ipsets, char *problem)
{
	char *text CLEANUP(cleanup_free) = NULL;
	int r = program_print((const char *const[]){program, NULL}, &text, problem);

	if (r < 0)
		return r == -ENOENT ? 0 : r;
	if (strstr(text, "*") && !strstr(text, "(nf_tables)") != legacy)
		return 0;
	return ruleset_add_iptables(ruleset, family, name, text, ipsets);
}

/* The program's usual name may stand for either kind. */
static const char *program_choose(const char *program, enum family family)
{
	return access(program, X_OK) == 0 ? program : programs[family];
}

/* Both kinds may be in use. */
static int add_iptables(struct ruleset *ruleset, enum family family, bool is_foreign,
			const char *ipsets, char *problem)
{
	int r = 0;

	if (!is_foreign)
		r = add_saved(ruleset, family, program_choose(nft_programs[family], family),
			      names[family], false, ipsets, problem);
	if (r == 0 && has_legacy(family))
		r = add_saved(ruleset, family, program_choose(legacy_programs[family], family),
			      legacy_names[family], true, ipsets, problem);
	return r;
}

/* Whether one of the tables that iptables has is nft's. */
static bool load_is_foreign(const char *json, enum family family)
{
	for (size_t i = 0; i < N_IPTABLES_TABLES; i++)
		if (ruleset_is_foreign(json, family == FAMILY_IPV6 ? "ip6" : "ip",
				       ruleset_iptables_tables[i].name))
			return true;
	return false;
}

int ruleset_read(struct ruleset *ret, char problem[static RULESET_PROBLEM_MAX])
{
	static const char *const nft[] = {PROGRAM_NFT, "-j", "list", "ruleset", NULL};
	struct ruleset ruleset CLEANUP(ruleset_done) = {0};
	static const char *const terse[] = {PROGRAM_NFT, "-a", "-t", "list", "ruleset", NULL};
	static const char *const ipset[] = {PROGRAM_IPSET, "save", NULL};
	char *json CLEANUP(cleanup_free) = NULL, *ipsets CLEANUP(cleanup_free) = NULL,
		   *listing CLEANUP(cleanup_free) = NULL;
	char ignored[PROGRAM_PROBLEM_MAX];
	bool skip[N_FAMILIES];
	int r;

	problem[0] = '\0';
	r = program_print(nft, &json, problem);
	if (r < 0 && r != -ENOENT)
		return r;
	/* Whoever has no sets needs no program for them. */
	if (program_run(ipset, NULL, &ipsets, ignored) < 0)
		ipsets = NULL;
	for (enum family family = 0; family < N_FAMILIES; family++) {
		skip[family] = access(program_choose(nft_programs[family], family), X_OK) == 0 &&
			       !(json && load_is_foreign(json, family));
		r = add_iptables(&ruleset, family, !skip[family], ipsets, problem);
		if (r < 0)
			return r;
	}
	r = json ? ruleset_add_nft(&ruleset, json, skip) : 0;
	if (r == 0 && json && program_run(terse, NULL, &listing, ignored) == 0)
		r = ruleset_name_nft(&ruleset, listing);
	if (r < 0)
		return r;
	*ret = ruleset;
	ruleset = (struct ruleset){0};
	return 0;
}
