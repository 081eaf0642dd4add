#include "cli/rules/boot.h"

#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "cli/common/boot-paths.h"
#include "cli/rules/boot-unit.h"
#include "cli/rules/forward.h"
#include "cli/rules/managed-block.h"
#include "util/cleanup.h"
#include "util/file.h"
#include "util/programs.h"
#include "util/replace.h"
#include "util/text/stream.h"

enum { BOOT_OPTIONS_MAX = BOOT_COMMAND_SIZE - 64, UNIT_SIZE_MAX = 65536, SAVED_SIZE_MAX = 4 << 20 };

static const char *const ufw_files[N_UFW_PARTS][N_FAMILIES] = {
	{UFW_DIRECTORY "/before.rules", UFW_DIRECTORY "/before6.rules"},
	{UFW_DIRECTORY "/after.rules", UFW_DIRECTORY "/after6.rules"},
};

static int boot_fail(char problem[static PROGRAM_PROBLEM_MAX], const char *what, int error)
{
	snprintf(problem, PROGRAM_PROBLEM_MAX, "%s: %s", what, strerror(-error));
	return error;
}

/* What was given with it. */
static bool boot_read_options(const char *options, struct port_set *ret_open, unsigned *ret_nflog)
{
	const char *open = strstr(options, "--open "), *nflog = strstr(options, "--nflog ");
	char ports[BOOT_COMMAND_SIZE];
	struct port_range fault[2];

	*ret_open = (struct port_set){0};
	*ret_nflog = 0;
	if (nflog && sscanf(nflog, "--nflog %5u", ret_nflog) != 1)
		return false;
	if (!open)
		return true;
	snprintf(ports, sizeof ports, "%s", open + strlen("--open "));
	ports[strcspn(ports, " ")] = '\0';
	return port_set_parse(ports, ret_open, fault) == 0;
}

/* What is installed, by the first line of the unit: the variant, and what comes behind its name. */
static bool boot_installed(enum variant *ret, char options[static BOOT_COMMAND_SIZE])
{
	CLEANUP(cleanup_close) int fd = open(BOOT_UNIT_PATH, O_RDONLY | O_CLOEXEC);
	char *text CLEANUP(cleanup_free) = NULL;
	char name[16];
	size_t size, length;
	int at = 0;

	if (fd < 0 || file_read(fd, UNIT_SIZE_MAX, &text, &size) < 0 ||
	    sscanf(text, "# Written by `knocktail rules %15s %n", name, &at) != 1)
		return false;
	length = strcspn(text + at, "`\n");
	if (length > BOOT_OPTIONS_MAX)
		return false;
	snprintf(options, BOOT_COMMAND_SIZE, "%.*s", (int)length, text + at);
	for (enum variant variant = 0; variant < N_VARIANTS; variant++)
		if (strcmp(variant_names[variant], name) == 0) {
			*ret = variant;
			return true;
		}
	return false;
}

int boot_check(enum variant variant, char problem[static PROGRAM_PROBLEM_MAX])
{
	char options[BOOT_COMMAND_SIZE];
	enum variant installed;

	if (access(PROGRAM_NFT, X_OK) < 0) {
		snprintf(problem, PROGRAM_PROBLEM_MAX,
			 "%s is needed, which keeps everybody out if rules cannot be loaded: apt "
			 "install nftables",
			 PROGRAM_NFT);
		return -ENOENT;
	}
	if (boot_installed(&installed, options) && installed != variant) {
		snprintf(problem, PROGRAM_PROBLEM_MAX,
			 "rules of %s are installed: knocktail rules %s --remove",
			 variant_names[installed], variant_names[installed]);
		return -EEXIST;
	}
	return 0;
}

/* Nothing that is loaded is touched by that. */
static void boot_reload(void)
{
	char problem[PROGRAM_PROBLEM_MAX];

	if (access("/run/systemd/system", F_OK) == 0)
		program_run((const char *const[]){PROGRAM_SYSTEMCTL, "daemon-reload", NULL}, NULL,
			    NULL, problem);
}

