/* MUST: what is taken out must not leave the machine shut for good: INPUT's policy was made DROP by
 * the rules that accept the connection of whoever removes them. */
#include "cli/rules/unload.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cli/common/boot-paths.h"
#include "cli/rules/forward.h"
#include "config/config.h"
#include "util/cleanup.h"
#include "util/program.h"
#include "util/programs.h"
#include "util/text/stream.h"

static const char *const family_save[N_FAMILIES] = {PROGRAM_IPTABLES_SAVE, PROGRAM_IP6TABLES_SAVE};
static const char *const family_restore[N_FAMILIES] = {PROGRAM_IPTABLES_RESTORE,
						       PROGRAM_IP6TABLES_RESTORE};
static const char *const family_words[N_FAMILIES] = {"IPv4", "IPv6"};

/* How many lines of the text begin with this. */
static size_t count_lines(const char *text, const char *begin)
{
	size_t n = 0;

	for (const char *line = text; line && *line;
	     line += strcspn(line, "\n"), line += *line == '\n')
		n += strncmp(line, begin, strlen(begin)) == 0;
	return n;
}

/* iptables, ipset */

static bool has_chain(const char *table, const char *chain)
{
	char begin[96];

	snprintf(begin, sizeof begin, ":%s ", chain);
	return count_lines(table, begin) > 0;
}

/* How often a rule of any chain leads there. */
static size_t count_jumps(const char *table, const char *chain)
{
	char jump[96];
	size_t n = 0, length;

	snprintf(jump, sizeof jump, " -j %s", chain);
	length = strlen(jump);
	for (const char *at = table; (at = strstr(at, jump)); at += length)
		n += at[length] == '\n' || at[length] == ' ';
	return n;
}

/* The rules that lead to a chain go with the chain that they are in, and no other may. */
static void put_chain(const char *table, const char *chain, size_t n_own, enum family family,
		      struct removal *removal, FILE *file)
{
	if (!has_chain(table, chain))
		return;
	if (count_jumps(table, chain) > n_own)
		removal_left(removal, "%s, the chain %s: other rules lead there",
			     family_words[family], chain);
	else
		fprintf(file, "-F %s\n-X %s\n", chain, chain);
}

static void put_door_chains(const struct config *config, const char *table, size_t n_own,
			    enum family family, struct removal *removal, FILE *file)
{
	for (size_t i = 0; i < config->n_doors; i++) {
		bool is_first = config->doors[i].opening.backend == BACKEND_IPTABLES;
		char jump[96];

		for (size_t j = 0; j < i && is_first; j++)
			is_first = !config->doors[j].opening.chain ||
				   strcmp(config->doors[j].opening.chain,
					  config->doors[i].opening.chain) != 0;
		if (!is_first)
			continue;
		/* What is sent on passes by Docker's chain, too. */
		snprintf(jump, sizeof jump, "-A " PLAN_IPTABLES_DOCKER " -j %s\n",
			 config->doors[i].opening.chain);
		put_chain(table, config->doors[i].opening.chain, n_own + count_lines(table, jump),
			  family, removal, file);
	}
}

/* Those of a table, with the jumps there that are ours. */
static void put_jumped_chains(const char *table, const char *name, enum family family,
			      struct removal *removal, FILE *file)
{
	for (const struct forward_jump *jump = forward_jumps; jump->to; jump++) {
		char line[96];
		size_t n_jumps;

		if (strcmp(jump->table, name) != 0)
			continue;
		snprintf(line, sizeof line, "-A %s -j %s\n", jump->from, jump->to);
		n_jumps = count_lines(table, line);
		for (size_t i = 0; i < n_jumps; i++)
			fprintf(file, "-D %s -j %s\n", jump->from, jump->to);
		put_chain(table, jump->to, n_jumps, family, removal, file);
	}
}

