/* The doctor's check of the next boot: what loads the rules and sets then, and in time?
 *
 * Only what is known to be read at boot counts. Where something else may load them, it is not said
 * that nothing does. */
#include "cli/doctor/checks.h"

#include <errno.h>
#include <fcntl.h>
#include <glob.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "cli/common/boot-paths.h"
#include "cli/doctor/finding.h"
#include "cli/rules/boot.h"
#include "config/config.h"
#include "util/cleanup.h"
#include "util/file.h"
#include "util/programs.h"

enum { SOURCE_FILES_MAX = 4, SOURCE_SIZE_MAX = 4 << 20, INCLUDES_MAX = 4 };
enum { PREFIX_SIZE = 256, SET_TEXT_SIZE = 256 };

enum { IN_IPV4 = 1 << FAMILY_IPV4, IN_IPV6 = 1 << FAMILY_IPV6, IN_BOTH = IN_IPV4 | IN_IPV6 };

/* What is read at boot, by which unit, and for which families. */
static const struct boot_source {
	const char *unit;
	unsigned families;
	const char *files[SOURCE_FILES_MAX];
} sources[] = {
	{BOOT_UNIT, IN_BOTH, {BOOT_SETS, BOOT_IPTABLES, BOOT_NFT}},
	{"nftables.service", IN_BOTH, {"/etc/nftables.conf", "/etc/sysconfig/nftables.conf"}},
	{"netfilter-persistent.service", IN_IPV4, {"/etc/iptables/rules.v4"}},
	{"netfilter-persistent.service", IN_IPV6, {"/etc/iptables/rules.v6"}},
	{"netfilter-persistent.service", IN_BOTH, {"/etc/iptables/ipsets"}},
	{"iptables.service", IN_IPV4, {"/etc/sysconfig/iptables"}},
	{"ip6tables.service", IN_IPV6, {"/etc/sysconfig/ip6tables"}},
	{"ipset.service", IN_BOTH, {"/etc/sysconfig/ipset"}},
	{"ufw.service",
	 IN_IPV4,
	 {UFW_DIRECTORY "/before.rules", UFW_DIRECTORY "/after.rules",
	  UFW_DIRECTORY "/user.rules"}},
	{"ufw.service",
	 IN_IPV6,
	 {UFW_DIRECTORY "/before6.rules", UFW_DIRECTORY "/after6.rules",
	  UFW_DIRECTORY "/user6.rules"}},
	{"ufw.service", IN_BOTH, {UFW_DIRECTORY "/before.init"}},
	{"firewalld.service", IN_BOTH, {"/etc/firewalld/direct.xml"}},
};

/* What may load anything: if it speaks of a firewall's programs, it is not known what. */
static const char *const scripts[] = {
	"/etc/rc.local",
	"/etc/network/interfaces",
	"/etc/network/interfaces.d/*",
	"/etc/network/if-pre-up.d/*",
	"/etc/network/if-up.d/*",
	"/etc/NetworkManager/dispatcher.d/*",
	BOOT_UNIT_DIRECTORY "/*.service",
};
static const char *const words[] = {"iptables", "ip6tables", "ipset", "nft "};
static const char *const managers[] = {"shorewall.service", "shorewall6.service", "ferm.service",
				       "firehol.service", "csf.service"};

/* The text, to be freed; NULL: it cannot be read. */
static char *source_read(const char *path)
{
	CLEANUP(cleanup_close) int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
	char *text;
	size_t size;

	return fd >= 0 && file_read(fd, SOURCE_SIZE_MAX, &text, &size) == 0 ? text : NULL;
}

/* Whether a line that is not a comment has it. */
static bool text_holds(const char *text, const char *wanted)
{
	for (const char *at = text; *wanted && (at = strstr(at, wanted)); at++) {
		const char *line = at;

		while (line > text && line[-1] != '\n')
			line--;
		if (line[strspn(line, " \t")] != '#')
			return true;
	}
	return false;
}

static bool file_holds(const char *path, const char *wanted, unsigned depth);

/* As nft reads include "PATTERN". */
static bool includes_hold(const char *text, const char *wanted, unsigned depth)
{
	static const char word[] = "include \"";
	bool holds = false;

	for (const char *at = text; !holds && (at = strstr(at, word)); at += sizeof word - 1) {
		const char *name = at + sizeof word - 1;
		int length = (int)strcspn(name, "\"\n");
		char *pattern CLEANUP(cleanup_free) = NULL;
		glob_t found = {0};

		if (at > text && at[-1] != '\n')
			continue;
		if (asprintf(&pattern, "%s%.*s", *name == '/' ? "" : "/etc/", length, name) < 0) {
			pattern = NULL;
			continue;
		}
		if (glob(pattern, 0, NULL, &found) == 0)
			for (size_t i = 0; i < found.gl_pathc && !holds; i++)
				holds = file_holds(found.gl_pathv[i], wanted, depth - 1);
		globfree(&found);
	}
	return holds;
}

