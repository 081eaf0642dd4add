/* MUST: trust the bus's policy for who may call what, on the socket those who were let in, and
 * nothing that a caller sends: a door is one of the configuration's, an address is parsed, a time
 * has bounds.
 */
#include "daemon/bus/object.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "bus-names.h"
#include "config/config.h"
#include "core/door.h"
#include "core/event.h"
#include "core/visitor.h"
#include "daemon/bus/grant-list.h"
#include "daemon/grant-loop.h"
#include "daemon/stats.h"
#include "util/clock.h"
#include "util/log.h"

enum { VISITOR_NAME_SIZE = sizeof "#4294967295" };

static struct bus_object *end_object(void *userdata)
{
	return ((struct bus_end *)userdata)->object;
}

static const struct config *object_config(const struct bus_object *object)
{
	return object->ops->config(object->userdata);
}

/* Inspection */

/* Whose key it was; who opened it by hand, as "#UID"; or "". */
static const char *name_visitor(const char *user, const struct hand *hand,
				char text[static VISITOR_NAME_SIZE])
{
	if (!hand->is_known)
		return user ? user : "";
	snprintf(text, VISITOR_NAME_SIZE, "#%" PRIu32, hand->uid);
	return text;
}

static void list_grant(void *userdata, const struct grant_view *grant)
{
	struct grant_list *listing = userdata;
	char source[ADDRESS_TEXT_MAX + 4], name[VISITOR_NAME_SIZE];

	if (listing->error < 0)
		return;
	address_format(&grant->source, source);
	if (grant->prefix > 0)
		snprintf(source + strlen(source), sizeof source - strlen(source), "/%u",
			 grant->prefix);
	listing->error = sd_bus_message_append(listing->reply, BUS_ROW, grant->door, source,
					       name_visitor(grant->user, &grant->hand, name),
					       listing->now_us + grant->left_us,
					       grant->missing ? "missing" : "open");
}

static int method_list(sd_bus_message *message, void *userdata, sd_bus_error *error)
{
	(void)error;
	return grant_list_answer(end_object(userdata)->doors, message, BUS_ROW, list_grant);
}

static int append_stat(void *userdata, const char *name, uint64_t value)
{
	return sd_bus_message_append(userdata, "{st}", name, value);
}

static int method_stats(sd_bus_message *message, void *userdata, sd_bus_error *error)
{
	struct bus_object *object = end_object(userdata);
	sd_bus_message *reply = NULL;
	struct stats stats = {0};
	int r = sd_bus_message_new_method_return(message, &reply);

	(void)error;
	object->ops->stats(object->userdata, &stats);
	if (r >= 0)
		r = sd_bus_message_open_container(reply, 'a', "{st}");
	if (r >= 0)
		r = stats_each(&stats, append_stat, reply);
	if (r >= 0)
		r = sd_bus_message_close_container(reply);
	if (r >= 0)
		r = sd_bus_send(NULL, reply, NULL);
	sd_bus_message_unref(reply);
	return r;
}

/* Control: each call is checked, then the bus is asked who the caller is, then it is carried out.
 * On the socket the kernel has said so before. */

static void object_open(struct bus_object *object, struct call *call, const struct hand *hand)
{
	const struct door *configured = config_find_door(object_config(object), call->door);
	struct visitor visitor = {.source = call->source,
				  .knock = KNOCK_HAND,
				  .hand = *hand,
				  .stamp_us = clock_us(CLOCK_REALTIME)};
	struct door door;

	/* There may have been a reload since the call came. */
	if (!configured || !door_allows(configured, &call->source)) {
		if (!configured)
			sd_bus_reply_method_errorf(call->message, BUS_ERROR_NO_SUCH_DOOR,
						   "there is no door %s", call->door);
		else
			sd_bus_reply_method_errorf(
				call->message, BUS_ERROR_REFUSED,
				"door %s was not opened: the source is not in allow", call->door);
		call_done(call);
		return;
	}
	/* max_timeout is for knocks. */
	door = *configured;
	if (call->timeout_us > 0)
		door.timeout_us = call->timeout_us;
	grants_open(grant_loop_grants(object->doors), &door, &visitor, clock_us(CLOCK_BOOTTIME));
	grant_loop_rearm(object->doors);
}