static int make_directory(const char *path, mode_t mode, char problem[static PROGRAM_PROBLEM_MAX])
{
	return mkdir(path, mode) < 0 && errno != EEXIST ? boot_fail(problem, path, -errno) : 0;
}

/* The files of a variant, in the order in which they are written. */
struct boot_file {
	const char *path;
	mode_t mode;
	char *text; /* NULL: no memory */
};

enum { BOOT_FILES_MAX = 6 };

struct boot_files {
	struct boot_file files[BOOT_FILES_MAX];
	size_t n;
};

static void boot_files_done(struct boot_files *files)
{
	for (size_t i = 0; i < files->n; i++)
		free(files->files[i].text);
}

static void boot_files_add(struct boot_files *files, const char *path, mode_t mode, char *text)
{
	files->files[files->n++] = (struct boot_file){path, mode, text};
}

static void print_drop_in(const struct plan *plan, FILE *file)
{
	(void)plan;
	boot_drop_in_print(file);
}

static char *unit_text(const struct plan *plan, enum variant variant)
{
	char *text = NULL;
	FILE *file = text_stream_open(&text, NULL);

	if (!file)
		return NULL;
	boot_unit_print(variant, plan, file);
	fclose(file);
	return text;
}

static void boot_files_make(const struct plan *plan, enum variant variant, struct boot_files *ret)
{
	char *rules;

	*ret = (struct boot_files){0};
	boot_files_add(ret, BOOT_CLOSED, 0600, plan_to_text(plan, boot_closed_print));
	if (variant == VARIANT_NFT) {
		boot_files_add(ret, BOOT_NFT, 0600, plan_to_text(plan, plan_print_nft));
	} else if (variant == VARIANT_FIREWALLD) {
		boot_files_add(ret, BOOT_NFT, 0600, plan_to_text(plan, plan_print_firewalld));
	} else {
		boot_files_add(ret, BOOT_SETS, 0600, plan_to_text(plan, plan_print_ipset));
	}
	if (variant == VARIANT_IPTABLES) {
		rules = plan_to_text(plan, plan_print_iptables);
		if (rules)
			forward_omit_jumps(rules, NULL);
		boot_files_add(ret, BOOT_IPTABLES, 0600, rules);
	}
	boot_files_add(ret, BOOT_UNIT_PATH, 0644, unit_text(plan, variant));
	if (boot_unit_has_rules(variant)) {
		boot_files_add(ret, BOOT_DROP_INS_NFTABLES "/" BOOT_DROP_IN, 0644,
			       plan_to_text(plan, print_drop_in));
		boot_files_add(ret, BOOT_DROP_INS_PERSISTENT "/" BOOT_DROP_IN, 0644,
			       plan_to_text(plan, print_drop_in));
	}
}

static int boot_files_write(const struct boot_files *files,
			    char problem[static PROGRAM_PROBLEM_MAX])
{
	for (size_t i = 0; i < files->n; i++) {
		const struct boot_file *file = &files->files[i];
		int r = file->text ? file_replace_path(file->path, file->text, strlen(file->text),
						       file->mode, true)
				   : -ENOMEM;

		if (r < 0)
			return boot_fail(problem, file->path, r);
	}
	return 0;
}

/* Whether all of them are there as they would be written. */
static bool boot_files_are(const struct boot_files *files)
{
	for (size_t i = 0; i < files->n; i++) {
		CLEANUP(cleanup_close) int fd = open(files->files[i].path, O_RDONLY | O_CLOEXEC);
		char *text CLEANUP(cleanup_free) = NULL;
		size_t size;

		if (fd < 0 || file_read(fd, SAVED_SIZE_MAX, &text, &size) < 0 ||
		    !files->files[i].text || strcmp(text, files->files[i].text) != 0)
			return false;
	}
	return true;
}

/* Calls for each of ufw's files with our part of it, to the first that returns no 0. */
typedef int (*ufw_fn)(const char *path, const char *text, char problem[static PROGRAM_PROBLEM_MAX]);

