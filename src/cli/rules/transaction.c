#include "cli/rules/transaction.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "cli/rules/forward.h"
#include "cli/rules/nft-age.h"
#include "config/config.h"
#include "ruleset/nft/owner.h"
#include "util/cleanup.h"
#include "util/clock.h"
#include "util/programs.h"
#include "util/text/stream.h"

struct transaction {
	const struct plan *plan;
	enum variant variant;
	char *tables[N_FAMILIES]; /* iptables: the table filter, and nat if it is needed */
	bool was_absent[N_FAMILIES], was_nat_absent[N_FAMILIES];
	char *sets; /* the names of the ipsets that were there, a line each */
	struct nft_name nft;
	char *nft_table;     /* NULL: it was not there */
	uint64_t nft_age_us; /* when that was, on the clock since boot */
	char problem[PROGRAM_PROBLEM_MAX];
};

static const char *const save_programs[N_FAMILIES] = {PROGRAM_IPTABLES_SAVE,
						      PROGRAM_IP6TABLES_SAVE};
static const char *const restore_programs[N_FAMILIES] = {PROGRAM_IPTABLES_RESTORE,
							 PROGRAM_IP6TABLES_RESTORE};

/* Runs it; 0, or a negative errno with the transaction's problem written. */
static int transaction_run(struct transaction *transaction, const char *const argv[],
			   const char *input, char **ret_output)
{
	int r = program_run(argv, input, ret_output, transaction->problem);

	return r > 0 ? -EIO : r;
}

static char *print_ufw(const struct plan *plan, enum family family)
{
	char *text = NULL;
	FILE *file = text_stream_open(&text, NULL);

	if (!file)
		return NULL;
	fputs("*filter\n", file);
	for (unsigned part = 0; part < N_UFW_PARTS; part++)
		plan_print_ufw_part(plan, part, family, file);
	fputs("COMMIT\n", file);
	fclose(file);
	return text;
}

/* iptables, ipset, ufw */

static bool had_set(const struct transaction *transaction, const char *name)
{
	const char *line = transaction->sets;
	size_t length = strlen(name);

	while (*line) {
		size_t line_length = strcspn(line, "\n");

		if (line_length == length && memcmp(line, name, length) == 0)
			return true;
		line += line_length + (line[line_length] == '\n');
	}
	return false;
}

static int save_sets(struct transaction *transaction)
{
	return transaction_run(transaction,
			       (const char *const[]){PROGRAM_IPSET, "list", "-n", NULL}, NULL,
			       &transaction->sets);
}

/* Whether nft has the table, and whether it is one that iptables can put back. */
static int look_for_table(struct transaction *transaction, enum family family, const char *table,
			  bool *ret_absent)
{
	static const char *const names[N_FAMILIES] = {"ip", "ip6"};
	const char *const argv[] = {PROGRAM_NFT, "-j", "list", "table", names[family], table, NULL};
	char *json CLEANUP(cleanup_free) = NULL;
	int r;

	if (access(PROGRAM_NFT, X_OK) < 0)
		return 0;
	r = program_run(argv, NULL, &json, transaction->problem);
	if (r < 0)
		return r;
	if (r > 0) {
		*ret_absent = strstr(transaction->problem, "No such file");
		return *ret_absent ? 0 : -EIO;
	}
	if (!ruleset_is_foreign(json, names[family], table))
		return 0;
	snprintf(transaction->problem, sizeof transaction->problem,
		 "the table %s %s is nft's, and iptables could not put it back: use doors of "
		 "the backend nft and `knocktail rules nft`",
		 names[family], table);
	return -ENOTSUP;
}

/* An empty one; what is put back is nothing then, and would leave what is there. */
static const char empty_nat[] = "*nat\n:PREROUTING ACCEPT [0:0]\n:INPUT ACCEPT [0:0]\n"
				":OUTPUT ACCEPT [0:0]\n:POSTROUTING ACCEPT [0:0]\nCOMMIT\n";

static int save_table(struct transaction *transaction, enum family family, const char *table,
		      char **ret)
{
	return transaction_run(
		transaction, (const char *const[]){save_programs[family], "-c", "-t", table, NULL},
		NULL, ret);
}

/* Whether there are rules of ours in it, or will be. */
static bool needs_nat(const struct transaction *transaction, enum family family)
{
	return forward_any(transaction->plan->config) ||
	       strstr(transaction->tables[family], "\n:" PLAN_IPTABLES_FORWARD " ");
}

/* Behind what is saved already. */
static int save_nat(struct transaction *transaction, enum family family)
{
	char *filter CLEANUP(cleanup_free) = TAKE_PTR(transaction->tables[family]);
	char *nat CLEANUP(cleanup_free) = NULL;
	int r = look_for_table(transaction, family, "nat", &transaction->was_nat_absent[family]);

	if (r == 0)
		r = save_table(transaction, family, "nat", &nat);
	if (r == 0 && asprintf(&transaction->tables[family], "%s%s", filter,
			       strstr(nat, "*nat") ? nat : empty_nat) < 0) {
		transaction->tables[family] = NULL;
		return -ENOMEM;
	}
	return r;
}

