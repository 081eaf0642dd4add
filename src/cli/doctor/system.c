/* The doctor's checks of what is not the firewall: the journal, the daemon, the clock. */
#include "cli/doctor/checks.h"

#include <dirent.h>
#include <errno.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/timex.h>
#include <time.h>
#include <unistd.h>

#include "cli/common/process.h"
#include "cli/doctor/finding.h"
#include "config/config.h"
#include "input/input.h"
#include "input/journald-conf.h"
#include "keys/keyring.h"
#include "util/cleanup.h"
#include "util/clock.h"
#include "util/number.h"
#include "util/program.h"
#include "util/programs.h"

DEFINE_CLEANUP(struct input *, input_free)

/* As which the firewall logs, unless it is told otherwise. */
enum { LEVEL_WARNING = 4 };

void doctor_check_journal(struct doctor *doctor)
{
	CLEANUP(cleanup_input_free) struct input *input = NULL;
	int r = input_new_journal(NULL, NULL, clock_us(CLOCK_REALTIME), UINT64_MAX, &input);

	if (r < 0)
		doctor_say(doctor, FINDING_PROBLEM, "is systemd-journald running?",
			   "the journal cannot be opened: %s", strerror(-r));
	else if (!input_sees_files(input) && geteuid() != 0)
		doctor_say(doctor, FINDING_UNKNOWN,
			   "run this as root; the daemon's user has to be in the group "
			   "systemd-journal",
			   "no file of the journal can be read");
	else if (!input_sees_files(input))
		doctor_say(doctor, FINDING_PROBLEM, "is systemd-journald running?",
			   "the journal has no file");
	else
		doctor_say(doctor, FINDING_OK, NULL, "its files can be read");
}

/* Where its files are, on a disk and in memory. */
static const char system_home[] = "/var/log/journal", runtime_home[] = "/run/log/journal";

/* Of the file system, but no more than that: journald.conf(5). */
enum { DEFAULT_SHARE = 10 };
#define DEFAULT_MAX UINT64_C(4294967296)

static bool is_in_memory(const struct journald_conf *journald)
{
	return journald->is_volatile || access(system_home, F_OK) < 0;
}

/* How much it keeps at most. */
static void note_journal_max(struct doctor *doctor, const struct journald_conf *journald)
{
	bool is_volatile = is_in_memory(journald);
	uint64_t max = is_volatile ? journald->runtime_max : journald->system_max;
	struct statvfs status;

	if (max == 0 && statvfs(is_volatile ? runtime_home : system_home, &status) == 0) {
		max = (uint64_t)status.f_blocks * status.f_frsize / DEFAULT_SHARE;
		max = max < DEFAULT_MAX ? max : DEFAULT_MAX;
	}
	doctor->journal_max = max;
	doctor->journal_bound = is_volatile ? "RuntimeMaxUse=" : "SystemMaxUse=";
}

void doctor_check_journald(struct doctor *doctor)
{
	static const char *const argv[] = {PROGRAM_SYSTEMD_ANALYZE, "cat-config",
					   "systemd/journald.conf", NULL};
	static const char advice[] =
		"change it in /etc/systemd/journald.conf and restart systemd-journald";
	char *text CLEANUP(cleanup_free) = NULL, problem[PROGRAM_PROBLEM_MAX];
	char pid[PROCESS_PID_SIZE];
	struct journald_conf journald;

	if (program_run(argv, NULL, &text, problem) != 0) {
		doctor_say(doctor, FINDING_UNKNOWN, NULL, "its settings cannot be read: %s",
			   problem);
		return;
	}
	journald_conf_read(text, &journald);
	note_journal_max(doctor, &journald);
	/* Where nothing comes through, that is said here and not of each rule. */
	if (journald.max_level >= LEVEL_WARNING)
		doctor->max_level = journald.max_level;
	if (processes_are_seen() && !process_find("systemd-journal", pid))
		doctor_say(doctor, FINDING_PROBLEM, "systemctl start systemd-journald",
			   "systemd-journald is not running");
	if (!journald.stores)
		doctor_say(doctor, FINDING_PROBLEM, advice, "Storage=none: it stores nothing");
	if (!journald.reads_kernel)
		doctor_say(doctor, FINDING_PROBLEM, advice,
			   "ReadKMsg=no: it does not read what the kernel logs");
	if (journald.max_level < LEVEL_WARNING)
		doctor_say(
			doctor, FINDING_PROBLEM, advice,
			"MaxLevelStore=%u: it drops warnings, the level at which the firewall logs",
			journald.max_level);
	if (doctor->n_said == 0 && is_in_memory(&journald))
		doctor_say(
			doctor, FINDING_OK,
			"to keep it: Storage=persistent in /etc/systemd/journald.conf, and restart "
			"systemd-journald",
			"it stores what the kernel logs, but in memory: `knocktail audit` knows "
			"nothing of before the last boot");
	else if (doctor->n_said == 0)
		doctor_say(doctor, FINDING_OK, NULL, "it stores what the kernel logs");
}

void doctor_check_daemon(struct doctor *doctor)
{
	char pid[PROCESS_PID_SIZE];

	doctor->is_daemon_unseen = !processes_are_seen();
	if (doctor->is_daemon_unseen)
		doctor_say(doctor, FINDING_UNKNOWN, NULL,
			   "no process can be seen: /proc is missing");
	else if (process_find("knocktaild", pid))
		doctor_say(doctor, FINDING_OK, NULL, "knocktaild runs as process %s", pid);
	else
		doctor_say(
			doctor, FINDING_PROBLEM,
			"systemctl enable --now knocktaild; journalctl -u knocktaild says why it ended",
			"knocktaild is not running");
}