static bool file_holds(const char *path, const char *wanted, unsigned depth)
{
	char *text CLEANUP(cleanup_free) = source_read(path);

	return text &&
	       (text_holds(text, wanted) || (depth > 0 && includes_hold(text, wanted, depth)));
}

static bool unit_is_enabled(const char *unit)
{
	static const char *const kinds[] = {"wants", "requires"};
	bool enabled = false;

	for (size_t i = 0; i < sizeof kinds / sizeof kinds[0] && !enabled; i++) {
		char *pattern CLEANUP(cleanup_free) = NULL;
		glob_t found = {0};

		if (asprintf(&pattern, BOOT_UNIT_DIRECTORY "/*.%s/%s", kinds[i], unit) < 0) {
			pattern = NULL;
			continue;
		}
		enabled = glob(pattern, 0, NULL, &found) == 0;
		globfree(&found);
	}
	return enabled;
}

static bool source_is_read(const struct boot_source *source)
{
	return unit_is_enabled(source->unit) &&
	       (strcmp(source->unit, "ufw.service") != 0 || boot_ufw_is_on());
}

/* The unit that loads a file with this text in it for the family; NULL: none does. */
static const char *find_loader(const char *wanted, enum family family)
{
	for (size_t i = 0; i < sizeof sources / sizeof sources[0]; i++) {
		const struct boot_source *source = &sources[i];

		if (!(source->families & 1U << family) || !source_is_read(source))
			continue;
		for (unsigned j = 0; j < SOURCE_FILES_MAX && source->files[j]; j++)
			if (file_holds(source->files[j], wanted, INCLUDES_MAX))
				return source->unit;
	}
	return NULL;
}

/* Which kind of rules to install. */
static const char *doctor_variant(const struct doctor *doctor)
{
	for (size_t i = 0; i < doctor->config->n_doors; i++)
		if (doctor->config->doors[i].opening.backend == BACKEND_NFT)
			return unit_is_enabled("firewalld.service") ? "firewalld" : "nft";
	return boot_ufw_is_on() && unit_is_enabled("ufw.service") ? "ufw" : "iptables";
}

/* Not ours, and not another name of a unit that a package has brought. */
static bool is_script(const char *path)
{
	struct stat status;

	return strcmp(path, BOOT_UNIT_PATH) != 0 && lstat(path, &status) == 0 &&
	       S_ISREG(status.st_mode);
}

/* Something that may load rules, and cannot be seen through, to be freed; NULL: there is none. */
static char *find_unknown(void)
{
	for (size_t i = 0; i < sizeof managers / sizeof managers[0]; i++)
		if (unit_is_enabled(managers[i]))
			return strdup(managers[i]);
	for (size_t i = 0; i < sizeof scripts / sizeof scripts[0]; i++) {
		glob_t found = {0};
		char *path = NULL;

		if (glob(scripts[i], 0, NULL, &found) != 0)
			continue;
		for (size_t j = 0; j < found.gl_pathc && !path; j++)
			for (size_t k = 0; k < sizeof words / sizeof words[0] && !path; k++)
				if (is_script(found.gl_pathv[j]) &&
				    file_holds(found.gl_pathv[j], words[k], 0))
					path = strdup(found.gl_pathv[j]);
		globfree(&found);
		if (path)
			return path;
	}
	return NULL;
}

/* The prefix as far as no firewall writes it in another way; "": not at all. */
static void plain_prefix(const struct doctor *doctor, char text[static PREFIX_SIZE])
{
	size_t length = strcspn(doctor->config->log_prefix, "\"\\$'");

	while (length > 0 && doctor->config->log_prefix[length - 1] == ' ')
		length--;
	snprintf(text, PREFIX_SIZE, "%.*s", (int)length, doctor->config->log_prefix);
}

