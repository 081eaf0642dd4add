#include "cli/fleet/examine.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cli/doctor/finding.h"
#include "cli/fleet/look.h"
#include "cli/fleet/report.h"
#include "config/config.h"
#include "fleet/config.h"
#include "fleet/key.h"
#include "util/cleanup.h"
#include "util/clock.h"
#include "util/program.h"
#include "util/programs.h"

/* How far a clock may be off, how long it may take until others are heard, and how soon a
 * certificate may end. */
#define CLOCK_US (3 * (int64_t)US_PER_S)
#define ALONE_US (120 * US_PER_S)
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

/* How far the clock of a host is ahead of ours. What the broker had kept says nothing of one that
 * is behind. */
static int64_t share_ahead_us(const struct json_object *share, uint64_t written_us)
{
	uint64_t heard_us = fleet_report_number(share, "heard_us");
	int64_t ahead_us = (int64_t)(fleet_report_number(share, "said_us") -
				     (heard_us > 0 ? heard_us : written_us));

	return heard_us > 0 || ahead_us > 0 ? ahead_us : 0;
}

static void doctor_check_clocks(struct doctor *doctor, const struct json_object *report)
{
	const struct json_object *shares = json_object_object_get(report, "shares");
	uint64_t written_us = fleet_report_number(report, "written_us");
	const char *host = NULL;
	int64_t furthest_us = 0;

	for (size_t i = 0; i < json_object_array_length(shares); i++) {
		const struct json_object *share = json_object_array_get_idx(shares, i);
		int64_t ahead_us = share_ahead_us(share, written_us);

		if (llabs(ahead_us) <= llabs(furthest_us))
			continue;
		furthest_us = ahead_us;
		host = fleet_report_text(share, "host");
	}
	if (llabs(furthest_us) > CLOCK_US)
		doctor_say(doctor, FINDING_WARNING, "timedatectl, here and there",
			   "the clock of %s is %lld s %s ours: doors close late or early by that",
			   host, llabs(furthest_us) / (long long)US_PER_S,
			   furthest_us > 0 ? "ahead of" : "behind");
}

/* Why nothing may be shared although all are connected. */
static void doctor_check_counts(struct doctor *doctor, const struct json_object *report)
{
	const struct json_object *counts = json_object_object_get(report, "counts");
	uint64_t n_good =
		fleet_report_number(counts, "accepted") + fleet_report_number(counts, "repeated");
	uint64_t n_stale = fleet_report_number(counts, "stale");
	const char *refusal = fleet_report_text(report, "refusal");
	const struct {
		uint64_t n;
		const char *text, *advice;
	} blamed[] = {
		{fleet_report_number(counts, "forged"),
		 n_good == 0 ? "are not sealed with our key, and none is: it is not the fleet's"
			     : "are not sealed with the fleet's key: a host has another one, or "
			       "somebody without it writes to the broker",
		 "have one key on all hosts, and restart knocktail-fleetd"},
		{fleet_report_number(counts, "version"), "are of another version",
		 "have one version of knocktail-fleetd on all hosts"},
		{fleet_report_number(counts, "future"),
		 "are from the future: a host's clock is ahead, or ours is behind",
		 "timedatectl, here and there"},
		/* Some are, where what they are about ends while they are under way. */
		{n_stale > n_good / 4 ? n_stale : 0,
		 "came when their time was over: a host's clock is behind, or ours is ahead",
		 "timedatectl, here and there"},
	};

	for (size_t i = 0; i < sizeof blamed / sizeof blamed[0]; i++)
		if (blamed[i].n > 0)
			doctor_say(doctor, FINDING_WARNING, blamed[i].advice,
				   "%" PRIu64 " messages of the fleet %s", blamed[i].n,
				   blamed[i].text);
	if (*refusal)
		doctor_say(doctor, FINDING_WARNING, "knocktail reload, if the configuration is new",
			   "knocktaild has refused what other hosts have said, at last: %s",
			   refusal);
}

static void doctor_check_company(struct doctor *doctor, const struct json_object *report)
{
	uint64_t since_us = fleet_report_number(report, "broker_since_us");

	if (doctor->n_said == 0 &&
	    fleet_report_number(report, "written_us") > since_us + ALONE_US &&
	    json_object_array_length(json_object_object_get(report, "shares")) == 0)
		doctor_say(doctor, FINDING_WARNING,
			   "systemctl status knocktail-fleetd on the others, whose [fleet] has the "
			   "same name",
			   "no other host of the fleet is heard");
}

static void doctor_check_doors(struct doctor *doctor, const struct fleet_config *fleet,
			       const char *path)
{
	for (size_t i = 0; i < doctor->config->n_doors; i++) {
		const struct door *door = &doctor->config->doors[i];

		if (doctor_looks_at(doctor, door) && fleet_lacks(fleet, door))
			doctor_say(doctor, FINDING_WARNING, "doc/fleet.md, knocktail-fleet.conf(5)",
				   fleet ? "the door %s says fleet = yes, but [doors] of %s does "
					   "not have it"
					 : "the door %s says fleet = yes, but there is no %s",
				   door->name, path);
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
	const char *const whole[] = {PROGRAM_OPENSSL, "x509", "-noout", "-in", path, NULL};
	const char *const lasting[] = {PROGRAM_OPENSSL, "x509", "-noout", "-in", path,
				       "-checkend",	SOON_S, NULL};
	char problem[PROGRAM_PROBLEM_MAX];

	if (!*path || access(PROGRAM_OPENSSL, X_OK) < 0 || access(path, R_OK) < 0)
		return;
	if (program_run(whole, NULL, NULL, problem) == 1)
		doctor_say(doctor, FINDING_PROBLEM, "copy it again, and restart knocktail-fleetd",
			   "%s holds no certificate that openssl can read", path);
	else if (program_run(lasting, NULL, NULL, problem) == 1)
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
	if (r == 0 || r == -ENOENT)
		doctor_check_doors(doctor, config, path);
	if (r == -ENOENT) {
		if (doctor->n_said == 0)
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
		doctor_check_counts(doctor, report);
		doctor_check_company(doctor, report);
	}
	if (geteuid() == 0)
		doctor_check_key(doctor, config->key);
	doctor_check_certificate(doctor, config->ca);
	doctor_check_certificate(doctor, config->certificate);
	if (doctor->n_said == 0)
		doctor_say(doctor, FINDING_OK, NULL, "connected to the broker of %s as %s",
			   config->name, config->host);
}
