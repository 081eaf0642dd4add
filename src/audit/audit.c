#include "audit/audit.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <syslog.h>
#include <time.h>

#include "util/cleanup.h"
#include "util/log.h"

enum { MESSAGE_MAX = 640, ENTRY_MAX = 2048 };

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
	[AUDIT_RESTORED] = {"e1bca3762a4b473cafb22d4ec2c06fe8", LOG_NOTICE, "is open again for"},
	[AUDIT_MISSING] = {"ebf97a71540d4fa7b5ef5f239347c4ba", LOG_ERR,
			   "is missing from the firewall for"},
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

/* One entry in journald's native protocol (systemd.io/JOURNAL_NATIVE_PROTOCOL): a line for each
 * field, none of which holds a newline. */
struct fields {
	char text[ENTRY_MAX];
	size_t length;
};

__attribute__((format(printf, 2, 3))) static void add_field(struct fields *fields,
							    const char *format, ...)
{
	size_t room = sizeof fields->text - fields->length;
	char *text = fields->text + fields->length;
	va_list arguments;
	int n;

	va_start(arguments, format);
	n = vsnprintf(text, room, format, arguments);
	va_end(arguments);
	if (n < 0 || (size_t)n + 1 >= room)
		return;
	for (char *c = text; *c; c++)
		if ((unsigned char)*c < ' ')
			*c = ' ';
	text[n] = '\n';
	fields->length += (size_t)n + 1;
}

/* Never waits, as sd_journal_send() would: while journald hangs, doors must close all the same.
 * What its queue cannot take is lost. */
static void send_entry(const struct fields *fields)
{
	static const struct sockaddr_un address = {
		.sun_family = AF_UNIX,
		.sun_path = "/run/systemd/journal/socket",
	};
	CLEANUP(cleanup_close) int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);

	if (fd >= 0)
		sendto(fd, fields->text, fields->length, MSG_DONTWAIT | MSG_NOSIGNAL,
		       (const struct sockaddr *)&address, sizeof address);
}

void audit_send(const struct audit_entry *entry)
{
	char source[ADDRESS_TEXT_MAX], deadline[40], message[MESSAGE_MAX];
	struct fields fields = {0};
	const char *user = entry->user ? entry->user : "";
	int priority = events[entry->event].priority;

	address_format(&entry->source, source);
	format_deadline(entry->deadline_us, deadline, sizeof deadline);
	snprintf(message, sizeof message, "%s%s %s %s%s%s%s%s%s%s",
		 *entry->door ? "door " : "a door", entry->door, events[entry->event].what, source,
		 *user ? " (" : "", user, *user ? ")" : "", deadline, entry->reason ? ": " : "",
		 entry->reason ? entry->reason : "");

	add_field(&fields, "MESSAGE=%s", message);
	add_field(&fields, "MESSAGE_ID=%s", events[entry->event].message_id);
	add_field(&fields, "PRIORITY=%d", priority);
	add_field(&fields, "SYSLOG_IDENTIFIER=knocktaild");
	if (*entry->door)
		add_field(&fields, "KNOCKTAIL_DOOR=%s", entry->door);
	if (*user)
		add_field(&fields, "KNOCKTAIL_USER=%s", user);
	if (entry->way)
		add_field(&fields, "KNOCKTAIL_KNOCK=%s", entry->way);
	add_field(&fields, "KNOCKTAIL_SOURCE=%s", source);
	if (entry->deadline_us > 0)
		add_field(&fields, "KNOCKTAIL_DEADLINE=%" PRIu64, entry->deadline_us);
	if (entry->reason)
		add_field(&fields, "KNOCKTAIL_REASON=%s", entry->reason);
	send_entry(&fields);
	if (!log_is_journal())
		log_line(priority, "%s", message);
}

const char *audit_message_id(enum audit_event event)
{
	return events[event].message_id;
}

enum audit_event audit_event_of(const char *message_id, size_t length)
{
	for (size_t i = 0; i < AUDIT_N_EVENTS; i++)
		if (strlen(events[i].message_id) == length &&
		    memcmp(events[i].message_id, message_id, length) == 0)
			return (enum audit_event)i;
	return AUDIT_N_EVENTS;
}
