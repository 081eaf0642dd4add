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
#include "cli/rules/managed-block.h"
#include "util/cleanup.h"
#include "util/file.h"
#include "util/programs.h"
#include "util/replace.h"

enum { UNIT_SIZE_MAX = 65536, SAVED_SIZE_MAX = 4 << 20 };

static const char *const ufw_files[N_UFW_PARTS][N_FAMILIES] = {
	{UFW_DIRECTORY "/before.rules", UFW_DIRECTORY "/before6.rules"},
	{UFW_DIRECTORY "/after.rules", UFW_DIRECTORY "/after6.rules"},
};

static int boot_fail(char problem[static PROGRAM_PROBLEM_MAX], const char *what, int error)
{
	snprintf(problem, PROGRAM_PROBLEM_MAX, "%s: %s", what, strerror(-error));
	return error;
}

/* What is installed: the variant that the unit says it is of. */
static bool boot_installed(enum variant *ret)
{
	CLEANUP(cleanup_close) int fd = open(BOOT_UNIT_PATH, O_RDONLY | O_CLOEXEC);
	char *text CLEANUP(cleanup_free) = NULL;
	char name[16];
	size_t size;

	if (fd < 0 || file_read(fd, UNIT_SIZE_MAX, &text, &size) < 0 ||
	    sscanf(text, "# Written by `knocktail rules %15s", name) != 1)
		return false;
	for (enum variant variant = 0; variant < N_VARIANTS; variant++)
		if (strcmp(variant_names[variant], name) == 0) {
			*ret = variant;
			return true;
		}
	return false;
}

int boot_check(enum variant variant, char problem[static PROGRAM_PROBLEM_MAX])
{
	enum variant installed;

	if (access(PROGRAM_NFT, X_OK) < 0) {
		snprintf(problem, PROGRAM_PROBLEM_MAX,
			 "%s is needed, which keeps everybody out if rules cannot be loaded: apt "
			 "install nftables",
			 PROGRAM_NFT);
		return -ENOENT;
	}
	if (boot_installed(&installed) && installed != variant) {
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

static int boot_write(const char *path, const char *text, mode_t mode,
		      char problem[static PROGRAM_PROBLEM_MAX])
{
	int r = text ? file_replace_path(path, text, strlen(text), mode, true) : -ENOMEM;

	return r < 0 ? boot_fail(problem, path, r) : 0;
}

static int make_directory(const char *path, mode_t mode, char problem[static PROGRAM_PROBLEM_MAX])
{
	return mkdir(path, mode) < 0 && errno != EEXIST ? boot_fail(problem, path, -errno) : 0;
}

static char *unit_text(enum variant variant)
{
	char *text = NULL;
	size_t size;
	FILE *file = open_memstream(&text, &size);

	if (!file)
		return NULL;
	boot_unit_print(variant, file);
	if (fclose(file) == 0)
		return text;
	free(text);
	return NULL;
}

static void print_closed(const struct plan *plan, FILE *file)
{
	(void)plan;
	boot_closed_print(file);
}

/* Puts ufw's part before the COMMIT of the table filter, in place of an earlier one. The sets are
 * made at once, for ufw may be reloaded before the next boot. */
static int boot_write_ufw(const struct plan *plan, const char *sets,
			  char problem[static PROGRAM_PROBLEM_MAX])
{
	if (program_run((const char *const[]){PROGRAM_IPSET, "-exist", "restore", NULL}, sets, NULL,
			problem) != 0)
		return -EIO;
	for (unsigned part = 0; part < N_UFW_PARTS; part++)
		for (enum family family = 0; family < N_FAMILIES; family++) {
			char *text CLEANUP(cleanup_free) = NULL;
			size_t size;
			FILE *file = open_memstream(&text, &size);
			int r;

			if (!file)
				return -ENOMEM;
			plan_print_ufw_part(plan, part, family, file);
			if (fclose(file) != 0)
				return -ENOMEM;
			r = managed_block_put(ufw_files[part][family], "*filter", "COMMIT", text);
			if (r < 0)
				return boot_fail(problem, ufw_files[part][family], r);
		}
	return 0;
}

static int boot_write_rules(const struct plan *plan, enum variant variant,
			    char problem[static PROGRAM_PROBLEM_MAX])
{
	bool is_nft = variant == VARIANT_NFT || variant == VARIANT_FIREWALLD;
	char *closed CLEANUP(cleanup_free) = plan_to_text(plan, print_closed);
	char *sets CLEANUP(cleanup_free) = plan_to_text(plan, plan_print_ipset);
	char *rules CLEANUP(cleanup_free) =
		plan_to_text(plan, variant == VARIANT_NFT	  ? plan_print_nft
				   : variant == VARIANT_FIREWALLD ? plan_print_firewalld
								  : plan_print_iptables);
	int r = boot_write(BOOT_CLOSED, closed, 0600, problem);

	if (r == 0 && !is_nft)
		r = boot_write(BOOT_SETS, sets, 0600, problem);
	if (rules && variant == VARIANT_IPTABLES)
		plan_omit_jump(rules);
	if (r == 0 && (is_nft || variant == VARIANT_IPTABLES))
		r = boot_write(is_nft ? BOOT_NFT : BOOT_IPTABLES, rules, 0600, problem);
	if (r == 0 && variant == VARIANT_UFW)
		r = boot_write_ufw(plan, sets, problem);
	return r;
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
	char *unit CLEANUP(cleanup_free) = unit_text(variant);
	int r = make_directory(KNOCKTAIL_FIREWALL, 0700, problem);

	if (r == 0)
		r = boot_write_rules(plan, variant, problem);
	if (r == 0)
		r = boot_write(BOOT_UNIT_PATH, unit, 0644, problem);
	if (r == 0)
		r = boot_link(BOOT_LINKS, problem);
	if (r == 0 && boot_unit_has_rules(variant))
		r = boot_link(BOOT_LINKS_NFT, problem);
	boot_reload();
	return r;
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
	char problem[PROGRAM_PROBLEM_MAX];
	enum variant installed;

	find_saved(variant, removal);
	if (variant == VARIANT_UFW)
		remove_ufw(removal);
	if (boot_installed(&installed) && installed != variant) {
		removal_left(removal, "%s: it is of `knocktail rules %s`", BOOT_UNIT_PATH,
			     variant_names[installed]);
		return;
	}
	/* It stops nothing that it has loaded. */
	if (access(BOOT_UNIT_PATH, F_OK) == 0 && access("/run/systemd/system", F_OK) == 0)
		program_run((const char *const[]){PROGRAM_SYSTEMCTL, "stop", BOOT_UNIT, NULL}, NULL,
			    NULL, problem);
	removal_unlink(removal, BOOT_LINKS "/" BOOT_UNIT);
	removal_unlink(removal, BOOT_LINKS_NFT "/" BOOT_UNIT);
	rmdir(BOOT_LINKS_NFT); /* if it is empty */
	removal_unlink(removal, BOOT_UNIT_PATH);
	for (size_t i = 0; i < sizeof files / sizeof files[0]; i++)
		removal_unlink(removal, files[i]);
	if (rmdir(KNOCKTAIL_FIREWALL) < 0 && errno != ENOENT)
		removal_left(removal, "%s: %s", KNOCKTAIL_FIREWALL, strerror(errno));
	boot_reload();
}
