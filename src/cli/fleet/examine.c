#include "cli/fleet/examine.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "cli/doctor/finding.h"
#include "cli/fleet/look.h"
#include "cli/fleet/report.h"
#include "fleet/config.h"
#include "fleet/key.h"
#include "util/cleanup.h"
#include "util/clock.h"
#include "util/program.h"
#include "util/programs.h"

/* How far a clock may be ahead, and how soon a certificate may end. */
#define CLOCK_US (3 * US_PER_S)
#define SOON_S	 "1209600"

DEFINE_CLEANUP(struct fleet_config *, fleet_config_free)
DEFINE_CLEANUP(struct json_object *, json_object_put)

static void on_complaint(void *userdata, unsigned line, const char *text)
{
	(void)userdata;
	(void)line;
	(void)text;
}

static void doctor_check_broker(struct doctor *doctor, const struct json_object *report)
{
	if (!fleet_report_flag(report, "broker"))
		doctor_say(doctor, FINDING_PROBLEM, "journalctl -u knocktail-fleetd",
			   "the broker cannot be reached: %s",
			   fleet_report_text(report, "problem"));
	if (!fleet_report_flag(report, "daemon"))
		doctor_say(doctor, FINDING_PROBLEM, "systemctl status knocktaild dbus",
			   "knocktail-fleetd does not find knocktaild on the bus");
}

/* What a host says of its clock is as old as the message at least. */
static void doctor_check_clocks(struct doctor *doctor, const struct json_object *report)
{
	const struct json_object *shares = json_object_object_get(report, "shares");
	uint64_t written_us = fleet_report_number(report, "written_us");

	for (size_t i = 0; i < json_object_array_length(shares); i++) {
		const struct json_object *share = json_object_array_get_idx(shares, i);
		uint64_t said_us = fleet_report_number(share, "said_us");

		if (said_us > written_us + CLOCK_US)
			doctor_say(doctor, FINDING_WARNING, "timedatectl, here and there",
				   "the clock of %s is %" PRIu64
				   " s ahead of ours: doors close late or early by that",
				   fleet_report_text(share, "host"),
				   (said_us - written_us) / US_PER_S);
	}
}

static void doctor_check_key(struct doctor *doctor, const char *path)
{
	const char *fault;
	struct secret key;

	if (fleet_key_read(path, &key, &fault) < 0)
		doctor_say(doctor, FINDING_PROBLEM, "knocktail check", "%s: %s", path, fault);
	secret_wipe(&key);
}

/* Where there is no openssl(1) it is not known. */
static void doctor_check_certificate(struct doctor *doctor, const char *path)
{
	const char *const argv[] = {PROGRAM_OPENSSL, "x509", "-noout", "-in", path,
				    "-checkend",     SOON_S, NULL};
	char problem[PROGRAM_PROBLEM_MAX];

	if (*path && access(PROGRAM_OPENSSL, X_OK) == 0 && access(path, R_OK) == 0 &&
	    program_run(argv, NULL, NULL, problem) == 1)
		doctor_say(doctor, FINDING_WARNING,
			   "have a new one made, and restart knocktail-fleetd",
			   "%s ends within two weeks, or is over", path);
}

void doctor_check_fleet(struct doctor *doctor)
{
	CLEANUP(cleanup_fleet_config_free) struct fleet_config *config = NULL;
	CLEANUP(cleanup_json_object_put) struct json_object *report = NULL;
	char path[PATH_MAX];
	int r;

	fleet_look_for(doctor->config_path, path);
	r = fleet_config_load(path, on_complaint, NULL, &config);
	if (r == -ENOENT) {
		doctor_say(doctor, FINDING_OK, NULL, "this host is in no fleet");
		return;
	}
	if (r == -EACCES) {
		doctor_say(doctor, FINDING_UNKNOWN, "run this as root", "%s: %s", path,
			   strerror(EACCES));
		return;
	}
	if (r < 0) {
		doctor_say(doctor, FINDING_PROBLEM, "knocktail check", "%s is wrong", path);
		return;
	}
	r = fleet_report_read(FLEET_REPORT_PATH, clock_us(CLOCK_REALTIME), &report);
	if (r == -ENOENT || r == -ESTALE)
		doctor_say(doctor, FINDING_PROBLEM, "systemctl enable --now knocktail-fleetd",
			   "knocktail-fleetd does not run");
	else if (r < 0)
		doctor_say(doctor, FINDING_UNKNOWN, r == -EACCES ? "run this as root" : NULL,
			   "cannot read %s: %s", FLEET_REPORT_PATH, strerror(-r));
	if (r == 0) {
		doctor_check_broker(doctor, report);
		doctor_check_clocks(doctor, report);
	}
	if (geteuid() == 0)
		doctor_check_key(doctor, config->key);
	doctor_check_certificate(doctor, config->ca);
	doctor_check_certificate(doctor, config->certificate);
	if (doctor->n_said == 0)
		doctor_say(doctor, FINDING_OK, NULL, "connected to the broker of %s as %s",
			   config->name, config->host);
}