/* Where there is no Docker, its chain is the one that --apply has made, unless others use it. */
static void put_docker_user(const char *table, FILE *file)
{
	size_t n_jumps = count_lines(table, "-A FORWARD -j " DOCKER_USER "\n");

	if (!has_chain(table, PLAN_IPTABLES_DOCKER) || has_chain(table, "DOCKER") ||
	    count_jumps(table, DOCKER_USER) > n_jumps ||
	    count_lines(table, "-A " DOCKER_USER " ") >
		    count_lines(table, "-A " DOCKER_USER " -j " PLAN_IPTABLES_DOCKER "\n"))
		return;
	for (size_t i = 0; i < n_jumps; i++)
		fputs("-D FORWARD -j " DOCKER_USER "\n", file);
	fputs("-X " DOCKER_USER "\n", file);
}

/* What is taken out of a table, and by what it is known that something of ours is in it. */
struct own_part {
	const char *sign; /* a chain */
	const char *head;
	const char *jumped;	  /* the table whose jumps are ours; NULL: none is left */
	const char *log;	  /* a chain that logs, or NULL */
	size_t n_log, n_to_doors; /* how many rules of ours lead there, and to a door's chain */
};

static const struct own_part own_nat = {PLAN_IPTABLES_NAT, "*nat\n", "nat", NULL, 0, 1};
static const struct own_part own_filter = {PLAN_IPTABLES_INPUT,
					   "*filter\n:INPUT ACCEPT [0:0]\n",
					   "filter",
					   PLAN_IPTABLES_LOG,
					   SIZE_MAX,
					   1};
/* ufw has flushed what leads there. */
static const struct own_part own_ufw = {PLAN_UFW_LOG, "*filter\n", NULL, PLAN_UFW_LOG, 0, 0};

/* What takes our chains out of the table, to be freed; NULL: there is nothing of ours in it, or
 * that has failed. */
static char *part_removal(const struct own_part *own, const struct config *config,
			  const char *table, enum family family, struct removal *removal)
{
	char *text = NULL;
	FILE *file;

	if (!has_chain(table, own->sign))
		return NULL;
	file = text_stream_open(&text, NULL);
	if (!file) {
		removal_failed(removal, "%s", strerror(ENOMEM));
		return NULL;
	}
	fputs(own->head, file);
	if (own->jumped)
		put_jumped_chains(table, own->jumped, family, removal, file);
	put_docker_user(table, file);
	if (own->log)
		put_chain(table, own->log, own->n_log, family, removal, file);
	put_door_chains(config, table, own->n_to_doors, family, removal, file);
	fputs("COMMIT\n", file);
	if (fclose(file) != 0)
		removal_failed(removal, "%s", strerror(ENOMEM));
	return text;
}

/* What the program tells of a table, to be freed; NULL: it is not there, or that has failed. */
static char *read_table(const char *const argv[], struct removal *removal)
{
	char problem[PROGRAM_PROBLEM_MAX];
	char *table = NULL;
	int r;

	if (access(argv[0], X_OK) < 0)
		return NULL;
	r = program_run(argv, NULL, &table, problem);
	if (r == 0)
		return table;
	if (r < 0)
		removal_failed(removal, "%s", problem);
	free(table);
	return NULL;
}

static char *save_table(enum family family, const char *name, struct removal *removal)
{
	return read_table((const char *const[]){family_save[family], "-t", name, NULL}, removal);
}

/* Before what lets through what it sends on. */
static void unload_nat(const struct config *config, enum family family, struct removal *removal)
{
	char problem[PROGRAM_PROBLEM_MAX];
	char *table CLEANUP(cleanup_free) = save_table(family, "nat", removal);
	char *text CLEANUP(cleanup_free) =
		table ? part_removal(&own_nat, config, table, family, removal) : NULL;

	if (!text)
		return;
	if (program_run((const char *const[]){family_restore[family], "-w", "5", "--noflush", NULL},
			text, NULL, problem) != 0)
		removal_failed(removal, "%s", problem);
	else
		removal_did(removal, "%s, the rules of the table nat", family_words[family]);
}

