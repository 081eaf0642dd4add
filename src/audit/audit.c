#include "audit/audit.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <syslog.h>

#include "util/cleanup.h"
#include "util/clock.h"
#include "util/log.h"
#include "util/timestamp.h"

enum { MESSAGE_MAX = 640, ENTRY_MAX = 2048 };

static const struct {
	const char *message_id;
	int priority;
	const char *what; /* "door ssh ... 203.0.113.9" */
} events[N_AUDIT_EVENTS] = {
	[EVENT_OPENED] = {"42a50f8f5ea249e49ae99fb737f626b6", LOG_NOTICE, "opened for"},
	[EVENT_RENEWED] = {"462b4f00f13647029d570ee6f7892f2e", LOG_INFO, "renewed for"},
	[EVENT_CLOSED] = {"f0751f8fdaae49babb5ef4c484078ef8", LOG_NOTICE, "closed for"},
	[EVENT_REFUSED] = {"eab28f7a42864e76964d72e19d731e9c", LOG_WARNING, "refused to"},
	[EVENT_CLOSE_FAILED] = {"1fe2c419a8a345799f1fb843f45ae94e", LOG_ERR,
				"could not be closed for"},
	[EVENT_ADOPTED] = {"c1f1606564144d36b97c2de3f91a4a50", LOG_INFO, "is still open for"},
	[EVENT_RESTORED] = {"e1bca3762a4b473cafb22d4ec2c06fe8", LOG_NOTICE, "is open again for"},
	[EVENT_MISSING] = {"ebf97a71540d4fa7b5ef5f239347c4ba", LOG_ERR,
			   "is missing from the firewall for"},
};

/* " until 2026-11-22 21:00:30 UTC", or nothing. */
static void deadline_format(uint64_t deadline_us, char *text, size_t size)
{
	char when[TIMESTAMP_TEXT_MAX];

	text[0] = '\0';
	if (deadline_us > 0)
		snprintf(text, size, " until %s", timestamp_format_utc(deadline_us, when));
}

/* " and all of 198.51.100.0/24", or nothing. */
static void network_describe(const struct network *network, char *text, size_t size)
{
	char name[NETWORK_TEXT_MAX];

	text[0] = '\0';
	if (network->prefix > 0)
		snprintf(text, size, " and all of %s", network_format(network, name));
}

/* " by uid 1000", or nothing. */
static void hand_format(const struct hand *hand, char *text, size_t size)
{
	text[0] = '\0';
	if (hand->is_known)
		snprintf(text, size, " by uid %" PRIu32, hand->uid);
}

/* One entry in journald's native protocol (systemd.io/JOURNAL_NATIVE_PROTOCOL): a line for each
 * field, none of which holds a newline. */
struct journal_entry {
	char text[ENTRY_MAX];
	size_t length;
};

__attribute__((format(printf, 2, 3))) static void entry_add(struct journal_entry *entry,
							    const char *format, ...)
{
	size_t room = sizeof entry->text - entry->length;
	char *text = entry->text + entry->length;
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
	entry->length += (size_t)n + 1;
}

/* Never waits, as sd_journal_send() would: doors must close even while journald hangs.
 * What its queue cannot take is lost. */
static void entry_send(const struct journal_entry *entry)
{
	static const struct sockaddr_un address = {
		.sun_family = AF_UNIX,
		.sun_path = "/run/systemd/journal/socket",
	};
	CLEANUP(cleanup_close) int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);

	if (fd >= 0)
		sendto(fd, entry->text, entry->length, MSG_DONTWAIT | MSG_NOSIGNAL,
		       (const struct sockaddr *)&address, sizeof address);
}

void audit_send(const struct event *event)
{
	char source[ADDRESS_TEXT_MAX], network[NETWORK_TEXT_MAX + 16], deadline[40], by[30],
		message[MESSAGE_MAX];
	struct journal_entry entry = {0};
	const char *door = event->door ? event->door : "";
	const char *user = event->user ? event->user : "";
	int priority = events[event->kind].priority;

	address_format(&event->source, source);
	network_describe(&event->network, network, sizeof network);
	deadline_format(event->deadline_us, deadline, sizeof deadline);
	hand_format(&event->hand, by, sizeof by);
	snprintf(message, sizeof message, "%s%s %s %s%s%s%s%s%s%s%s%s", *door ? "door " : "a door",
		 door, events[event->kind].what, source, network, *user ? " (" : "", user,
		 *user ? ")" : "", by, deadline, event->reason ? ": " : "",
		 event->reason ? event->reason : "");

	entry_add(&entry, "MESSAGE=%s", message);
	entry_add(&entry, "MESSAGE_ID=%s", events[event->kind].message_id);
	entry_add(&entry, "PRIORITY=%d", priority);
	entry_add(&entry, "SYSLOG_IDENTIFIER=knocktaild");
	if (*door)
		entry_add(&entry, "KNOCKTAIL_DOOR=%s", door);
	if (*user)
		entry_add(&entry, "KNOCKTAIL_USER=%s", user);
	if (knock_kind_name(event->knock))
		entry_add(&entry, "KNOCKTAIL_KNOCK=%s", knock_kind_name(event->knock));
	entry_add(&entry, "KNOCKTAIL_SOURCE=%s", source);
	if (event->network.prefix > 0)
		entry_add(&entry, "KNOCKTAIL_NETWORK=%s", network_format(&event->network, network));
	if (event->deadline_us > 0)
		entry_add(&entry, "KNOCKTAIL_DEADLINE=%" PRIu64, event->deadline_us);
	if (event->hand.is_known)
		entry_add(&entry, "KNOCKTAIL_UID=%" PRIu32, event->hand.uid);
	if (event->kind == EVENT_REFUSED)
		entry_add(&entry, "KNOCKTAIL_CAUSE=%s", refusal_name(event->refusal));
	if (event->reason)
		entry_add(&entry, "KNOCKTAIL_REASON=%s", event->reason);
	entry_send(&entry);
	if (!log_is_journal())
		log_line(priority, "%s", message);
}

const char *audit_message_id(enum event_kind kind)
{
	return events[kind].message_id;
}

enum event_kind audit_kind_of(const char *message_id, size_t length)
{
	for (size_t i = 0; i < N_AUDIT_EVENTS; i++)
		if (strlen(events[i].message_id) == length &&
		    memcmp(events[i].message_id, message_id, length) == 0)
			return (enum event_kind)i;
	return N_AUDIT_EVENTS;
}
