/* knocktail status: how the daemon is. */
#include <errno.h>
#include <inttypes.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cli/common/json.h"
#include "cli/common/options.h"
#include "cli/common/output.h"
#include "cli/control/client.h"
#include "cli/verb.h"
#include "util/cleanup.h"
#include "util/clock.h"
#include "util/duration.h"
#include "util/timestamp.h"

DEFINE_CLEANUP(struct table *, table_free)
DEFINE_CLEANUP(sd_bus *, sd_bus_flush_close_unref)
DEFINE_CLEANUP(sd_bus_message *, sd_bus_message_unref)

static const struct {
	const char *name, *label;
} labels[] = {
	{"doors", "doors"},
	{"grants", "open now"},
	{"records", "records seen"},
	{"probes", "of them probes"},
	{"damaged", "damaged records"},
	{"missed", "missed kernel messages"},
	{"full_tables", "reports of a full table"},
	{"gaps", "gaps in the journal"},
	{"last_probe_us", "last probe"},
	{"sources", "sources remembered"},
	{"max_sources", "at most"},
	{"matches", "right knocks"},
	{"opened", "opened"},
	{"renewed", "renewed"},
	{"adopted", "taken over"},
	{"restored", "put back"},
	{"missing", "lost by the firewall"},
	{"closed", "closed"},
	{"refused", "refused"},
	{"close_failed", "failures to close"},
	{"reloads", "reloads"},
	{"failed_reloads", "of them failed"},
	{"last_reload_us", "last reload"},
	{"since_us", "running since"},
};

enum { N_LABELS = sizeof labels / sizeof labels[0] };

struct status_report {
	const char *version;
	uint64_t values[N_LABELS];
	bool known[N_LABELS];
	struct json_object *stats;
};

static bool is_time(const char *name)
{
	size_t length = strlen(name);

	return length > 3 && strcmp(name + length - 3, "_us") == 0;
}

static enum status report_keep(void *userdata, const char *name, uint64_t value)
{
	struct status_report *report = userdata;
	char key[64];

	for (size_t i = 0; i < N_LABELS; i++) {
		if (strcmp(labels[i].name, name) == 0) {
			report->values[i] = value;
			report->known[i] = true;
		}
	}
	if (is_time(name)) {
		snprintf(key, sizeof key, "%.*s", (int)strlen(name) - 3, name);
		json_put_time(report->stats, key, value);
	} else {
		json_put_number(report->stats, name, value);
	}
	return STATUS_OK;
}

/* The text of one value: a time with how long ago that was, or the number. */
static void format_value(const char *name, uint64_t value, char *text, size_t size)
{
	uint64_t now_us = clock_us(CLOCK_REALTIME);
	char when[TIMESTAMP_TEXT_MAX], span[DURATION_TEXT_MAX];

	if (!is_time(name))
		snprintf(text, size, "%" PRIu64, value);
	else if (value > 0 && value <= now_us)
		snprintf(text, size, "%s (%s ago)", timestamp_format(value, when),
			 duration_round(now_us - value, span));
	else
		snprintf(text, size, "%s", timestamp_format(value, when));
}

static void report_print(const struct status_report *report)
{
	CLEANUP(cleanup_table_free) struct table *table = table_new(2, NULL);

	table_add(table, COLOUR_GOOD, (const char *[]){"knocktaild", report->version});
	for (size_t i = 0; i < N_LABELS; i++) {
		enum colour colour = COLOUR_NONE;
		char text[128];

		if (!report->known[i])
			continue;
		format_value(labels[i].name, report->values[i], text, sizeof text);
		if (report->values[i] > 0 && (strcmp(labels[i].name, "missed") == 0 ||
					      strcmp(labels[i].name, "full_tables") == 0 ||
					      strcmp(labels[i].name, "close_failed") == 0))
			colour = COLOUR_BAD;
		table_add(table, colour, (const char *[]){labels[i].label, text});
	}
	table_print(table);
}

static enum status print_absent(bool json)
{
	struct json_object *document;

	if (json) {
		document = json_object_new_object();
		json_put(document, "running", json_object_new_boolean(false));
		json_print(document);
	}
	return STATUS_ABSENT;
}

static enum status status_execute(bool json)
{
	CLEANUP(cleanup_sd_bus_message_unref) sd_bus_message *reply = NULL;
	CLEANUP(cleanup_sd_bus_flush_close_unref) sd_bus *bus = NULL;
	struct status_report report = {0};
	struct json_object *document;
	enum status status = client_connect(&verb_status, &bus);
	int r;

	if (status == STATUS_OK)
		status = client_property(&verb_status, bus, "Version", &reply);
	if (status == STATUS_ABSENT)
		return print_absent(json);
	if (status != STATUS_OK)
		return status;
	r = sd_bus_message_read(reply, "v", "s", &report.version);
	if (r < 0)
		return client_garbled(&verb_status, r);
	document = json_object_new_object();
	report.stats = json_object_new_object();
	status = client_each_stat(&verb_status, bus, report_keep, &report);
	json_put(document, "running", json_object_new_boolean(true));
	json_put_text(document, "version", report.version);
	json_put(document, "stats", report.stats);
	if (status == STATUS_OK && json) {
		json_print(document);
		return status;
	}
	json_object_put(document);
	if (status == STATUS_OK)
		report_print(&report);
	return status;
}

static enum status status_run(int argc, char *argv[])
{
	enum status status;
	bool json = false;
	const struct verb_option options[] = {{"output", 'o', .json = &json}, {0}};

	if (!options_read(&verb_status, argc, argv, options, &status))
		return status;
	if (verb_check_end(&verb_status, argc, argv) != STATUS_OK)
		return STATUS_USAGE;
	return status_execute(json);
}

const struct verb verb_status = {
	.name = "status",
	.summary = "show the daemon's state and counters",
	.help = "Usage: knocktail status [-o text|json]\n"
		"\n"
		"Reports whether knocktaild runs, since when, and what it has seen and done.\n"
		"\n"
		"  -o, --output FORM  text (default) or json\n"
		"  -h, --help         print this\n"
		"\n"
		"Exit status: 0 it runs, 1 it could not be asked, 2 bad usage, 3 it does not "
		"run.\n",
	.run = status_run,
};
