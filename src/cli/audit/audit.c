/* knocktail audit: who was let in when, by which knock, and for how long. */
#include <errno.h>
#include <inttypes.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cli/audit/html.h"
#include "cli/audit/log.h"
#include "cli/audit/probe-histogram.h"
#include "cli/common/config.h"
#include "cli/common/journal-files.h"
#include "cli/common/json.h"
#include "cli/common/memory.h"
#include "cli/common/options.h"
#include "cli/common/output.h"
#include "cli/verb.h"
#include "config/config.h"
#include "core/address.h"
#include "util/cleanup.h"
#include "util/clock.h"
#include "util/duration.h"
#include "util/replace.h"
#include "util/text/stream.h"
#include "util/timestamp.h"

DEFINE_CLEANUP(struct table *, table_free)

static const char default_trust[] = "_SYSTEMD_UNIT=knocktaild.service";

static const char *const state_names[] = {
	[VISIT_OPEN] = "open",
	[VISIT_CLOSED] = "closed",
	[VISIT_EXPIRED] = "expired",
	[VISIT_REFUSED] = "refused",
};

struct audit_options {
	struct audit_query query;
	char source[ADDRESS_TEXT_MAX];
	const char *config;
	bool config_given;
	const char *html;
	bool json;
};

static bool has_length(const struct visit *visit)
{
	return visit->state != VISIT_REFUSED && visit->opened_us > 0;
}

static struct json_object *to_json(const struct visit *visit, const struct audit_query *query)
{
	struct json_object *object = json_object_new_object();

	json_put_text(object, "host", visit->host);
	json_put_text(object, "door", visit->door);
	json_put_text(object, "source", visit->source);
	json_put_text(object, "user", *visit->user ? visit->user : NULL);
	json_put_text(object, "knock", *visit->knock ? visit->knock : NULL);
	json_put_text(object, "state", state_names[visit->state]);
	json_put_time(object, "opened", visit->opened_us);
	json_put_time(object, visit->state == VISIT_REFUSED ? "refused" : "closed",
		      visit->closed_us);
	json_put_time(object, "deadline", visit->deadline_us);
	if (has_length(visit))
		json_put(object, "seconds",
			 json_object_new_double((double)visit_length_us(visit, query) / 1e6));
	else
		json_put_null(object, "seconds");
	json_put_number(object, "renewals", visit->n_renewals);
	json_put_text(object, "reason", *visit->reason ? visit->reason : NULL);
	json_put_text(object, "closed_by", *visit->closed_by ? visit->closed_by : NULL);
	return object;
}

static enum status audit_print_json(const struct audit_log *log, const struct audit_query *query)
{
	for (size_t i = 0; i < log->n_visits; i++)
		json_print_item(to_json(&log->visits[i], query), i);
	json_print_end(log->n_visits);
	return STATUS_OK;
}

static void audit_add_row(struct table *table, const struct visit *visit,
			  const struct audit_query *query)
{
	char opened[TIMESTAMP_TEXT_MAX] = "before", closed[TIMESTAMP_TEXT_MAX] = "open",
	     length[DURATION_TEXT_MAX];
	char note[64] = "";
	enum colour colour = COLOUR_NONE;

	length[0] = '\0';
	if (visit->opened_us > 0)
		timestamp_format(visit->opened_us, opened);
	if (visit->closed_us > 0)
		timestamp_format(visit->closed_us, closed);
	if (has_length(visit))
		duration_round(visit_length_us(visit, query), length);
	if (visit->state == VISIT_REFUSED) {
		snprintf(opened, sizeof opened, "%s", closed);
		snprintf(closed, sizeof closed, "refused");
		colour = COLOUR_BAD;
	} else if (visit->state == VISIT_OPEN) {
		colour = COLOUR_GOOD;
	}
	if (visit->n_renewals > 0)
		snprintf(note, sizeof note, "renewed %u time%s", visit->n_renewals,
			 visit->n_renewals == 1 ? "" : "s");
	if (*visit->closed_by)
		snprintf(note + strlen(note), sizeof note - strlen(note), "%sclosed by %s",
			 *note ? ", " : "", visit->closed_by);
	table_add(table, colour,
		  (const char *[]){opened, closed, length, visit->door, visit->source, visit->user,
				   visit->knock, visit->host,
				   *visit->reason ? visit->reason : note});
}

