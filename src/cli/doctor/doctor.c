/* knocktail doctor: what could keep a knock from opening a door? */
#include "cli/doctor/doctor.h"

#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cli/common/config.h"
#include "cli/common/json.h"
#include "cli/common/options.h"
#include "cli/common/output.h"
#include "cli/doctor/attempt.h"
#include "cli/doctor/checks.h"
#include "cli/doctor/finding.h"
#include "cli/doctor/network.h"
#include "cli/fleet/examine.h"
#include "cli/verb.h"
#include "config/config.h"
#include "input/journald-conf.h"
#include "util/duration.h"

#define US_PER_S UINT64_C(1000000)

/* In the order in which a knock travels: one that fails explains those that come after it. */
static const struct check {
	const char *name;
	void (*run)(struct doctor *doctor);
	bool is_of_rules; /* goes by the loaded rules alone */
} checks[] = {
	{.name = "journal", .run = doctor_check_journal},
	{.name = "journald", .run = doctor_check_journald},
	{.name = "firewall", .run = doctor_check_ruleset},
	{.name = "expected", .run = doctor_check_expected},
	{.name = "neighbours", .run = doctor_check_neighbours, .is_of_rules = true},
	{.name = "log", .run = doctor_check_log, .is_of_rules = true},
	{.name = "limit", .run = doctor_check_limit, .is_of_rules = true},
	{.name = "records", .run = doctor_check_records},
	{.name = "readers", .run = doctor_check_readers},
	{.name = "daemon", .run = doctor_check_daemon},
	{.name = "members", .run = doctor_check_members},
	{.name = "target", .run = doctor_check_target},
	{.name = "accept", .run = doctor_check_accept, .is_of_rules = true},
	{.name = "closed", .run = doctor_check_closed, .is_of_rules = true},
	{.name = "established", .run = doctor_check_established, .is_of_rules = true},
	{.name = "drop", .run = doctor_check_drop, .is_of_rules = true},
	{.name = "boot", .run = doctor_check_boot},
	{.name = "keys", .run = doctor_check_keys},
	{.name = "clock", .run = doctor_check_clock},
	{.name = "fleet", .run = doctor_check_fleet},
};

static void doctor_init(struct doctor *doctor)
{
	doctor->max_level = JOURNALD_LEVEL_MAX;
	doctor->lacks_target = calloc(doctor->config->n_doors, sizeof doctor->lacks_target[0]);
	doctor_look_at_network(doctor);
}

static void doctor_done(struct doctor *doctor)
{
	ruleset_done(&doctor->ruleset);
	doctor_forget_network(doctor);
	free(doctor->lacks_target);
	free(doctor->said);
}

static void run_check(struct doctor *doctor, const struct check *check)
{
	doctor->check = check->name;
	doctor->n_said = 0;
	free(doctor->said);
	doctor->said = NULL;
	if (check->is_of_rules && doctor->is_blind)
		doctor_say(doctor, FINDING_UNKNOWN, NULL, "the firewall's rules could not be read");
	else
		check->run(doctor);
}

static void print_findings(const struct doctor *doctor)
{
	struct json_object *document = json_object_new_object();

	json_put(document, "findings", doctor->findings);
	json_put_number(document, "problems", doctor->n_problems);
	json_put_number(document, "warnings", doctor->n_warnings);
	json_put_number(document, "unknown", doctor->n_unknown);
	json_print(document);
}

static enum status doctor_examine(const struct config *config, const char *path,
				  const struct door *only, bool json)
{
	struct doctor doctor = {.config = config, .config_path = path, .only = only};

	if (json)
		doctor.findings = json_object_new_array();
	if (json && !doctor.findings)
		return STATUS_FAILED;
	doctor_init(&doctor);
	for (size_t i = 0; i < sizeof checks / sizeof checks[0]; i++)
		run_check(&doctor, &checks[i]);
	doctor_done(&doctor);
	if (json)
		print_findings(&doctor);
	else if (doctor.n_problems + doctor.n_warnings + doctor.n_unknown == 0)
		puts("nothing is wrong");
	else if (doctor.n_problems + doctor.n_warnings == 0)
		printf("nothing is wrong as far as can be seen (unknown: %zu)\n", doctor.n_unknown);
	else
		printf("problems: %zu, warnings: %zu, unknown: %zu\n", doctor.n_problems,
		       doctor.n_warnings, doctor.n_unknown);
	return doctor.n_problems > 0 || doctor.is_blind || doctor.is_daemon_unseen ? STATUS_FAILED
										   : STATUS_OK;
}

