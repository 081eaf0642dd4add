/* knocktail metrics: what the daemon has counted, for Prometheus. */
#include <errno.h>
#include <inttypes.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cli/common/json.h"
#include "cli/common/memory.h"
#include "cli/common/options.h"
#include "cli/control/client.h"
#include "cli/fleet/report.h"
#include "cli/verb.h"
#include "util/cleanup.h"
#include "util/clock.h"
#include "util/replace.h"
#include "util/text/stream.h"

DEFINE_CLEANUP(sd_bus *, sd_bus_flush_close_unref)
DEFINE_CLEANUP(struct json_object *, json_object_put)
DEFINE_CLEANUP(sd_bus_message *, sd_bus_message_unref)

/* OpenMetrics names a family, and its counters' samples get a "_total"; Prometheus' older text,
 * which is what node_exporter reads, has the samples' names alone. */
enum metrics_form { FORM_OPENMETRICS, FORM_PROMETHEUS, FORM_JSON, N_FORMS };

static const char *const form_names[] = {"openmetrics", "prometheus", "json"};

enum kind { GAUGE, COUNTER, SECONDS, INFO };

struct metric_family {
	const char *stat; /* as the daemon calls it; NULL: not one of its counters */
	const char *name;
	enum kind kind;
	const char *help;
};

static const struct metric_family up = {NULL, "knocktail_up", GAUGE, "Whether knocktaild runs."};
static const struct metric_family build = {NULL, "knocktail_build", INFO, "The running version."};
static const struct metric_family grants = {NULL, "knocktail_grants", GAUGE,
					    "Doors that stand open."};
static const struct metric_family families[] = {
	{"since_us", "knocktail_start_time_seconds", SECONDS, "When knocktaild started."},
	{"doors", "knocktail_doors", GAUGE, "Doors that are configured."},
	{"records", "knocktail_records", COUNTER, "Kernel records that were read."},
	{"probes", "knocktail_probes", COUNTER, "Records that are probes."},
	{"damaged", "knocktail_damaged_records", COUNTER,
	 "Records with the prefix that could not be read."},
	{"missed", "knocktail_missed_messages", COUNTER,
	 "Kernel messages that were lost before they could be read."},
	{"full_tables", "knocktail_full_table_reports", COUNTER,
	 "Times the kernel found the table of a limit full."},
	{"gaps", "knocktail_journal_gaps", COUNTER,
	 "Times the journal had to be reopened after an error."},
	{"last_probe_us", "knocktail_last_probe_timestamp_seconds", SECONDS,
	 "When the last probe was logged."},
	{"sources", "knocktail_sources", GAUGE, "Sources that are remembered."},
	{"max_sources", "knocktail_sources_limit", GAUGE,
	 "Sources that can be remembered for one filter."},
	{"matches", "knocktail_matches", COUNTER, "Completed knocks."},
	{"opened", "knocktail_grants_opened", COUNTER, "Doors opened for a source."},
	{"renewed", "knocktail_grants_renewed", COUNTER, "Deadlines moved by another knock."},
	{"adopted", "knocktail_grants_adopted", COUNTER, "Open doors taken over at the start."},
	{"restored", "knocktail_grants_restored", COUNTER,
	 "Doors that the firewall had lost and has again."},
	{"missing", "knocktail_grants_missing", COUNTER,
	 "Doors that the firewall has lost and did not take back."},
	{"closed", "knocktail_grants_closed", COUNTER, "Doors closed for a source."},
	{"refused", "knocktail_grants_refused", COUNTER,
	 "Completed knocks for which no door was opened."},
	{"close_failed", "knocktail_close_failures", COUNTER,
	 "Attempts to close a door that failed."},
	{"reloads", "knocktail_reloads", COUNTER, "Times the configuration was read again."},
	{"failed_reloads", "knocktail_reload_failures", COUNTER,
	 "Times the configuration could not be read again."},
	{"last_reload_us", "knocktail_last_reload_timestamp_seconds", SECONDS,
	 "When the configuration was read again."},
};

static const struct metric_family refusals = {NULL, "knocktail_refusals", COUNTER,
					      "Doors that were refused, by cause."};

static const struct metric_family fleet_up = {NULL, "knocktail_fleet_up", GAUGE,
					      "Whether knocktail-fleetd runs."};
static const struct metric_family fleet_connected = {NULL, "knocktail_fleet_connected", GAUGE,
						     "Whether the fleet's broker is there."};
static const struct metric_family fleet_messages = {
	NULL, "knocktail_fleet_messages", COUNTER, "The fleet's messages, by what became of them."};

enum { N_FAMILIES_SHOWN = sizeof families / sizeof families[0] };

struct metrics {
	enum metrics_form form;
	FILE *file;
	struct json_object *samples;
	struct json_object *doors; /* name to the number of grants */
	bool has_refusals;	   /* their head was printed */
};

