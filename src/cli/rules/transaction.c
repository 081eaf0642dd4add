#include "cli/rules/transaction.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "cli/rules/managed-block.h"
#include "cli/rules/nft-age.h"
#include "config/config.h"
#include "ruleset/ruleset.h"
#include "util/cleanup.h"

#define UFW_DIRECTORY "/etc/ufw"

struct undo {
	const struct plan *plan;
	enum variant variant;
	char *tables[N_FAMILIES]; /* iptables: the table filter */
	bool was_absent[N_FAMILIES];
	char *sets; /* the names of the ipsets that were there, a line each */
	struct nft_name nft;
	char *nft_table;     /* NULL: it was not there */
	uint64_t nft_age_us; /* when that was, on the clock since boot */
	char problem[PROGRAM_PROBLEM_MAX];
};

static const char nft_program[] = "/usr/sbin/nft";
static const char *const save_programs[N_FAMILIES] = {"/usr/sbin/iptables-save",
						      "/usr/sbin/ip6tables-save"};
static const char *const restore_programs[N_FAMILIES] = {"/usr/sbin/iptables-restore",
							 "/usr/sbin/ip6tables-restore"};

/* Runs it; 0, or a negative errno with the undo's problem written. */
static int run(struct undo *undo, const char *const argv[], const char *input, char **ret_output)
{
	int r = program_run(argv, input, ret_output, undo->problem);

	return r > 0 ? -EIO : r;
}

/* What one of the printers writes, to be freed; NULL: no memory. */
static char *print(const struct plan *plan, void (*printer)(const struct plan *plan, FILE *file))
{
	char *text = NULL;
	size_t size;
	FILE *file = open_memstream(&text, &size);

	if (!file)
		return NULL;
	printer(plan, file);
	if (fclose(file) == 0)
		return text;
	free(text);
	return NULL;
}

static char *print_ufw(const struct plan *plan, enum family family)
{
	char *text = NULL;
	size_t size;
	FILE *file = open_memstream(&text, &size);

	if (!file)
		return NULL;
	fputs("*filter\n", file);
	for (unsigned part = 0; part < N_UFW_PARTS; part++)
		plan_print_ufw_part(plan, part, family, file);
	fputs("COMMIT\n", file);
	if (fclose(file) == 0)
		return text;
	free(text);
	return NULL;
}

/* iptables, ipset, ufw */

static bool had_set(const struct undo *undo, const char *name)
{
	const char *line = undo->sets;
	size_t length = strlen(name);

	while (*line) {
		size_t line_length = strcspn(line, "\n");

		if (line_length == length && memcmp(line, name, length) == 0)
			return true;
		line += line_length + (line[line_length] == '\n');
	}
	return false;
}

static int save_sets(struct undo *undo)
{
	return run(undo, (const char *const[]){"/usr/sbin/ipset", "list", "-n", NULL}, NULL,
		   &undo->sets);
}

/* Whether nft has the table, and whether it is one that iptables can put back. */
static int look_for_table(struct undo *undo, enum family family)
{
	static const char *const names[N_FAMILIES] = {"ip", "ip6"};
	const char *const argv[] = {nft_program,   "-j",     "list", "table",
				    names[family], "filter", NULL};
	char *json CLEANUP(cleanup_free) = NULL;
	int r;

	if (access(nft_program, X_OK) < 0)
		return 0;
	r = program_run(argv, NULL, &json, undo->problem);
	if (r < 0)
		return r;
	if (r > 0) {
		undo->was_absent[family] = strstr(undo->problem, "No such file");
		return undo->was_absent[family] ? 0 : -EIO;
	}
	if (!ruleset_is_foreign(json, names[family], "filter"))
		return 0;
	snprintf(undo->problem, sizeof undo->problem,
		 "the table %s filter is nft's, and iptables could not put it back: use doors of "
		 "the backend nft and `knocktail rules nft`",
		 names[family]);
	return -ENOTSUP;
}

/* What is saved is tested, for what cannot be put back must not be taken away. */
static int save_tables(struct undo *undo)
{
	int r = save_sets(undo);

	for (enum family family = 0; r == 0 && family < N_FAMILIES; family++) {
		r = look_for_table(undo, family);
		if (r < 0)
			break;
		r = run(undo,
			(const char *const[]){save_programs[family], "-c", "-t", "filter", NULL},
			NULL, &undo->tables[family]);
		if (r == 0)
			r = run(undo,
				(const char *const[]){restore_programs[family], "--test", NULL},
				undo->tables[family], NULL);
	}
	return r;
}