static void unload_table(const struct config *config, enum variant variant, enum family family,
			 struct removal *removal)
{
	char problem[PROGRAM_PROBLEM_MAX];
	char *table CLEANUP(cleanup_free) = save_table(family, "filter", removal);
	bool sends_on = table && has_chain(table, PLAN_IPTABLES_FORWARD);
	char *text CLEANUP(cleanup_free) =
		table ? part_removal(variant == VARIANT_UFW ? &own_ufw : &own_filter, config, table,
				     family, removal)
		      : NULL;

	if (!text)
		return;
	if (sends_on)
		unload_nat(config, family, removal);
	if (program_run((const char *const[]){family_restore[family], "-w", "5", "--noflush", NULL},
			text, NULL, problem) != 0)
		removal_failed(removal, "%s", problem);
	else if (variant == VARIANT_UFW)
		removal_did(removal, "%s, the rules of the table filter", family_words[family]);
	else
		removal_did(removal,
			    "%s, the rules of the table filter; INPUT has the policy ACCEPT: what "
			    "no other rule drops is let in",
			    family_words[family]);
}

static void unload_ipset(const char *name, struct removal *removal)
{
	char problem[PROGRAM_PROBLEM_MAX];
	int r = program_run((const char *const[]){PROGRAM_IPSET, "destroy", name, NULL}, NULL, NULL,
			    problem);

	if (r == 0)
		removal_did(removal, "the set %s", name);
	else if (r > 0 && strstr(problem, "in use"))
		removal_left(removal, "the set %s: other rules look it up", name);
	else if (r < 0 || !strstr(problem, "does not exist"))
		removal_failed(removal, "%s", problem);
}

static void unload_ipsets(const struct config *config, struct removal *removal)
{
	if (access(PROGRAM_IPSET, X_OK) < 0)
		return;
	for (size_t i = 0; i < config->n_doors; i++)
		for (enum family family = 0; family < N_FAMILIES; family++) {
			const struct opening *opening = &config->doors[i].opening;

			if (opening->backend == BACKEND_IPSET && opening->set[family] &&
			    plan_is_first(&(struct plan){.config = config}, i, family))
				unload_ipset(opening->set[family], removal);
		}
	if (!strchr(config->expected_ports, ' '))
		unload_ipset(config->expected_ports, removal);
}

/* Without our lines in its files, ufw flushes the rules that lead to our chain. */
static void reload_ufw(const char *table, struct removal *removal)
{
	char problem[PROGRAM_PROBLEM_MAX];

	if (count_jumps(table, PLAN_UFW_LOG) == 0)
		return;
	if (program_run((const char *const[]){PROGRAM_UFW, "reload", NULL}, NULL, NULL, problem) !=
	    0)
		removal_failed(removal, "%s", problem);
}

static void unload_iptables(const struct config *config, enum variant variant,
			    struct removal *removal)
{
	char *table CLEANUP(cleanup_free) = NULL;

	if (variant == VARIANT_UFW) {
		table = save_table(FAMILY_IPV4, "filter", removal);
		reload_ufw(table ? table : "", removal);
	}
	for (enum family family = 0; variant != VARIANT_IPSET && family < N_FAMILIES; family++)
		unload_table(config, variant, family, removal);
	unload_ipsets(config, removal);
}

/* nft */

static int run_nft(const char *text, char problem[static PROGRAM_PROBLEM_MAX])
{
	return program_run((const char *const[]){PROGRAM_NFT, "-f", "-", NULL}, text, NULL,
			   problem);
}

static char *list_table(const char *table, struct removal *removal)
{
	return read_table((const char *const[]){PROGRAM_NFT, "list", "table", "inet", table, NULL},
			  removal);
}

static bool nft_has(const char *listed, const char *kind, const char *name)
{
	char begin[96];

	snprintf(begin, sizeof begin, "\t%s %s {", kind, name);
	return count_lines(listed, begin) > 0;
}