static void object_close(struct bus_object *object, struct call *call, const struct hand *hand)
{
	const struct address *source = call->any_source ? NULL : &call->source;
	struct hand dated = *hand;
	size_t n;

	dated.stamp_us = clock_us(CLOCK_REALTIME);
	object->ops->close(object->userdata, call->door, source);
	/* Events count what is closed at once; only then is it known how many to wait for. A
	 * failure has answered the call already. */
	call->n_wanted = UINT32_MAX;
	n = grants_close(grant_loop_grants(object->doors), call->door, source, &dated,
			 clock_us(CLOCK_BOOTTIME));
	grant_loop_rearm(object->doors);
	if (call->kind == CALL_CLOSE)
		call_expect(call, (uint32_t)n);
}

static void object_reload(struct bus_object *object, struct call *call)
{
	if (object->ops->reload(object->userdata) < 0)
		sd_bus_reply_method_errorf(
			call->message, BUS_ERROR_FAILED,
			"keeping the current configuration; the daemon's log says why");
	else
		sd_bus_reply_method_return(call->message, "");
	call_done(call);
}

static void call_log(const struct call *call, uint32_t uid)
{
	char source[ADDRESS_TEXT_MAX] = "all sources";

	if (!call->any_source)
		address_format(&call->source, source);
	switch (call->kind) {
	case CALL_OPEN:
		log_line(LOG_NOTICE, "user %" PRIu32 " opens door %s for %s", uid, call->door,
			 source);
		break;
	case CALL_CLOSE:
		log_line(LOG_NOTICE, "user %" PRIu32 " closes door %s for %s", uid, call->door,
			 source);
		break;
	default:
		log_line(LOG_NOTICE, "user %" PRIu32 " requested a reload", uid);
	}
}

static void object_carry_out(struct bus_object *object, struct call *call, const struct hand *hand)
{
	call_log(call, hand->uid);
	if (call->kind == CALL_OPEN)
		object_open(object, call, hand);
	else if (call->kind == CALL_CLOSE)
		object_close(object, call, hand);
	else
		object_reload(object, call);
}

static int on_caller(sd_bus_message *reply, void *userdata, sd_bus_error *error)
{
	struct call *call = userdata;
	struct hand hand = {.is_known = true};

	(void)error;
	call->lookup = sd_bus_slot_unref(call->lookup);
	if (sd_bus_message_is_method_error(reply, NULL) ||
	    sd_bus_message_read(reply, "u", &hand.uid) < 0) {
		sd_bus_reply_method_errorf(call->message, SD_BUS_ERROR_ACCESS_DENIED,
					   "cannot determine the caller's identity");
		call_done(call);
		return 0;
	}
	object_carry_out(call->owner, call, &hand);
	return 0;
}

static int call_ask_bus(struct call *call)
{
	sd_bus *bus = sd_bus_message_get_bus(call->message);

	return sd_bus_call_method_async(bus, &call->lookup, "org.freedesktop.DBus",
					"/org/freedesktop/DBus", "org.freedesktop.DBus",
					"GetConnectionUnixUser", on_caller, call, "s",
					sd_bus_message_get_sender(call->message));
}

/* Accepts the call; a place that cannot be used is given back. */
static int end_take_call(struct bus_end *end, sd_bus_message *message, const struct call *asked,
			 sd_bus_error *error)
{
	struct call *call =
		calls_add(&end->object->calls, asked->kind, message, clock_us(CLOCK_BOOTTIME));
	int r;

	if (!call)
		return sd_bus_error_setf(error, SD_BUS_ERROR_LIMITS_EXCEEDED,
					 "too many calls are waiting for an answer");
	call->owner = end->object;
	memcpy(call->door, asked->door, sizeof call->door);
	call->source = asked->source;
	call->any_source = asked->any_source;
	call->timeout_us = asked->timeout_us;
	if (end->peer.is_known) {
		object_carry_out(end->object, call, &end->peer);
		return 1;
	}
	r = call_ask_bus(call);
	if (r < 0) {
		call_done(call);
		return r;
	}
	return 1;
}

static int object_find_door(const struct bus_object *object, const char *name, struct call *ret,
			    sd_bus_error *error)
{
	if (!config_find_door(object_config(object), name))
		return sd_bus_error_setf(error, BUS_ERROR_NO_SUCH_DOOR, "there is no door %s",
					 name);
	memcpy(ret->door, name, strlen(name) + 1);
	return 0;
}