static const char *suffix_of(const struct metric_family *family)
{
	return family->kind == COUNTER ? "_total" : family->kind == INFO ? "_info" : "";
}

static void print_head(const struct metrics *metrics, const struct metric_family *family)
{
	static const char *const types[] = {
		[GAUGE] = "gauge",
		[COUNTER] = "counter",
		[SECONDS] = "gauge",
		[INFO] = "info",
	};
	const char *suffix = metrics->form == FORM_PROMETHEUS ? suffix_of(family) : "";
	const char *type = types[family->kind];

	if (metrics->form == FORM_JSON)
		return;
	if (metrics->form == FORM_PROMETHEUS && family->kind == INFO)
		type = "gauge";
	fprintf(metrics->file, "# HELP %s%s %s\n", family->name, suffix, family->help);
	fprintf(metrics->file, "# TYPE %s%s %s\n", family->name, suffix, type);
	if (metrics->form == FORM_OPENMETRICS && family->kind == SECONDS)
		fprintf(metrics->file, "# UNIT %s seconds\n", family->name);
}

static void put_sample(const struct metrics *metrics, const struct metric_family *family,
		       const char *label, const char *label_value, uint64_t value)
{
	struct json_object *object = json_object_new_object();
	char name[128];

	snprintf(name, sizeof name, "%s%s", family->name, suffix_of(family));
	json_put_text(object, "name", name);
	json_put_text(object, "help", family->help);
	if (label)
		json_put_text(object, label, label_value);
	if (family->kind == SECONDS)
		json_put(object, "value", json_object_new_double((double)value / 1e6));
	else
		json_put_number(object, "value", value);
	json_add(metrics->samples, object);
}

/* The names of doors and versions hold nothing that would have to be escaped. */
static void print_sample(const struct metrics *metrics, const struct metric_family *family,
			 const char *label, const char *label_value, uint64_t value)
{
	if (metrics->form == FORM_JSON) {
		put_sample(metrics, family, label, label_value, value);
		return;
	}
	fprintf(metrics->file, "%s%s", family->name, suffix_of(family));
	if (label)
		fprintf(metrics->file, "{%s=\"%s\"}", label, label_value);
	if (family->kind == SECONDS)
		fprintf(metrics->file, " %" PRIu64 ".%06" PRIu64 "\n", value / 1000000,
			value % 1000000);
	else
		fprintf(metrics->file, " %" PRIu64 "\n", value);
}

/* They come one after the other. */
static void add_refusals(struct metrics *metrics, const char *cause, uint64_t value)
{
	if (!metrics->has_refusals)
		print_head(metrics, &refusals);
	metrics->has_refusals = true;
	print_sample(metrics, &refusals, "cause", cause, value);
}

static enum status add_stat(void *userdata, const char *name, uint64_t value)
{
	static const char refused[] = "refused_";

	if (strncmp(name, refused, sizeof refused - 1) == 0)
		add_refusals(userdata, name + sizeof refused - 1, value);
	for (size_t i = 0; i < N_FAMILIES_SHOWN; i++) {
		if (strcmp(families[i].stat, name) != 0)
			continue;
		print_head(userdata, &families[i]);
		print_sample(userdata, &families[i], NULL, NULL, value);
	}
	return STATUS_OK;
}

static enum status add_door(void *userdata, const char *name)
{
	struct metrics *metrics = userdata;

	json_put_number(metrics->doors, name, 0);
	return STATUS_OK;
}

/* A door that a reload took away counts until it is closed. */
static enum status count_grant(void *userdata, const struct open_door *door)
{
	struct metrics *metrics = userdata;
	struct json_object *n = NULL;

	json_object_object_get_ex(metrics->doors, door->door, &n);
	json_put_number(metrics->doors, door->door, json_object_get_uint64(n) + 1);
	return STATUS_OK;
}

static enum status add_grants(struct metrics *metrics, sd_bus *bus)
{
	enum status status;

	metrics->doors = json_object_new_object();
	status = client_each_door(&verb_metrics, bus, add_door, metrics);
	if (status == STATUS_OK)
		status = client_each_open(&verb_metrics, bus, count_grant, metrics);
	if (status == STATUS_OK) {
		print_head(metrics, &grants);
		json_object_object_foreach(metrics->doors, name, n)
			print_sample(metrics, &grants, "door", name, json_object_get_uint64(n));
	}
	json_object_put(metrics->doors);
	return status;
}

static enum status add_version(struct metrics *metrics, sd_bus *bus)
{
	CLEANUP(cleanup_sd_bus_message_unref) sd_bus_message *reply = NULL;
	enum status status = client_property(&verb_metrics, bus, "Version", &reply);
	const char *version;
	int r;

	if (status != STATUS_OK)
		return status;
	r = sd_bus_message_read(reply, "v", "s", &version);
	if (r < 0)
		return client_garbled(&verb_metrics, r);
	print_head(metrics, &build);
	print_sample(metrics, &build, "version", version, 1);
	return STATUS_OK;
}