/* What the door needs and nothing loads, in words to be freed; NULL: there is nothing. */
static char *door_lacks(const struct doctor *doctor, const struct door *door, enum family family)
{
	const char *set = door->opening.set[family];
	char wanted[SET_TEXT_SIZE], prefix[PREFIX_SIZE], *lack = NULL;

	plain_prefix(doctor, prefix);
	if (filter_is_logged_here(&door->knock.filter) && *prefix && !find_loader(prefix, family)) {
		if (asprintf(&lack, "%s rules that log with the prefix \"%s\"", family_name(family),
			     doctor->config->log_prefix) < 0)
			lack = NULL;
		return lack;
	}
	if (!set)
		return NULL;
	if (door->opening.backend == BACKEND_IPSET)
		snprintf(wanted, sizeof wanted, "create %s ", set);
	else if (door->opening.backend == BACKEND_NFT)
		snprintf(wanted, sizeof wanted, "set %s {", strrchr(set, ' ') + 1);
	else
		return NULL;
	if (!find_loader(wanted, family) &&
	    asprintf(&lack, "the set %s of door %s", set, door->name) < 0)
		lack = NULL;
	return lack;
}

static char *doctor_lacks(const struct doctor *doctor)
{
	char *lack = NULL;

	for (size_t i = 0; i < doctor->config->n_doors && !lack; i++) {
		const struct door *door = &doctor->config->doors[i];

		for (enum family family = 0; family < N_FAMILIES && !lack; family++)
			if (doctor_looks_at(doctor, door) && door_opens_for(door, family) &&
			    doctor->sides[family].is_there)
				lack = door_lacks(doctor, door, family);
	}
	return lack;
}

static void say_lack(struct doctor *doctor, const char *lack)
{
	char *unknown CLEANUP(cleanup_free) = find_unknown();
	char advice[BOOT_COMMAND_SIZE];

	if (boot_compare(doctor->config, advice) != BOOT_OTHER)
		snprintf(advice, sizeof advice, "knocktail rules %s --install",
			 doctor_variant(doctor));
	if (unknown)
		doctor_say(doctor, FINDING_UNKNOWN, NULL, "only %s, if anything, loads %s", unknown,
			   lack);
	else
		doctor_say(doctor, FINDING_PROBLEM, advice, "at the next boot nothing loads %s",
			   lack);
}

/* Whether what --install has written is not what it would write now, which is said. */
static bool say_installed(struct doctor *doctor)
{
	char command[BOOT_COMMAND_SIZE];
	enum boot_age age = boot_compare(doctor->config, command);

	if (age == BOOT_OTHER)
		doctor_say(doctor, FINDING_WARNING, command,
			   "what is loaded at the next boot is not what this configuration needs: "
			   "it has changed since `rules --install`");
	else if (age == BOOT_UNKNOWN)
		doctor_say(doctor, FINDING_UNKNOWN, NULL,
			   "whether what `rules --install` has written is of this configuration "
			   "cannot be seen");
	return age == BOOT_OTHER || age == BOOT_UNKNOWN;
}

static void say_loader(struct doctor *doctor)
{
	char prefix[PREFIX_SIZE];
	const char *unit;

	plain_prefix(doctor, prefix);
	unit = find_loader(prefix, FAMILY_IPV4);
	if (!unit)
		unit = find_loader(prefix, FAMILY_IPV6);
	if (unit && strcmp(unit, BOOT_UNIT) == 0 && access(PROGRAM_NFT, X_OK) < 0)
		doctor_say(doctor, FINDING_PROBLEM, "apt install nftables",
			   "%s cannot load the rules without %s", BOOT_UNIT, PROGRAM_NFT);
	else if (say_installed(doctor))
		return;
	else if (unit)
		doctor_say(doctor, FINDING_OK, NULL, "%s loads the rules", unit);
	else
		doctor_say(doctor, FINDING_OK, NULL,
			   "nothing that these doors need has to be loaded");
}

static bool is_shut(const struct doctor *doctor)
{
	for (size_t i = 0; i < doctor->ruleset.n_tables; i++)
		if (strcmp(doctor->ruleset.tables[i].name, "nft inet " BOOT_CLOSED_TABLE) == 0)
			return true;
	return false;
}

void doctor_check_boot(struct doctor *doctor)
{
	char *lack CLEANUP(cleanup_free) = NULL;

	if (is_shut(doctor)) {
		doctor_say(doctor, FINDING_PROBLEM,
			   "mend what journalctl -u knocktail-firewall says, and systemctl restart "
			   "knocktail-firewall",
			   "the rules could not be loaded, and nobody is let in");
		return;
	}
	if (geteuid() != 0 || access("/run/systemd/system", F_OK) < 0) {
		doctor_say(doctor, FINDING_UNKNOWN, NULL, "%s",
			   geteuid() != 0 ? "only root can see what loads the rules"
					  : "systemd does not run here");
		return;
	}
	lack = doctor_lacks(doctor);
	if (lack)
		say_lack(doctor, lack);
	else
		say_loader(doctor);
}
