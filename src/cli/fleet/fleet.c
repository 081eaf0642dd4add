/* knocktail fleet: the hosts of the fleet, and what is open where, as this host's agent knows it.
 */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#include "cli/common/json.h"
#include "cli/common/options.h"
#include "cli/common/output.h"
#include "cli/fleet/report.h"
#include "cli/verb.h"
#include "util/cleanup.h"
#include "util/clock.h"
#include "util/duration.h"
#include "util/timestamp.h"

DEFINE_CLEANUP(struct table *, table_free)
DEFINE_CLEANUP(struct json_object *, json_object_put)

static void print_state(const struct json_object *report)
{
	char since[TIMESTAMP_TEXT_MAX];
	bool is_up = fleet_report_flag(report, "broker");

	printf("fleet %s, host %s\n", fleet_report_text(report, "fleet"),
	       fleet_report_text(report, "host"));
	if (is_up)
		printf("broker: connected since %s\n",
		       timestamp_format(fleet_report_number(report, "broker_since_us"), since));
	else
		printf("broker: not connected (%s)\n", fleet_report_text(report, "problem"));
	if (!fleet_report_flag(report, "daemon"))
		puts("knocktaild: not on the bus");
}

static void print_counts(const struct json_object *report)
{
	const struct json_object *counts = json_object_object_get(report, "counts");
	const char *divider = "messages: ";

	json_object_object_foreach(counts, name, value)
	{
		if (json_object_get_uint64(value) == 0)
			continue;
		printf("%s%s %" PRIu64, divider, name, json_object_get_uint64(value));
		divider = ", ";
	}
	if (divider[0] == ',')
		putchar('\n');
}

static void print_shares(const struct json_object *report, uint64_t now_us)
{
	static const char *const headline[] = {"HOST", "DOOR", "OPEN", "HEARD", NULL};
	const struct json_object *shares = json_object_object_get(report, "shares");
	CLEANUP(cleanup_table_free) struct table *table = table_new(4, headline);

	for (size_t i = 0; i < json_object_array_length(shares); i++) {
		const struct json_object *share = json_object_array_get_idx(shares, i);
		uint64_t said_us = fleet_report_number(share, "said_us");
		char n_open[24], age[DURATION_TEXT_MAX];

		snprintf(n_open, sizeof n_open, "%" PRIu64, fleet_report_number(share, "open"));
		duration_format(now_us > said_us ? (now_us - said_us) / US_PER_S * US_PER_S : 0,
				age);
		table_add(table, COLOUR_NONE,
			  (const char *[]){fleet_report_text(share, "host"),
					   fleet_report_text(share, "door"), n_open, age});
	}
	if (json_object_array_length(shares) > 0)
		table_print(table);
}

static void print_open(const struct json_object *report)
{
	static const char *const headline[] = {"DOOR", "SOURCE", "USER", "AT", "UNTIL", NULL};
	const struct json_object *open = json_object_object_get(report, "open");
	CLEANUP(cleanup_table_free) struct table *table = table_new(5, headline);

	for (size_t i = 0; i < json_object_array_length(open); i++) {
		const struct json_object *grant = json_object_array_get_idx(open, i);
		char until[TIMESTAMP_TEXT_MAX];

		timestamp_format(fleet_report_number(grant, "deadline_us"), until);
		table_add(table, COLOUR_NONE,
			  (const char *[]){fleet_report_text(grant, "door"),
					   fleet_report_text(grant, "source"),
					   fleet_report_text(grant, "user"),
					   fleet_report_text(grant, "host"), until});
	}
	if (json_object_array_length(open) > 0) {
		/* What divides the tables, where they have no headlines. */
		if (!output_is_terminal(stdout))
			putchar('\n');
		table_print(table);
	}
}

static void fleet_print(const struct json_object *report)
{
	uint64_t now_us = clock_us(CLOCK_REALTIME);

	print_state(report);
	print_counts(report);
	print_shares(report, now_us);
	print_open(report);
}

static void put_text(struct json_object *ret, const char *name, const struct json_object *object)
{
	const char *text = fleet_report_text(object, name);

	json_put_text(ret, name, *text ? text : NULL);
}