static int load_sets(struct undo *undo)
{
	char *text CLEANUP(cleanup_free) = print(undo->plan, plan_print_ipset);

	if (!text)
		return -ENOMEM;
	return run(undo, (const char *const[]){"/usr/sbin/ipset", "-exist", "restore", NULL}, text,
		   NULL);
}

static int load_table(struct undo *undo, enum family family, const char *text)
{
	return run(undo,
		   (const char *const[]){restore_programs[family], "-w", "5", "--noflush", NULL},
		   text, NULL);
}

/* What has been loaded before is replaced, but for the jump that leads there, which would be there
 * twice, and log twice. */
static int load_own_table(struct undo *undo, enum family family)
{
	char *text CLEANUP(cleanup_free) = print(undo->plan, plan_print_iptables);
	char *jump;

	if (!text)
		return -ENOMEM;
	jump = strstr(text, "\n" PLAN_IPTABLES_JUMP "\n");
	if (jump && strstr(undo->tables[family], "] " PLAN_IPTABLES_JUMP "\n"))
		jump[1] = '#';
	return load_table(undo, family, text);
}

static int load_tables(struct undo *undo)
{
	int r = load_sets(undo);

	for (enum family family = 0; r == 0 && family < N_FAMILIES; family++)
		r = load_own_table(undo, family);
	return r;
}

static int load_ufw(struct undo *undo)
{
	int r = load_sets(undo);

	for (enum family family = 0; r == 0 && family < N_FAMILIES; family++) {
		char *text CLEANUP(cleanup_free) = print_ufw(undo->plan, family);

		r = text ? load_table(undo, family, text) : -ENOMEM;
	}
	return r;
}

static int restore_sets(struct undo *undo)
{
	int r = 0;

	for (size_t i = 0; i < undo->plan->config->n_doors; i++) {
		const struct door *door = &undo->plan->config->doors[i];

		for (enum family family = 0; family < N_FAMILIES; family++) {
			const char *const argv[] = {"/usr/sbin/ipset", "destroy",
						    door->opening.set[family], NULL};
			int error = 0;

			if (door->opening.backend == BACKEND_IPSET && door->opening.set[family] &&
			    plan_is_first(undo->plan, i, family) &&
			    !had_set(undo, door->opening.set[family]))
				error = program_run(argv, NULL, NULL, undo->problem);
			/* What could not be made cannot be destroyed. */
			if (error != 0 && !strstr(undo->problem, "does not exist"))
				r = -EIO;
		}
	}
	return r;
}

static int restore_tables(struct undo *undo)
{
	int r = 0;

	for (enum family family = 0; family < N_FAMILIES; family++) {
		int error =
			run(undo,
			    (const char *const[]){restore_programs[family], "-w", "5", "-c", NULL},
			    undo->tables[family], NULL);

		/* It accepts everything now, and is as good as gone if that cannot be done. */
		if (error == 0 && undo->was_absent[family])
			program_run((const char *const[]){nft_program, "delete", "table",
							  family == FAMILY_IPV6 ? "ip6" : "ip",
							  "filter", NULL},
				    NULL, NULL, undo->problem);
		if (r == 0)
			r = error;
	}
	return r == 0 ? restore_sets(undo) : r;
}

/* Puts ufw's part before the COMMIT of the table filter, in place of an earlier one. */
static int keep_ufw(struct undo *undo)
{
	static const char *const files[N_UFW_PARTS][N_FAMILIES] = {
		{UFW_DIRECTORY "/before.rules", UFW_DIRECTORY "/before6.rules"},
		{UFW_DIRECTORY "/after.rules", UFW_DIRECTORY "/after6.rules"},
	};

	for (unsigned part = 0; part < N_UFW_PARTS; part++)
		for (enum family family = 0; family < N_FAMILIES; family++) {
			char *text CLEANUP(cleanup_free) = NULL;
			size_t size;
			FILE *file = open_memstream(&text, &size);
			int r;

			if (!file)
				return -ENOMEM;
			plan_print_ufw_part(undo->plan, part, family, file);
			if (fclose(file) != 0)
				return -ENOMEM;
			r = insert_lines(files[part][family], "*filter", "COMMIT", text);
			if (r < 0) {
				snprintf(undo->problem, sizeof undo->problem, "%s: %s",
					 files[part][family], strerror(-r));
				return r;
			}
		}
	return 0;
}

