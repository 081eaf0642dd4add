#include "audit/audit.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/uio.h>
#include <syslog.h>
#include <time.h>

#define SD_JOURNAL_SUPPRESS_LOCATION
#include <systemd/sd-journal.h>

#include "util/log.h"

enum { TEXT_MAX = 640, FIELDS_MAX = 8 };

static const struct {
	const char *message_id;
	int priority;
	const char *what; /* "door ssh ... 203.0.113.9" */
} events[AUDIT_N_EVENTS] = {
	[AUDIT_OPENED] = {"42a50f8f5ea249e49ae99fb737f626b6", LOG_NOTICE, "opened for"},
	[AUDIT_RENEWED] = {"462b4f00f13647029d570ee6f7892f2e", LOG_INFO, "renewed for"},
	[AUDIT_CLOSED] = {"f0751f8fdaae49babb5ef4c484078ef8", LOG_NOTICE, "closed for"},
	[AUDIT_REFUSED] = {"eab28f7a42864e76964d72e19d731e9c", LOG_WARNING, "refused to"},
	[AUDIT_CLOSE_FAILED] = {"1fe2c419a8a345799f1fb843f45ae94e", LOG_ERR,
				"could not be closed for"},
	[AUDIT_ADOPTED] = {"c1f1606564144d36b97c2de3f91a4a50", LOG_INFO, "is still open for"},
};

/* " until 2026-11-22 21:00:30 UTC", or nothing. */
static void format_deadline(uint64_t deadline_us, char *text, size_t size)
{
	time_t seconds = (time_t)(deadline_us / 1000000);
	struct tm tm;

	text[0] = '\0';
	if (deadline_us > 0 && gmtime_r(&seconds, &tm))
		strftime(text, size, " until %Y-%m-%d %H:%M:%S UTC", &tm);
}

/* The fields of one entry: each "NAME=value", in one buffer. */
struct fields {
	char text[FIELDS_MAX][TEXT_MAX];
	struct iovec vectors[FIELDS_MAX];
	int n;
};

__attribute__((format(printf, 2, 3))) static void add_field(struct fields *fields,
							    const char *format, ...)
{
	char *text = fields->text[fields->n];
	va_list arguments;

	va_start(arguments, format);
	vsnprintf(text, TEXT_MAX, format, arguments);
	va_end(arguments);
	fields->vectors[fields->n++] = (struct iovec){.iov_base = text, .iov_len = strlen(text)};
}

void audit_send(const struct audit_entry *entry)
{
	char source[ADDRESS_TEXT_MAX], deadline[40], message[TEXT_MAX - sizeof "MESSAGE="];
	struct fields fields = {0};
	int priority = events[entry->event].priority;

	address_format(&entry->source, source);
	format_deadline(entry->deadline_us, deadline, sizeof deadline);
	snprintf(message, sizeof message, "door %s %s %s%s%s%s", entry->door,
		 events[entry->event].what, source, deadline, entry->reason ? ": " : "",
		 entry->reason ? entry->reason : "");

	add_field(&fields, "MESSAGE=%s", message);
	add_field(&fields, "MESSAGE_ID=%s", events[entry->event].message_id);
	add_field(&fields, "PRIORITY=%d", priority);
	add_field(&fields, "SYSLOG_IDENTIFIER=knocktaild");
	add_field(&fields, "KNOCKTAIL_DOOR=%s", entry->door);
	add_field(&fields, "KNOCKTAIL_SOURCE=%s", source);
	if (entry->deadline_us > 0)
		add_field(&fields, "KNOCKTAIL_DEADLINE=%" PRIu64, entry->deadline_us);
	if (entry->reason)
		add_field(&fields, "KNOCKTAIL_REASON=%s", entry->reason);
	sd_journal_sendv(fields.vectors, fields.n);
	if (!log_is_journal())
		log_line(priority, "%s", message);
}