/* Of a host that is in no fleet, or where nobody may read the report: nothing. */
static void add_fleet(const struct metrics *metrics)
{
	CLEANUP(cleanup_json_object_put) struct json_object *report = NULL;
	int r = fleet_report_read(FLEET_REPORT_PATH, clock_us(CLOCK_REALTIME), &report);

	if (r < 0 && r != -ESTALE && (r != -ENOENT || access(KNOCKTAIL_FLEET_CONF, F_OK) < 0))
		return;
	print_head(metrics, &fleet_up);
	print_sample(metrics, &fleet_up, NULL, NULL, r == 0);
	if (r < 0)
		return;
	print_head(metrics, &fleet_connected);
	print_sample(metrics, &fleet_connected, NULL, NULL, fleet_report_flag(report, "broker"));
	print_head(metrics, &fleet_messages);
	json_object_object_foreach(json_object_object_get(report, "counts"), name, n)
		print_sample(metrics, &fleet_messages, "cause", name, json_object_get_uint64(n));
}

/* That the daemon does not run is an answer, too. */
static enum status metrics_collect(struct metrics *metrics)
{
	CLEANUP(cleanup_sd_bus_flush_close_unref) sd_bus *bus = NULL;
	enum status status = client_connect(&verb_metrics, &bus);

	if (status == STATUS_OK)
		status = add_version(metrics, bus);
	if (status == STATUS_OK)
		status = client_each_stat(&verb_metrics, bus, add_stat, metrics);
	if (status == STATUS_OK)
		status = add_grants(metrics, bus);
	if (status == STATUS_OK || status == STATUS_ABSENT) {
		print_head(metrics, &up);
		print_sample(metrics, &up, NULL, NULL, status == STATUS_OK);
		status = STATUS_OK;
	}
	add_fleet(metrics);
	if (metrics->form == FORM_OPENMETRICS)
		fputs("# EOF\n", metrics->file);
	return status;
}

static enum status metrics_execute(const char *path, enum metrics_form form)
{
	CLEANUP(cleanup_free) char *text = NULL;
	struct metrics state = {.form = form};
	enum status status;
	size_t size = 0;
	int r = 0;

	state.file = text_stream_open(&text, &size);
	if (!state.file)
		memory_out();
	state.samples = json_object_new_array();
	status = metrics_collect(&state);
	if (form == FORM_JSON)
		fprintf(state.file, "%s\n",
			json_object_to_json_string_ext(state.samples, JSON_C_TO_STRING_PRETTY));
	json_object_put(state.samples);
	if (fclose(state.file) != 0)
		memory_out();
	if (status != STATUS_OK)
		return status;
	if (path)
		r = file_replace_path(path, text, size, 0644, false);
	else
		fwrite(text, 1, size, stdout);
	if (r < 0)
		fprintf(stderr, "knocktail metrics: cannot write %s: %s\n", path, strerror(-r));
	return r < 0 ? STATUS_FAILED : STATUS_OK;
}

static int parse_form(const char *text, void *userdata)
{
	enum metrics_form *form = userdata;

	for (size_t i = 0; i < N_FORMS; i++) {
		if (strcmp(text, form_names[i]) == 0) {
			*form = (enum metrics_form)i;
			return 0;
		}
	}
	fprintf(stderr,
		"knocktail metrics: unknown output format '%s' (openmetrics, prometheus or json)\n",
		text);
	return -EINVAL;
}

static enum status metrics_run(int argc, char *argv[])
{
	enum metrics_form form = N_FORMS;
	const char *path = NULL;
	enum status status;
	const struct verb_option options[] = {
		{"textfile", .text = &path},
		{"output", 'o', .parse = parse_form, .userdata = &form},
		{0},
	};

	if (!options_read(&verb_metrics, argc, argv, options, &status))
		return status;
	if (verb_check_end(&verb_metrics, argc, argv) != STATUS_OK)
		return STATUS_USAGE;
	if (form == N_FORMS)
		form = path ? FORM_PROMETHEUS : FORM_OPENMETRICS;
	return metrics_execute(path, form);
}

const struct verb verb_metrics = {
	.name = "metrics",
	.summary = "print what the daemon has counted, for Prometheus",
	.help = "Usage: knocktail metrics [--textfile PATH] [-o openmetrics|prometheus|json]\n"
		"\n"
		"Prints the daemon's counters as OpenMetrics text. If it does not run,\n"
		"knocktail_up is 0.\n"
		"\n"
		"      --textfile PATH  atomically replace this file instead, in the older text\n"
		"                       that node_exporter's textfile collector reads\n"
		"  -o, --output FORM    openmetrics, prometheus (the older text) or json\n"
		"  -h, --help           print this\n"
		"\n"
		"Exit status: 0 done, 1 the bus or the file cannot be reached, 2 bad usage.\n",
	.run = metrics_run,
};