static struct json_object *share_describe(const struct json_object *share)
{
	struct json_object *ret = json_object_new_object();

	put_text(ret, "host", share);
	put_text(ret, "door", share);
	json_put_number(ret, "open", fleet_report_number(share, "open"));
	json_put_time(ret, "said", fleet_report_number(share, "said_us"));
	return ret;
}

static struct json_object *grant_describe(const struct json_object *grant)
{
	struct json_object *ret = json_object_new_object();

	put_text(ret, "door", grant);
	put_text(ret, "source", grant);
	put_text(ret, "user", grant);
	put_text(ret, "host", grant);
	json_put_time(ret, "until", fleet_report_number(grant, "deadline_us"));
	return ret;
}

static void put_each(struct json_object *ret, const char *name, const struct json_object *report,
		     struct json_object *(*describe)(const struct json_object *item))
{
	const struct json_object *items = json_object_object_get(report, name);
	struct json_object *array = json_object_new_array();

	for (size_t i = 0; i < json_object_array_length(items); i++)
		json_add(array, describe(json_object_array_get_idx(items, i)));
	json_put(ret, name, array);
}

static struct json_object *report_describe(const struct json_object *report)
{
	struct json_object *ret = json_object_new_object();

	put_text(ret, "fleet", report);
	put_text(ret, "host", report);
	json_put_time(ret, "written", fleet_report_number(report, "written_us"));
	json_put_time(ret, "since", fleet_report_number(report, "since_us"));
	json_put(ret, "broker", json_object_new_boolean(fleet_report_flag(report, "broker")));
	json_put_time(ret, "broker_since", fleet_report_number(report, "broker_since_us"));
	put_text(ret, "problem", report);
	json_put(ret, "daemon", json_object_new_boolean(fleet_report_flag(report, "daemon")));
	put_text(ret, "refusal", report);
	json_put(ret, "counts", json_object_get(json_object_object_get(report, "counts")));
	put_each(ret, "shares", report, share_describe);
	put_each(ret, "open", report, grant_describe);
	return ret;
}

static enum status fleet_run(int argc, char *argv[])
{
	CLEANUP(cleanup_json_object_put) struct json_object *report = NULL;
	const char *path = FLEET_REPORT_PATH;
	bool json = false;
	enum status status;
	const struct verb_option options[] = {
		{"report", .text = &path},
		{"output", 'o', .json = &json},
		{0},
	};
	int r;

	if (!options_read(&verb_fleet, argc, argv, options, &status))
		return status;
	if (verb_check_end(&verb_fleet, argc, argv) != STATUS_OK)
		return STATUS_USAGE;
	r = fleet_report_read(path, clock_us(CLOCK_REALTIME), &report);
	if (r == -ENOENT || r == -ESTALE) {
		fputs("knocktail fleet: knocktail-fleetd does not run (systemctl status "
		      "knocktail-fleetd)\n",
		      stderr);
		return STATUS_ABSENT;
	}
	if (r < 0) {
		fprintf(stderr, "knocktail fleet: cannot read %s: %s%s\n", path, strerror(-r),
			r == -EACCES ? "; only root can" : "");
		return STATUS_FAILED;
	}
	if (json)
		json_print(report_describe(report));
	else
		fleet_print(report);
	return STATUS_OK;
}

const struct verb verb_fleet = {
	.name = "fleet",
	.summary = "list the fleet's hosts, and what is open where",
	.help = "Usage: knocktail fleet [--report FILE] [-o text|json]\n"
		"\n"
		"What this host's knocktail-fleetd knows of the fleet: whether the broker is\n"
		"there, how many messages came to what, which hosts share which doors and when\n"
		"they were last heard, and who is let in where. For root.\n"
		"\n"
		"      --report FILE  its report (default: " FLEET_REPORT_PATH ")\n"
		"  -o, --output FORM  text (default) or json\n"
		"  -h, --help         print this\n"
		"\n"
		"Exit status: 0 if it runs, 1 if its report cannot be read, 2 bad usage, 3 if it\n"
		"does not run.\n",
	.run = fleet_run,
};