static void unload_chains(const char *listed, const char *table, struct removal *removal)
{
	static const char *const chains[] = {PLAN_NFT_INPUT, PLAN_NFT_LOG, PLAN_NFT_FORWARD,
					     PLAN_NFT_NAT, PLAN_NFT_BACK};
	char problem[PROGRAM_PROBLEM_MAX], text[2048] = "";
	size_t length = 0;

	/* All are flushed before one goes, for they lead to each other. */
	for (unsigned pass = 0; pass < 2; pass++)
		for (size_t i = 0; i < sizeof chains / sizeof chains[0]; i++)
			if (nft_has(listed, "chain", chains[i]))
				length += (size_t)snprintf(text + length, sizeof text - length,
							   "%s chain inet %s %s\n",
							   pass == 0 ? "flush" : "delete", table,
							   chains[i]);
	if (length == 0)
		return;
	if (run_nft(text, problem) != 0)
		removal_failed(removal, "%s", problem);
	else
		removal_did(removal, "the rules of the nftables table inet %s", table);
}

static void unload_nft_set(const char *listed, const char *table, const char *set,
			   struct removal *removal)
{
	char problem[PROGRAM_PROBLEM_MAX], text[256];

	if (!nft_has(listed, "set", set))
		return;
	snprintf(text, sizeof text, "delete set inet %s %s\n", table, set);
	if (run_nft(text, problem) == 0)
		removal_did(removal, "the set inet %s %s", table, set);
	else if (strstr(problem, "busy"))
		removal_left(removal, "the set inet %s %s: other rules look it up", table, set);
	else
		removal_failed(removal, "%s", problem);
}

static void unload_nft_sets(const struct config *config, const char *listed, const char *table,
			    struct removal *removal)
{
	struct nft_name name;

	for (size_t i = 0; i < config->n_doors; i++)
		for (enum family family = 0; family < N_FAMILIES; family++) {
			const struct opening *opening = &config->doors[i].opening;

			if (opening->backend != BACKEND_NFT || !opening->set[family] ||
			    !plan_is_first(&(struct plan){.config = config}, i, family))
				continue;
			nft_name_split(opening->set[family], &name);
			unload_nft_set(listed, table, name.set, removal);
		}
	nft_name_split(config->expected_ports, &name);
	if (strcmp(name.table, table) == 0)
		unload_nft_set(listed, table, name.set, removal);
	unload_nft_set(listed, table, "knocktail_slots", removal);
	unload_nft_set(listed, table, "knocktail_slots6", removal);
}

static void unload_nft_table(const char *table, struct removal *removal)
{
	char problem[PROGRAM_PROBLEM_MAX], text[128];

	snprintf(text, sizeof text, "delete table inet %s\n", table);
	if (run_nft(text, problem) == 0)
		removal_did(removal, "the nftables table inet %s", table);
	else
		removal_failed(removal, "%s", problem);
}

static void unload_nft(const struct config *config, struct removal *removal)
{
	struct nft_name name;
	char *listed CLEANUP(cleanup_free) = NULL, *left CLEANUP(cleanup_free) = NULL;

	plan_nft_table(&(struct plan){.config = config}, &name);
	listed = list_table(name.table, removal);
	if (!listed)
		return;
	unload_chains(listed, name.table, removal);
	unload_nft_sets(config, listed, name.table, removal);
	left = list_table(name.table, removal);
	if (left && count_lines(left, "\t") == 0)
		unload_nft_table(name.table, removal);
	else if (left)
		removal_left(removal, "the nftables table inet %s: there is more in it",
			     name.table);
}

void unload(const struct config *config, enum variant variant, struct removal *removal)
{
	char *closed CLEANUP(cleanup_free) = NULL;

	if (variant == VARIANT_NFT || variant == VARIANT_FIREWALLD)
		unload_nft(config, removal);
	else
		unload_iptables(config, variant, removal);
	closed = list_table(BOOT_CLOSED_TABLE, removal);
	if (closed)
		unload_nft_table(BOOT_CLOSED_TABLE, removal);
}