static int call_parse_source(const char *text, struct call *ret, sd_bus_error *error)
{
	if (address_parse(text, &ret->source) < 0)
		return sd_bus_error_setf(error, SD_BUS_ERROR_INVALID_ARGS,
					 "'%s' is not an IP address", text);
	return 0;
}

static int method_open(sd_bus_message *message, void *userdata, sd_bus_error *error)
{
	struct bus_object *object = end_object(userdata);
	struct call asked = {.kind = CALL_OPEN};
	const char *name, *source;
	uint32_t seconds;
	int r = sd_bus_message_read(message, "ssu", &name, &source, &seconds);

	if (r >= 0)
		r = object_find_door(object, name, &asked, error);
	if (r >= 0)
		r = call_parse_source(source, &asked, error);
	if (r < 0)
		return r;
	asked.timeout_us = seconds * US_PER_S;
	if (seconds > DOOR_TIMEOUT_MAX_S)
		return sd_bus_error_setf(error, SD_BUS_ERROR_INVALID_ARGS,
					 "a door opens for %d seconds at most", DOOR_TIMEOUT_MAX_S);
	return end_take_call(userdata, message, &asked, error);
}

struct grant_search {
	const char *door;
	bool found;
};

static void find_grant(void *userdata, const struct grant_view *grant)
{
	struct grant_search *search = userdata;

	search->found |= strcmp(grant->door, search->door) == 0;
}

/* A grant may be of a door that the configuration no longer has. */
static int object_find_closable(const struct bus_object *object, const char *name, struct call *ret,
				sd_bus_error *error)
{
	struct grant_search search = {.door = name};

	grants_each(grant_loop_grants(object->doors), clock_us(CLOCK_BOOTTIME), find_grant,
		    &search);
	if (!search.found)
		return object_find_door(object, name, ret, error);
	memcpy(ret->door, name, strlen(name) + 1);
	return 0;
}

static int method_close(sd_bus_message *message, void *userdata, sd_bus_error *error)
{
	struct bus_object *object = end_object(userdata);
	struct call asked = {.kind = CALL_CLOSE};
	char address[ADDRESS_TEXT_MAX];
	const char *name, *source;
	int r = sd_bus_message_read(message, "ss", &name, &source);

	if (r >= 0)
		r = object_find_closable(object, name, &asked, error);
	if (r < 0)
		return r;
	asked.any_source = !*source;
	/* As List has it: behind it there may be how many of its bits the door is for. */
	snprintf(address, sizeof address, "%.*s", (int)strcspn(source, "/"), source);
	if (*source)
		r = call_parse_source(address, &asked, error);
	return r < 0 ? r : end_take_call(userdata, message, &asked, error);
}

static int method_reload(sd_bus_message *message, void *userdata, sd_bus_error *error)
{
	return end_take_call(userdata, message,
			     &(struct call){.kind = CALL_RELOAD, .any_source = true}, error);
}

/* Properties */

static int get_version(sd_bus *bus, const char *path, const char *iface, const char *property,
		       sd_bus_message *reply, void *userdata, sd_bus_error *error)
{
	(void)bus, (void)path, (void)iface, (void)property, (void)userdata, (void)error;
	return sd_bus_message_append(reply, "s", PACKAGE_VERSION);
}

static int get_since(sd_bus *bus, const char *path, const char *iface, const char *property,
		     sd_bus_message *reply, void *userdata, sd_bus_error *error)
{
	struct bus_object *object = end_object(userdata);
	struct stats stats = {0};

	(void)bus, (void)path, (void)iface, (void)property, (void)error;
	object->ops->stats(object->userdata, &stats);
	return sd_bus_message_append(reply, "t", stats.since_us);
}

static int get_doors(sd_bus *bus, const char *path, const char *iface, const char *property,
		     sd_bus_message *reply, void *userdata, sd_bus_error *error)
{
	struct bus_object *object = end_object(userdata);
	const struct config *config = object_config(object);
	int r = sd_bus_message_open_container(reply, 'a', "s");

	(void)bus, (void)path, (void)iface, (void)property, (void)error;
	for (size_t i = 0; i < config->n_doors && r >= 0; i++)
		r = sd_bus_message_append(reply, "s", config->doors[i].name);
	return r < 0 ? r : sd_bus_message_close_container(reply);
}

