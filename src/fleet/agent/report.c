#include "fleet/agent/report.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "fleet/config.h"
#include "util/cleanup.h"
#include "util/replace.h"
#include "util/text/stream.h"

/* Names need no quoting: they hold nothing that JSON would take for its own. */
struct report {
	FILE *file;
	const struct fleet_state *state;
	uint64_t now_us;
	bool is_first;
};

static void report_separate(struct report *report)
{
	if (!report->is_first)
		fputc(',', report->file);
	report->is_first = false;
}

static void report_open(void *userdata, struct ledger_entry *entry)
{
	struct report *report = userdata;
	const struct fleet_message *message = &entry->message;
	char source[ADDRESS_TEXT_MAX];

	if (message->kind != FLEET_OPEN || message->until_us <= report->now_us || entry->is_void)
		return;
	report_separate(report);
	fprintf(report->file,
		"\n{\"door\":\"%s\",\"source\":\"%s\",\"host\":\"%s\",\"user\":\"%s\","
		"\"deadline_us\":%" PRIu64 "}",
		message->door, address_format(&message->source, source), message->host,
		message->user, message->until_us);
}

static void report_share(void *userdata, struct ledger_entry *entry)
{
	struct report *report = userdata;
	const struct fleet_message *message = &entry->message;

	if (message->kind != FLEET_STATUS || message->until_us <= report->now_us)
		return;
	report_separate(report);
	fprintf(report->file,
		"\n{\"host\":\"%s\",\"door\":\"%s\",\"open\":%" PRIu64 ",\"said_us\":%" PRIu64
		",\"heard_us\":%" PRIu64 "}",
		message->host, message->door, message->step, message->time_s * UINT64_C(1000000),
		entry->was_kept ? 0 : entry->heard_us);
}

/* What others have chosen: only what is harmless in JSON is left of it. */
static void report_text(struct report *report, const char *text)
{
	for (; *text; text++)
		fputc(*text < ' ' || *text > '~' || *text == '"' || *text == '\\' ? '?' : *text,
		      report->file);
}

static void report_put(struct report *report)
{
	const struct fleet_state *state = report->state;

	fprintf(report->file,
		"{\"fleet\":\"%s\",\"host\":\"%s\",\"written_us\":%" PRIu64 ",\"since_us\":%" PRIu64
		",\"broker\":%s,\"broker_since_us\":%" PRIu64 ",\"daemon\":%s,\"problem\":\"",
		state->config->name, state->config->host, report->now_us, state->since_us,
		state->broker_is_up ? "true" : "false", state->broker_since_us,
		state->daemon_is_there ? "true" : "false");
	report_text(report, state->broker_problem);
	fputs("\",\"refusal\":\"", report->file);
	report_text(report, state->refusal);
	fprintf(report->file,
		"\",\n\"counts\":{\"sent\":%" PRIu64 ",\"failed\":%" PRIu64
		",\"connections\":%" PRIu64,
		state->counts.sent, state->counts.failed, state->counts.connections);
	for (unsigned i = 0; i < N_FLEET_VERDICTS; i++)
		fprintf(report->file, ",\"%s\":%" PRIu64, fleet_verdict_name((enum fleet_verdict)i),
			state->counts.verdicts[i]);
	fputs("},\n\"shares\":[", report->file);
	report->is_first = true;
	ledger_each(state->ledger, report_share, report);
	fputs("],\n\"open\":[", report->file);
	report->is_first = true;
	ledger_each(state->ledger, report_open, report);
	fputs("]}\n", report->file);
}

int fleet_report_write(const char *directory, const struct fleet_state *state, uint64_t now_us)
{
	CLEANUP(cleanup_close) int fd = open(directory, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	CLEANUP(cleanup_free) char *text = NULL;
	struct report report = {.state = state, .now_us = now_us};
	size_t size;

	if (fd < 0)
		return -errno;
	report.file = text_stream_open(&text, &size);
	if (!report.file)
		return -ENOMEM;
	report_put(&report);
	if (fclose(report.file) != 0)
		return -ENOMEM;
	return file_replace_unsynced(fd, "report.json", text, size, 0640);
}