static int each_ufw_file(const struct plan *plan, ufw_fn fn,
			 char problem[static PROGRAM_PROBLEM_MAX])
{
	for (unsigned part = 0; part < N_UFW_PARTS; part++)
		for (enum family family = 0; family < N_FAMILIES; family++) {
			char *text CLEANUP(cleanup_free) = NULL;
			FILE *file = text_stream_open(&text, NULL);
			int r;

			if (!file)
				return -ENOMEM;
			plan_print_ufw_part(plan, part, family, file);
			if (fclose(file) != 0)
				return -ENOMEM;
			r = fn(ufw_files[part][family], text, problem);
			if (r != 0)
				return r;
		}
	return 0;
}

/* Before the COMMIT of the table filter, in place of an earlier one. */
static int ufw_file_write(const char *path, const char *text,
			  char problem[static PROGRAM_PROBLEM_MAX])
{
	int r = managed_block_put(path, "*filter", "COMMIT", text);

	return r < 0 ? boot_fail(problem, path, r) : 0;
}

static int ufw_file_check(const char *path, const char *text,
			  char problem[static PROGRAM_PROBLEM_MAX])
{
	(void)problem;
	return managed_block_is(path, "*filter", "COMMIT", text) ? 0 : -ENOENT;
}

/* The sets are made at once, for ufw may be reloaded before the next boot. */
static int boot_write_ufw(const struct plan *plan, char problem[static PROGRAM_PROBLEM_MAX])
{
	char *sets CLEANUP(cleanup_free) = plan_to_text(plan, plan_print_ipset);

	if (program_run((const char *const[]){PROGRAM_IPSET, "-exist", "restore", NULL}, sets, NULL,
			problem) != 0)
		return -EIO;
	return each_ufw_file(plan, ufw_file_write, problem);
}

static int boot_link(const char *directory, char problem[static PROGRAM_PROBLEM_MAX])
{
	char path[128];
	int r = make_directory(directory, 0755, problem);

	if (r < 0)
		return r;
	snprintf(path, sizeof path, "%s/" BOOT_UNIT, directory);
	unlink(path);
	return symlink(BOOT_UNIT_PATH, path) < 0 ? boot_fail(problem, path, -errno) : 0;
}

int boot_install(const struct plan *plan, enum variant variant,
		 char problem[static PROGRAM_PROBLEM_MAX])
{
	struct boot_files files;
	int r = make_directory(KNOCKTAIL_FIREWALL, 0700, problem);

	boot_files_make(plan, variant, &files);
	if (r == 0 && boot_unit_has_rules(variant))
		r = make_directory(BOOT_DROP_INS_NFTABLES, 0755, problem);
	if (r == 0 && boot_unit_has_rules(variant))
		r = make_directory(BOOT_DROP_INS_PERSISTENT, 0755, problem);
	if (r == 0)
		r = boot_files_write(&files, problem);
	if (r == 0 && variant == VARIANT_UFW)
		r = boot_write_ufw(plan, problem);
	if (r == 0)
		r = boot_link(BOOT_LINKS, problem);
	boot_files_done(&files);
	boot_reload();
	return r;
}

enum boot_age boot_compare(const struct config *config, char command[static BOOT_COMMAND_SIZE])
{
	char options[BOOT_COMMAND_SIZE], problem[PROGRAM_PROBLEM_MAX];
	struct port_set open;
	struct boot_files files;
	enum variant variant;
	struct plan plan;
	unsigned nflog_group;
	bool is_current;
	int r;