static int get_grants(sd_bus *bus, const char *path, const char *iface, const char *property,
		      sd_bus_message *reply, void *userdata, sd_bus_error *error)
{
	struct bus_object *object = end_object(userdata);

	(void)bus, (void)path, (void)iface, (void)property, (void)error;
	return sd_bus_message_append(reply, "u",
				     (uint32_t)grants_count(grant_loop_grants(object->doors)));
}

/* Who may call what is the policy's business (dbus/org.knocktail.conf), on the socket that of
 * whoever lets them in: to it every method is "unprivileged". */
static const sd_bus_vtable vtable[] = {
	SD_BUS_VTABLE_START(0),
	SD_BUS_PROPERTY("Version", "s", get_version, 0, SD_BUS_VTABLE_PROPERTY_CONST),
	SD_BUS_PROPERTY("Since", "t", get_since, 0, SD_BUS_VTABLE_PROPERTY_CONST),
	SD_BUS_PROPERTY("Doors", "as", get_doors, 0, SD_BUS_VTABLE_PROPERTY_EMITS_CHANGE),
	SD_BUS_PROPERTY("Grants", "u", get_grants, 0, 0),
	SD_BUS_METHOD_WITH_ARGS("List", SD_BUS_NO_ARGS, SD_BUS_RESULT("a" BUS_ROW, grants),
				method_list, SD_BUS_VTABLE_UNPRIVILEGED),
	SD_BUS_METHOD_WITH_ARGS("Stats", SD_BUS_NO_ARGS, SD_BUS_RESULT("a{st}", stats),
				method_stats, SD_BUS_VTABLE_UNPRIVILEGED),
	SD_BUS_METHOD_WITH_ARGS("Open", SD_BUS_ARGS("s", door, "s", source, "u", seconds),
				SD_BUS_RESULT("t", deadline), method_open,
				SD_BUS_VTABLE_UNPRIVILEGED),
	SD_BUS_METHOD_WITH_ARGS("Close", SD_BUS_ARGS("s", door, "s", source),
				SD_BUS_RESULT("u", closed), method_close,
				SD_BUS_VTABLE_UNPRIVILEGED),
	SD_BUS_METHOD_WITH_ARGS("Reload", SD_BUS_NO_ARGS, SD_BUS_NO_RESULT, method_reload,
				SD_BUS_VTABLE_UNPRIVILEGED),
	SD_BUS_SIGNAL_WITH_ARGS("Opened",
				SD_BUS_ARGS("s", door, "s", source, "s", user, "t", deadline), 0),
	SD_BUS_SIGNAL_WITH_ARGS("Closed", SD_BUS_ARGS("s", door, "s", source), 0),
	SD_BUS_VTABLE_END,
};

int bus_object_export(struct bus_end *end, sd_bus *connection)
{
	int r = sd_bus_add_object_vtable(connection, NULL, BUS_PATH, BUS_INTERFACE, vtable, end);

	return r < 0 ? r : 0;
}

bool bus_object_steers(sd_bus_message *call)
{
	return sd_bus_message_is_method_call(call, BUS_INTERFACE, "Open") > 0 ||
	       sd_bus_message_is_method_call(call, BUS_INTERFACE, "Close") > 0 ||
	       sd_bus_message_is_method_call(call, BUS_INTERFACE, "Reload") > 0 ||
	       sd_bus_message_is_method_call(call, BUS_FLEET_INTERFACE, NULL) > 0;
}

void bus_object_signal(sd_bus *connection, const struct event *event)
{
	char source[ADDRESS_TEXT_MAX], name[VISITOR_NAME_SIZE];

	if (!event) {
		sd_bus_emit_properties_changed(connection, BUS_PATH, BUS_INTERFACE, "Doors", NULL);
		return;
	}
	switch (event->kind) {
	case EVENT_OPENED:
	case EVENT_RENEWED:
	case EVENT_ADOPTED:
	case EVENT_RESTORED:
		sd_bus_emit_signal(connection, BUS_PATH, BUS_INTERFACE, "Opened", "ssst",
				   event->door, address_format(&event->source, source),
				   name_visitor(event->user, &event->hand, name),
				   event->deadline_us);
		break;
	case EVENT_CLOSED:
		sd_bus_emit_signal(connection, BUS_PATH, BUS_INTERFACE, "Closed", "ss", event->door,
				   address_format(&event->source, source));
		break;
	default:
		break;
	}
}