static void on_key_complaint(void *userdata, const char *file, const char *text)
{
	struct doctor *doctor = userdata;

	doctor_say(doctor, FINDING_PROBLEM, NULL, "%s%s%s: %s", doctor->config->keys,
		   file ? "/" : "", file ? file : "", text);
}

static void doctor_check_terms(struct doctor *doctor, const struct keyring *keyring)
{
	uint64_t now_s = clock_us(CLOCK_REALTIME) / US_PER_S;
	char text[KEY_WARNING_SIZE];

	for (size_t i = 0; i < keyring->n; i++)
		if (keyring_warning(keyring, i, now_s, text))
			doctor_say(doctor,
				   key_term_holds(&keyring->terms[i], now_s) ? FINDING_WARNING
									     : FINDING_PROBLEM,
				   NULL, "the key of %s: %s", keyring->holders[i].user, text);
}

static void doctor_check_users(struct doctor *doctor, const struct door *door,
			       const struct keyring *keyring)
{
	for (char *const *user = door->users; user && *user; user++)
		if (strcmp(*user, "*") != 0 && keyring_find(keyring, *user) == SIZE_MAX)
			doctor_say(doctor, FINDING_PROBLEM, "make one: knocktail keygen",
				   "door %s: %s has no key", door->name, *user);
}

/* Whether the daemon, which is not root, cannot do this (of the bits S_IRWXO). */
static bool is_for_root(const struct stat *status, mode_t bits)
{
	return status->st_uid == 0 && (status->st_mode & bits) != bits &&
	       (status->st_gid == 0 || (status->st_mode >> 3 & bits) != bits);
}

static void say_for_root(struct doctor *doctor, const char *name)
{
	doctor_say(doctor, FINDING_PROBLEM,
		   "chgrp knocktail and chmod g+rX the directory and the keys in it",
		   "%s%s%s: only root can read it, but the daemon does not run as root",
		   doctor->config->keys, *name ? "/" : "", name);
}

static void check_daemon_reads(struct doctor *doctor)
{
	CLEANUP(cleanup_closedir) DIR *keys = opendir(doctor->config->keys);
	const struct dirent *entry;
	struct stat status;

	if (keys && fstat(dirfd(keys), &status) == 0 && is_for_root(&status, S_IROTH | S_IXOTH))
		say_for_root(doctor, "");
	while (keys && doctor->n_said == 0 && (entry = readdir(keys))) {
		const char *end = strrchr(entry->d_name, '.');

		if (end && strcmp(end, ".key") == 0 &&
		    fstatat(dirfd(keys), entry->d_name, &status, 0) == 0 &&
		    is_for_root(&status, S_IROTH))
			say_for_root(doctor, entry->d_name);
	}
}

static bool doctor_needs_keys(const struct doctor *doctor)
{
	for (size_t i = 0; i < doctor->config->n_doors; i++)
		if (doctor->config->doors[i].auth & (AUTH_TOKEN | AUTH_SPA))
			return true;
	return false;
}

void doctor_check_keys(struct doctor *doctor)
{
	struct keyring *keyring = NULL;
	int r;

	if (!doctor_needs_keys(doctor)) {
		doctor_say(doctor, FINDING_OK, NULL, "no door needs any");
		return;
	}
	if (access(doctor->config->keys, R_OK | X_OK) < 0 && errno == EACCES) {
		doctor_say(doctor, FINDING_UNKNOWN, "run this as root", "%s: %s",
			   doctor->config->keys, strerror(EACCES));
		return;
	}
	r = sodium_init() < 0 ? -EIO
			      : keyring_load(doctor->config->keys, doctor->config->realm,
					     on_key_complaint, doctor, &keyring);
	if (r < 0 && doctor->n_said == 0)
		doctor_say(doctor, FINDING_PROBLEM, NULL, "they cannot be read: %s", strerror(-r));
	for (size_t i = 0; r >= 0 && i < doctor->config->n_doors; i++)
		doctor_check_users(doctor, &doctor->config->doors[i], keyring);
	if (r >= 0)
		doctor_check_terms(doctor, keyring);
	keyring_free(keyring);
	check_daemon_reads(doctor);
	if (doctor->n_said == 0)
		doctor_say(doctor, FINDING_OK, NULL,
			   "each user has a key that nobody but the daemon can read");
}

void doctor_check_clock(struct doctor *doctor)
{
	struct timex timex = {0};
	int state = adjtimex(&timex);

	if (state < 0)
		doctor_say(doctor, FINDING_WARNING, NULL,
			   "cannot read the kernel's clock state: %s", strerror(errno));
	else if (state != TIME_ERROR && !(timex.status & STA_UNSYNC))
		doctor_say(doctor, FINDING_OK, NULL, "synchronised");
	else if (doctor_needs_keys(doctor))
		doctor_say(doctor, FINDING_WARNING, "timedatectl set-ntp true",
			   "not synchronised: tokens and SPA knocks are refused when it is further "
			   "off than clock_skew");
	else
		doctor_say(doctor, FINDING_OK, NULL, "not synchronised, and no door depends on it");
}