/* What is saved is tested, for what cannot be put back must not be taken away. */
static int save_tables(struct transaction *transaction)
{
	int r = save_sets(transaction);

	for (enum family family = 0; r == 0 && family < N_FAMILIES; family++) {
		r = look_for_table(transaction, family, "filter", &transaction->was_absent[family]);
		if (r == 0)
			r = save_table(transaction, family, "filter", &transaction->tables[family]);
		if (r == 0 && needs_nat(transaction, family))
			r = save_nat(transaction, family);
		if (r == 0)
			r = transaction_run(
				transaction,
				(const char *const[]){restore_programs[family], "--test", NULL},
				transaction->tables[family], NULL);
	}
	return r;
}

static int load_sets(struct transaction *transaction)
{
	char *text CLEANUP(cleanup_free) = plan_to_text(transaction->plan, plan_print_ipset);

	if (!text)
		return -ENOMEM;
	return transaction_run(transaction,
			       (const char *const[]){PROGRAM_IPSET, "-exist", "restore", NULL},
			       text, NULL);
}

static int load_table(struct transaction *transaction, enum family family, const char *text)
{
	return transaction_run(
		transaction,
		(const char *const[]){restore_programs[family], "-w", "5", "--noflush", NULL}, text,
		NULL);
}

/* Docker takes the chain that it finds. */
static int make_docker_user(struct transaction *transaction, enum family family)
{
	if (!forward_any_docker(transaction->plan->config) ||
	    strstr(transaction->tables[family], "\n:" DOCKER_USER " "))
		return 0;
	return load_table(transaction, family,
			  "*filter\n-N " DOCKER_USER "\n-I FORWARD -j " DOCKER_USER "\nCOMMIT\n");
}

/* What an earlier configuration has sent on or closed. */
static int flush_others(struct transaction *transaction, enum family family)
{
	const struct config *config = transaction->plan->config;
	int r = 0;

	for (const struct forward_jump *jump = forward_jumps; r == 0 && jump->to; jump++) {
		const char *const argv[] = {
			family == FAMILY_IPV6 ? PROGRAM_IP6TABLES : PROGRAM_IPTABLES,
			"-w",
			"5",
			"-t",
			jump->table,
			"-F",
			jump->to,
			NULL,
		};
		char name[64];

		snprintf(name, sizeof name, "\n:%s ", jump->to);
		if (!jump->is_needed(config) && strstr(transaction->tables[family], name))
			r = transaction_run(transaction, argv, NULL, NULL);
	}
	return r;
}

/* What has been loaded before is replaced, but for the jumps that lead there, which would be there
 * twice, and log twice. */
static int load_own_table(struct transaction *transaction, enum family family)
{
	char *text CLEANUP(cleanup_free) = plan_to_text(transaction->plan, plan_print_iptables);
	int r;

	if (!text)
		return -ENOMEM;
	forward_omit_jumps(text, transaction->tables[family]);
	r = make_docker_user(transaction, family);
	if (r == 0)
		r = flush_others(transaction, family);
	return r < 0 ? r : load_table(transaction, family, text);
}

static int load_tables(struct transaction *transaction)
{
	int r = load_sets(transaction);

	for (enum family family = 0; r == 0 && family < N_FAMILIES; family++)
		r = load_own_table(transaction, family);
	return r;
}

static int load_ufw(struct transaction *transaction)
{
	int r = load_sets(transaction);

	for (enum family family = 0; r == 0 && family < N_FAMILIES; family++) {
		char *text CLEANUP(cleanup_free) = print_ufw(transaction->plan, family);

		r = text ? load_table(transaction, family, text) : -ENOMEM;
	}
	return r;
}

/* Whether loading may have made the set: it is one of ours, and was not there. */
static bool may_have_made(const struct transaction *transaction, size_t door, enum family family)
{
	const struct opening *opening = &transaction->plan->config->doors[door].opening;

	return opening->backend == BACKEND_IPSET && opening->set[family] &&
	       plan_is_first(transaction->plan, door, family) &&
	       !had_set(transaction, opening->set[family]);
}

/* What could not be made cannot be destroyed, and need not be. */
static int destroy_set(struct transaction *transaction, const char *name)
{
	const char *const argv[] = {PROGRAM_IPSET, "destroy", name, NULL};

	if (program_run(argv, NULL, NULL, transaction->problem) == 0 ||
	    strstr(transaction->problem, "does not exist"))
		return 0;
	return -EIO;
}

static int restore_sets(struct transaction *transaction)
{
	const struct config *config = transaction->plan->config;
	int r = 0;

	for (size_t i = 0; i < config->n_doors; i++)
		for (enum family family = 0; family < N_FAMILIES; family++)
			if (may_have_made(transaction, i, family) &&
			    destroy_set(transaction, config->doors[i].opening.set[family]) < 0)
				r = -EIO;
	return r;
}