static enum status audit_print_text(const struct audit_log *log, const struct audit_query *query)
{
	static const char *const headline[] = {"OPENED", "CLOSED", "FOR",  "DOOR", "SOURCE",
					       "USER",	 "KNOCK",  "HOST", "NOTE"};
	CLEANUP(cleanup_table_free) struct table *table = table_new(9, headline);

	for (size_t i = 0; i < log->n_visits; i++)
		audit_add_row(table, &log->visits[i], query);
	table_print(table);
	return STATUS_OK;
}

/* Without the configuration, or the journal of the kernel, there is a page without the pressure. */
static struct probe_histogram *read_histogram(const struct audit_options *options,
					      const struct audit_log *log, enum status *ret_status)
{
	const struct audit_query *query = &options->query;
	uint64_t until_us = query->now_us < query->until_us ? query->now_us : query->until_us;
	struct probe_histogram *histogram = NULL;
	struct config *config;
	int r;

	if (verb_load_config(options->config, &config) != STATUS_OK) {
		if (options->config_given)
			*ret_status = STATUS_USAGE;
		fputs("knocktail audit: without the configuration, probes cannot be counted\n",
		      stderr);
		return NULL;
	}
	r = probe_histogram_read(config->log_prefix, query->directory, query->since_us, until_us,
				 log->n_visits > 0 ? log->visits[0].first_us : until_us,
				 &histogram);
	if (r == -ENOMEM)
		memory_out();
	if (r < 0)
		fprintf(stderr, "knocktail audit: cannot count the probes: %s\n", strerror(-r));
	for (size_t i = 0; r == 0 && i < config->n_doors; i++)
		probe_histogram_conceal(histogram, &config->doors[i].knock.sequence);
	config_free(config);
	return histogram;
}

static enum status write_page(const struct audit_options *options, const char *text, size_t size)
{
	int r;

	if (strcmp(options->html, "-") == 0) {
		fwrite(text, 1, size, stdout);
		return STATUS_OK;
	}
	/* It tells who is let in from where: that is not for everybody. */
	r = file_replace_path(options->html, text, size, 0600, false);
	if (r < 0)
		fprintf(stderr, "knocktail audit: cannot write %s: %s\n", options->html,
			strerror(-r));
	return r < 0 ? STATUS_FAILED : STATUS_OK;
}

static enum status audit_print_html(const struct audit_log *log,
				    const struct audit_options *options)
{
	CLEANUP(cleanup_free) struct probe_histogram *histogram = NULL;
	CLEANUP(cleanup_free) char *text = NULL;
	enum status status = STATUS_OK;
	size_t size = 0;
	FILE *file;

	histogram = read_histogram(options, log, &status);
	if (status != STATUS_OK)
		return status;
	file = text_stream_open(&text, &size);
	if (!file)
		memory_out();
	audit_html(file, log, &options->query, histogram);
	if (fclose(file) != 0)
		memory_out();
	return write_page(options, text, size);
}

/* Reads the log. Whether that is all that there is; complains if not. */
static bool audit_read_log(const struct audit_query *query, struct audit_log *ret)
{
	int r = audit_log_read(query, ret);
	bool whole;

	if (r == -ENOMEM)
		memory_out();
	if (r < 0)
		fprintf(stderr, "knocktail audit: cannot read %s: %s\n",
			query->directory ? query->directory : "the journal", strerror(-r));
	else if (!ret->sees_files)
		verb_warn_blind(&verb_audit);
	if (ret->incomplete)
		fputs("knocktail audit: entries are missing here: a file of the journal is "
		      "damaged, see journalctl --verify\n",
		      stderr);
	whole = !query->directory || journal_files_check("audit", query->directory);
	return r == 0 && !ret->incomplete && whole;
}

/* What is not to be seen here. */
static void audit_warn_of_gaps(const struct audit_log *log, const struct audit_query *query)
{
	const struct coverage *coverage = &log->coverage;
	char when[TIMESTAMP_TEXT_MAX];

	if (coverage->begins_us > query->since_us)
		fprintf(stderr,
			"knocktail audit: the journal begins at %s; what was before is not known\n",
			timestamp_format(coverage->begins_us, when));
	if (coverage->missed > 0)
		fprintf(stderr,
			"knocktail audit: journald missed %" PRIu64
			" kernel messages in that time, "
			"knocks among them perhaps\n",
			coverage->missed);
}