	if (access(BOOT_UNIT_PATH, F_OK) < 0)
		return BOOT_ABSENT;
	if (!boot_installed(&variant, options))
		return BOOT_UNKNOWN;
	snprintf(command, BOOT_COMMAND_SIZE, "knocktail rules %s --apply %.*s",
		 variant_names[variant], BOOT_OPTIONS_MAX, options);
	if (!boot_read_options(options, &open, &nflog_group))
		return BOOT_UNKNOWN;
	r = plan_make(config, &open, nflog_group, variant, &plan);
	if (r < 0)
		return r == -EINVAL ? BOOT_OTHER : BOOT_UNKNOWN;
	boot_files_make(&plan, variant, &files);
	is_current = boot_files_are(&files) &&
		     (variant != VARIANT_UFW || each_ufw_file(&plan, ufw_file_check, problem) == 0);
	boot_files_done(&files);
	return is_current ? BOOT_CURRENT : BOOT_OTHER;
}

static void remove_ufw(struct removal *removal)
{
	for (unsigned part = 0; part < N_UFW_PARTS; part++)
		for (enum family family = 0; family < N_FAMILIES; family++) {
			const char *path = ufw_files[part][family];
			int r = managed_block_remove(path);

			if (r == 0)
				removal_did(removal, "knocktail's lines in %s", path);
			else if (r != -ENOENT)
				removal_failed(removal, "%s: %s", path, strerror(-r));
		}
}

/* What others have saved, and load at the next boot, where the sets are missing then. */
static void find_saved(enum variant variant, struct removal *removal)
{
	static const char *const files[] = {"/etc/iptables/rules.v4", "/etc/iptables/rules.v6",
					    "/etc/nftables.conf"};
	const char *chain = variant == VARIANT_NFT || variant == VARIANT_FIREWALLD
				    ? PLAN_NFT_INPUT
				    : PLAN_IPTABLES_INPUT;

	for (size_t i = 0; i < sizeof files / sizeof files[0]; i++) {
		CLEANUP(cleanup_close) int fd = open(files[i], O_RDONLY | O_CLOEXEC);
		char *text CLEANUP(cleanup_free) = NULL;
		size_t size;

		if (fd >= 0 && file_read(fd, SAVED_SIZE_MAX, &text, &size) == 0 &&
		    strstr(text, chain))
			removal_left(removal,
				     "%s: rules of knocktail's are in it, and may be loaded at the "
				     "next boot: take them out",
				     files[i]);
	}
}

void boot_remove(enum variant variant, struct removal *removal)
{
	static const char *const files[] = {BOOT_CLOSED, BOOT_SETS, BOOT_IPTABLES, BOOT_NFT};
	static const char *const drop_ins[] = {BOOT_DROP_INS_NFTABLES, BOOT_DROP_INS_PERSISTENT};
	char problem[PROGRAM_PROBLEM_MAX], options[BOOT_COMMAND_SIZE];
	enum variant installed;

	find_saved(variant, removal);
	if (variant == VARIANT_UFW)
		remove_ufw(removal);
	if (boot_installed(&installed, options) && installed != variant) {
		removal_left(removal, "%s: it is of `knocktail rules %s`", BOOT_UNIT_PATH,
			     variant_names[installed]);
		return;
	}
	/* It stops nothing that it has loaded. */
	if (access(BOOT_UNIT_PATH, F_OK) == 0 && access("/run/systemd/system", F_OK) == 0)
		program_run((const char *const[]){PROGRAM_SYSTEMCTL, "stop", BOOT_UNIT, NULL}, NULL,
			    NULL, problem);
	removal_unlink(removal, BOOT_LINKS "/" BOOT_UNIT);
	for (size_t i = 0; i < sizeof drop_ins / sizeof drop_ins[0]; i++) {
		char path[128];

		snprintf(path, sizeof path, "%s/" BOOT_DROP_IN, drop_ins[i]);
		removal_unlink(removal, path);
		rmdir(drop_ins[i]); /* if it is empty */
	}
	removal_unlink(removal, BOOT_UNIT_PATH);
	for (size_t i = 0; i < sizeof files / sizeof files[0]; i++)
		removal_unlink(removal, files[i]);
	if (rmdir(KNOCKTAIL_FIREWALL) < 0 && errno != ENOENT)
		removal_left(removal, "%s: %s", KNOCKTAIL_FIREWALL, strerror(errno));
	boot_reload();
}