/* It accepts everything now, and is as good as gone if that cannot be done. */
static void delete_table(struct transaction *transaction, enum family family, const char *table)
{
	program_run((const char *const[]){PROGRAM_NFT, "delete", "table",
					  family == FAMILY_IPV6 ? "ip6" : "ip", table, NULL},
		    NULL, NULL, transaction->problem);
}

static int restore_tables(struct transaction *transaction)
{
	int r = 0;

	for (enum family family = 0; family < N_FAMILIES; family++) {
		int error = transaction_run(
			transaction,
			(const char *const[]){restore_programs[family], "-w", "5", "-c", NULL},
			transaction->tables[family], NULL);

		if (error == 0 && transaction->was_absent[family])
			delete_table(transaction, family, "filter");
		if (error == 0 && transaction->was_nat_absent[family])
			delete_table(transaction, family, "nat");
		if (r == 0)
			r = error;
	}
	return r == 0 ? restore_sets(transaction) : r;
}

/* nft */

static int save_nft(struct transaction *transaction)
{
	const char *table;
	int r;

	plan_nft_table(transaction->plan, &transaction->nft);
	table = transaction->nft.table;
	transaction->nft_age_us = clock_us(CLOCK_BOOTTIME);
	r = program_run((const char *const[]){PROGRAM_NFT, "list", "table", "inet", table, NULL},
			NULL, &transaction->nft_table, transaction->problem);
	if (r < 0)
		return r;
	if (r > 0) {
		free(transaction->nft_table);
		transaction->nft_table = NULL;
		if (!strstr(transaction->problem, "No such file"))
			return -EIO;
		return 0;
	}
	return transaction_run(transaction,
			       (const char *const[]){PROGRAM_NFT, "-c", "-f", "-", NULL},
			       transaction->nft_table, NULL);
}

static int load_nft(struct transaction *transaction)
{
	char *text CLEANUP(cleanup_free) = plan_to_text(
		transaction->plan,
		transaction->variant == VARIANT_NFT ? plan_print_nft : plan_print_firewalld);

	if (!text)
		return -ENOMEM;
	return transaction_run(transaction, (const char *const[]){PROGRAM_NFT, "-f", "-", NULL},
			       text, NULL);
}

/* One transaction: there is no moment with half a table. */
static int restore_nft(struct transaction *transaction)
{
	char *text CLEANUP(cleanup_free) = NULL;
	char *table CLEANUP(cleanup_free) =
		nft_age(transaction->nft_table ? transaction->nft_table : "",
			clock_us(CLOCK_BOOTTIME) - transaction->nft_age_us);

	if (!table)
		return -ENOMEM;
	if (asprintf(&text, "add table inet %s\ndelete table inet %s\n%s", transaction->nft.table,
		     transaction->nft.table, table) < 0) {
		text = NULL;
		return -ENOMEM;
	}
	return transaction_run(transaction, (const char *const[]){PROGRAM_NFT, "-f", "-", NULL},
			       text, NULL);
}

static const struct method {
	int (*save)(struct transaction *transaction);
	int (*load)(struct transaction *transaction);
	int (*restore)(struct transaction *transaction);
} methods[N_VARIANTS] = {
	[VARIANT_IPSET] = {save_sets, load_sets, restore_sets},
	[VARIANT_IPTABLES] = {save_tables, load_tables, restore_tables},
	[VARIANT_UFW] = {save_tables, load_ufw, restore_tables},
	[VARIANT_NFT] = {save_nft, load_nft, restore_nft},
	[VARIANT_FIREWALLD] = {save_nft, load_nft, restore_nft},
};

/* What a program has said before is not what an allocation failed for. */
static int transaction_step(struct transaction *transaction,
			    int (*step)(struct transaction *transaction))
{
	int r = step(transaction);

	if (r == -ENOMEM)
		snprintf(transaction->problem, sizeof transaction->problem, "%s", strerror(-r));
	return r;
}

int transaction_new(const struct plan *plan, enum variant variant, struct transaction **ret,
		    char problem[static PROGRAM_PROBLEM_MAX])
{
	struct transaction *transaction = calloc(1, sizeof *transaction);
	int r;

	if (!transaction)
		return -ENOMEM;
	transaction->plan = plan;
	transaction->variant = variant;
	r = transaction_step(transaction, methods[variant].save);
	if (r < 0) {
		memcpy(problem, transaction->problem, PROGRAM_PROBLEM_MAX);
		transaction_free(transaction);
		return r;
	}
	*ret = transaction;
	return 0;
}

struct transaction *transaction_free(struct transaction *transaction)
{
	if (!transaction)
		return NULL;
	for (enum family family = 0; family < N_FAMILIES; family++)
		free(transaction->tables[family]);
	free(transaction->sets);
	free(transaction->nft_table);
	free(transaction);
	return NULL;
}

int transaction_load(struct transaction *transaction)
{
	return transaction_step(transaction, methods[transaction->variant].load);
}

int transaction_restore(struct transaction *transaction)
{
	return transaction_step(transaction, methods[transaction->variant].restore);
}

const char *transaction_problem(const struct transaction *transaction)
{
	return transaction->problem;
}