static enum status audit_execute(const struct audit_options *options)
{
	struct audit_log log;
	enum status status;
	bool complete = audit_read_log(&options->query, &log);

	if (options->html)
		status = audit_print_html(&log, options);
	else if (options->json)
		status = audit_print_json(&log, &options->query);
	else
		status = audit_print_text(&log, &options->query);
	audit_warn_of_gaps(&log, &options->query);
	audit_log_done(&log);
	return complete ? status : STATUS_FAILED;
}

/* The journal has the canonical spelling. */
static int audit_parse_source(const char *text, void *userdata)
{
	struct audit_options *options = userdata;
	struct address address;

	if (address_parse(text, &address) < 0) {
		fprintf(stderr, "knocktail audit: '%s' is not an IP address\n", text);
		return -EINVAL;
	}
	options->query.source = address_format(&address, options->source);
	return 0;
}

static int audit_parse_trust(const char *text, void *userdata)
{
	struct audit_query *query = userdata;
	const char *equals = strchr(text, '=');

	if (*text != '_' || !equals || !equals[1]) {
		fprintf(stderr,
			"knocktail audit: '%s' is not a field that only journald sets, such as "
			"%s\n",
			text, default_trust);
		return -EINVAL;
	}
	query->trust = text;
	return 0;
}

static enum status audit_check_options(const struct audit_options *options)
{
	if (options->html && options->json) {
		fputs("knocktail audit: --html and -o json cannot be combined\n", stderr);
		return verb_misused(&verb_audit);
	}
	if (options->query.since_us >= options->query.until_us) {
		fputs("knocktail audit: --since is not before --until\n", stderr);
		return verb_misused(&verb_audit);
	}
	return audit_execute(options);
}

static enum status audit_run(int argc, char *argv[])
{
	struct audit_options wanted = {
		.query = {.trust = default_trust,
			  .until_us = UINT64_MAX,
			  .now_us = clock_us(CLOCK_REALTIME)},
		.config = KNOCKTAIL_CONF,
	};
	struct audit_query *query = &wanted.query;
	enum status status;
	const struct verb_option options[] = {
		{"config", 'c', .text = &wanted.config, .given = &wanted.config_given},
		{"directory", .text = &query->directory},
		{"door", .text = &query->door},
		{"html", .text = &wanted.html},
		{"since", .time_us = &query->since_us},
		{"source", .parse = audit_parse_source, .userdata = &wanted},
		{"trust", .parse = audit_parse_trust, .userdata = query},
		{"until", .time_us = &query->until_us},
		{"user", .text = &query->user},
		{"output", 'o', .json = &wanted.json},
		{0},
	};

	if (!options_read(&verb_audit, argc, argv, options, &status))
		return status;
	if (verb_check_end(&verb_audit, argc, argv) != STATUS_OK)
		return STATUS_USAGE;
	return audit_check_options(&wanted);
}

const struct verb verb_audit = {
	.name = "audit",
	.summary = "show who was let in when, by which knock, and for how long",
	.help = "Usage: knocktail audit [--since TIME] [--until TIME] [--door DOOR]\n"
		"                       [--source ADDRESS] [--user USER] [--directory DIR]\n"
		"                       [--trust FIELD=VALUE] [-o text|json]\n"
		"       knocktail audit --html FILE [-c FILE] [the same]\n"
		"\n"
		"Puts together from the journal who was let in, and who was refused.\n"
		"\n"
		"      --since TIME         leave out what is older: \"2026-11-22 21:00\", today,\n"
		"      --until TIME         and what is not: yesterday, @1700000000, -2h\n"
		"      --door DOOR          only this door\n"
		"      --source ADDRESS     only this address\n"
		"      --user USER          only the key of this user\n"
		"      --directory DIR      read the journal files in DIR, also other hosts'\n"
		"      --trust FIELD=VALUE  believe entries with this field of journald's, not\n"
		"                           _SYSTEMD_UNIT=knocktaild.service\n"
		"      --html FILE          write a page with a timeline, of probes too; - is\n"
		"                           standard output\n"
		"  -c, --config FILE        for --html, which probes count\n"
		"                           (default: " KNOCKTAIL_CONF ")\n"
		"  -o, --output FORM        text (default) or json\n"
		"  -h, --help               print this\n"
		"\n"
		"Exit status: 0 all was read, 1 something could not be, 2 bad usage or\n"
		"configuration.\n",
	.run = audit_run,
};