/* nft */

static uint64_t now_us(void)
{
	struct timespec now;

	clock_gettime(CLOCK_BOOTTIME, &now);
	return (uint64_t)now.tv_sec * 1000000 + (uint64_t)now.tv_nsec / 1000;
}

static int save_nft(struct undo *undo)
{
	const char *table;
	int r;

	plan_nft_table(undo->plan, &undo->nft);
	table = undo->nft.table;
	undo->nft_age_us = now_us();
	r = program_run((const char *const[]){nft_program, "list", "table", "inet", table, NULL},
			NULL, &undo->nft_table, undo->problem);
	if (r < 0)
		return r;
	if (r > 0) {
		free(undo->nft_table);
		undo->nft_table = NULL;
		if (!strstr(undo->problem, "No such file"))
			return -EIO;
		return 0;
	}
	return run(undo, (const char *const[]){nft_program, "-c", "-f", "-", NULL}, undo->nft_table,
		   NULL);
}

static int load_nft(struct undo *undo)
{
	char *text CLEANUP(cleanup_free) = print(
		undo->plan, undo->variant == VARIANT_NFT ? plan_print_nft : plan_print_firewalld);

	if (!text)
		return -ENOMEM;
	return run(undo, (const char *const[]){nft_program, "-f", "-", NULL}, text, NULL);
}

/* One transaction: there is no moment with half a table. */
static int restore_nft(struct undo *undo)
{
	char *text CLEANUP(cleanup_free) = NULL;
	char *table CLEANUP(cleanup_free) =
		nft_age(undo->nft_table ? undo->nft_table : "", now_us() - undo->nft_age_us);

	if (!table)
		return -ENOMEM;
	if (asprintf(&text, "add table inet %s\ndelete table inet %s\n%s", undo->nft.table,
		     undo->nft.table, table) < 0) {
		text = NULL;
		return -ENOMEM;
	}
	return run(undo, (const char *const[]){nft_program, "-f", "-", NULL}, text, NULL);
}

static const struct method {
	int (*save)(struct undo *undo);
	int (*load)(struct undo *undo);
	int (*restore)(struct undo *undo);
	int (*keep)(struct undo *undo); /* NULL: nothing */
} methods[N_VARIANTS] = {
	[VARIANT_IPSET] = {save_sets, load_sets, restore_sets, NULL},
	[VARIANT_IPTABLES] = {save_tables, load_tables, restore_tables, NULL},
	[VARIANT_UFW] = {save_tables, load_ufw, restore_tables, keep_ufw},
	[VARIANT_NFT] = {save_nft, load_nft, restore_nft, NULL},
	[VARIANT_FIREWALLD] = {save_nft, load_nft, restore_nft, NULL},
};

int undo_new(const struct plan *plan, enum variant variant, struct undo **ret,
	     char problem[static PROGRAM_PROBLEM_MAX])
{
	struct undo *undo = calloc(1, sizeof *undo);
	int r;

	if (!undo)
		return -ENOMEM;
	undo->plan = plan;
	undo->variant = variant;
	r = methods[variant].save(undo);
	if (r < 0) {
		memcpy(problem, undo->problem, PROGRAM_PROBLEM_MAX);
		undo_free(undo);
		return r;
	}
	*ret = undo;
	return 0;
}

struct undo *undo_free(struct undo *undo)
{
	if (!undo)
		return NULL;
	for (enum family family = 0; family < N_FAMILIES; family++)
		free(undo->tables[family]);
	free(undo->sets);
	free(undo->nft_table);
	free(undo);
	return NULL;
}

int undo_load(struct undo *undo)
{
	return methods[undo->variant].load(undo);
}

int undo_restore(struct undo *undo)
{
	return methods[undo->variant].restore(undo);
}

int undo_keep(struct undo *undo)
{
	return methods[undo->variant].keep ? methods[undo->variant].keep(undo) : 0;
}

const char *undo_problem(const struct undo *undo)
{
	return undo->problem;
}