size_t doctor_examine_rules(const struct config *config)
{
	static const char *const names[] = {"firewall",	   "expected", "neighbours", "log",
					    "limit",	   "target",   "accept",     "closed",
					    "established", "drop"};
	struct doctor doctor = {.config = config, .is_terse = true};

	doctor_init(&doctor);
	for (size_t i = 0; i < sizeof checks / sizeof checks[0]; i++)
		for (size_t j = 0; j < sizeof names / sizeof names[0]; j++)
			if (strcmp(checks[i].name, names[j]) == 0)
				run_check(&doctor, &checks[i]);
	doctor_done(&doctor);
	return doctor.n_problems + doctor.is_blind;
}

struct doctor_options {
	const char *config, *door, *knock;
	uint64_t timeout_us;
	bool json;
};

static enum status doctor_execute(const struct doctor_options *options)
{
	struct config *config;
	struct address source;
	const struct door *only = NULL;
	enum status status;
	int r;

	if (options->knock && address_parse(options->knock, &source) < 0) {
		fprintf(stderr, "knocktail doctor: '%s' is not an address\n", options->knock);
		return STATUS_USAGE;
	}
	status = verb_load_config(options->config, &config);
	if (status != STATUS_OK)
		return status;
	status = STATUS_USAGE;
	if (options->door)
		only = config_find_door(config, options->door);
	if (options->door && !only) {
		fprintf(stderr, "knocktail doctor: no door '%s'\n", options->door);
	} else if (options->knock) {
		r = attempt_follow(config, only, &source, options->timeout_us, options->json);
		if (r < 0)
			fprintf(stderr, "knocktail doctor: %s\n", strerror(-r));
		status = r == ATTEMPT_OPENED ? STATUS_OK : STATUS_FAILED;
	} else {
		status = doctor_examine(config, options->config, only, options->json);
	}
	config_free(config);
	return status;
}

static enum status doctor_run(int argc, char *argv[])
{
	struct doctor_options wanted = {.config = KNOCKTAIL_CONF, .timeout_us = 60 * US_PER_S};
	enum status status;
	const struct verb_option options[] = {
		{"config", 'c', .text = &wanted.config},
		{"knock", .text = &wanted.knock},
		{"timeout", .span_us = &wanted.timeout_us},
		{"output", 'o', .json = &wanted.json},
		{0},
	};

	if (!options_read(&verb_doctor, argc, argv, options, &status))
		return status;
	if (optind < argc)
		wanted.door = argv[optind++];
	if (verb_check_end(&verb_doctor, argc, argv) != STATUS_OK)
		return STATUS_USAGE;
	return doctor_execute(&wanted);
}

const struct verb verb_doctor = {
	.name = "doctor",
	.summary = "find what could keep a knock from opening a door",
	.help = "Usage: knocktail doctor [DOOR] [-c FILE] [-o text|json]\n"
		"       knocktail doctor [DOOR] [-c FILE] [-o text|json] --knock ADDRESS\n"
		"                        [--timeout SPAN]\n"
		"\n"
		"Checks the journal, the firewall and the daemon, in the order in which a knock\n"
		"travels, and says what to do. Needs root. Changes nothing.\n"
		"\n"
		"  -c, --config FILE    the configuration\n"
		"                       (default: " KNOCKTAIL_CONF ")\n"
		"  -o, --output FORM    text (default) or json\n"
		"      --knock ADDRESS  watch a knock from this address and report where it ends\n"
		"      --timeout SPAN   how long to wait for its end (default: 60s)\n"
		"  -h, --help           print this\n"
		"\n"
		"Exit status: 0 no problem, or the knock has opened a door; 1 there is one, or\n"
		"the firewall or the daemon could not be seen, or the knock has not; 2 bad usage\n"
		"or configuration.\n",
	.run = doctor_run,
};
