#include "daemon/bus/fleet.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "bus-names.h"
#include "config/config.h"
#include "core/door.h"
#include "core/event.h"
#include "core/keyed/keyed.h"
#include "core/token.h"
#include "daemon/bus/grant-list.h"
#include "daemon/bus/object.h"
#include "daemon/grant-loop.h"
#include "keys/burn.h"
#include "util/clock.h"
#include "util/log.h"

/* How long others have to remember what was burnt, beyond what clocks may be off. */
enum { BURNT_FOR_S = 300 };

enum { HEX_MAX = 2 * KEY_ID_SIZE + 1 };

static const char *hex_format(const uint8_t *bytes, size_t n, char text[static HEX_MAX])
{
	text[0] = '\0';
	for (size_t i = 0; i < n; i++)
		snprintf(text + 2 * i, 3, "%02x", bytes[i]);
	return text;
}

/* Exactly that many bytes; false: it is something else. */
static bool hex_parse(const char *text, uint8_t *ret, size_t n)
{
	static const char digits[] = "0123456789abcdef";

	if (strlen(text) != 2 * n || text[strspn(text, digits)] != '\0')
		return false;
	for (size_t i = 0; i < n; i++)
		ret[i] = (uint8_t)((strchr(digits, text[2 * i]) - digits) << 4 |
				   (strchr(digits, text[2 * i + 1]) - digits));
	return true;
}

static enum knock_kind knock_kind_of(const char *name)
{
	for (enum knock_kind kind = KNOCK_SEQUENCE; kind < N_KNOCK_KINDS; kind++)
		if (strcmp(knock_kind_name(kind), name) == 0)
			return kind;
	return KNOCK_UNKNOWN;
}

static const char *knock_name_or_empty(enum knock_kind kind)
{
	const char *name = knock_kind_name(kind);

	return name ? name : "";
}

/* What this host holds open by itself */

static void list_hold(void *userdata, const struct grant_view *grant)
{
	struct grant_list *list = userdata;
	char source[ADDRESS_TEXT_MAX];

	if (list->error >= 0 && grant->own_left_us > 0)
		list->error = sd_bus_message_append(
			list->reply, BUS_HOLD_ROW, grant->door,
			address_format(&grant->source, source), grant->own_user,
			strcmp(grant->own_user, grant->user) == 0
				? knock_name_or_empty(grant->knock)
				: "",
			list->now_us + grant->own_left_us, grant->own_stamp_us);
}

/* Whoever asks may have missed what was burnt as well. */
static int method_holds(sd_bus_message *message, void *userdata, sd_bus_error *error)
{
	struct bus_end *end = userdata;
	const struct bus_object *object = end->object;
	size_t n = object->n_recent;

	(void)error;
	end->has_lost = false;
	for (size_t i = n > RECENT_MAX ? n - RECENT_MAX : 0; i < n; i++)
		bus_fleet_signal_burnt(sd_bus_message_get_bus(message),
				       &object->recent[i % RECENT_MAX]);
	return grant_list_answer(object->doors, message, BUS_HOLD_ROW, list_hold);
}

/* What others hold open */

/* Whoever has taken the agent over gets at no other doors. */
static int refuse_unshared(const char *name, sd_bus_error *error)
{
	return sd_bus_error_setf(error, BUS_ERROR_REFUSED,
				 "door %s is not the fleet's: it does not say fleet = yes", name);
}

/* Within the door's own bounds, whatever was asked for. 0, or an error for the caller. */
static int fleet_open(const struct bus_object *object, const struct visitor *visitor,
		      const char *name, uint64_t deadline_us, sd_bus_error *error)
{
	const struct config *config = object->ops->config(object->userdata);
	const struct door *configured = config_find_door(config, name);
	uint64_t now_us = clock_us(CLOCK_REALTIME), left_us, max_us;
	struct door door;
	bool is_open;

	if (!configured)
		return sd_bus_error_setf(error, BUS_ERROR_NO_SUCH_DOOR, "there is no door %s",
					 name);
	if (!configured->in_fleet)
		return refuse_unshared(name, error);
	if (!door_allows(configured, &visitor->source))
		return sd_bus_error_setf(error, BUS_ERROR_REFUSED,
					 "door %s was not opened: the source is not in allow",
					 name);
	/* A door that opens by commands has whole seconds. */
	left_us = deadline_us > now_us ? deadline_us - now_us : 0;
	if (left_us < US_PER_S)
		return sd_bus_error_setf(error, BUS_ERROR_REFUSED,
					 "door %s was not opened: its time is over", name);
	max_us = configured->max_timeout_us > configured->timeout_us ? configured->max_timeout_us
								     : configured->timeout_us;
	door = *configured;
	door.timeout_us = left_us < max_us ? left_us : max_us;
	is_open = grants_open(grant_loop_grants(object->doors), &door, visitor,
			      clock_us(CLOCK_BOOTTIME));
	grant_loop_rearm(object->doors);
	return is_open ? 0
		       : sd_bus_error_setf(error, BUS_ERROR_REFUSED,
					   "door %s was not opened; the journal says why", name);
}

static int source_parse(const char *text, struct address *ret, sd_bus_error *error)
{
	if (address_parse(text, ret) < 0)
		return sd_bus_error_setf(error, SD_BUS_ERROR_INVALID_ARGS,
					 "'%s' is not an IP address", text);
	return 0;
}

static int method_open_as(sd_bus_message *message, void *userdata, sd_bus_error *error)
{
	const struct bus_end *end = userdata;
	const struct bus_object *object = end->object;
	const char *door, *source, *name, *knock;
	struct visitor visitor = {.seconds = 0};
	uint64_t deadline_us;
	int r = sd_bus_message_read(message, "sssstt", &door, &source, &name, &knock, &deadline_us,
				    &visitor.stamp_us);

	if (r >= 0)
		r = source_parse(source, &visitor.source, error);
	if (r < 0)
		return r;
	if (!visitor_host(name) || !visitor_is_name(name))
		return sd_bus_error_setf(error, SD_BUS_ERROR_INVALID_ARGS,
					 "'%s' is not USER@HOST or @HOST", name);
	if (end->peer.is_known)
		log_line(LOG_NOTICE, "user %" PRIu32 " opens door %s for %s at %s", end->peer.uid,
			 door, source, name);
	visitor.user = name;
	visitor.knock = knock_kind_of(knock);
	r = fleet_open(object, &visitor, door, deadline_us, error);
	return r < 0 ? r : sd_bus_reply_method_return(message, "");
}

/* A host's, or (no host) everybody's, as far as they have knocked by then. What other hosts have
 * open closes whether the door is still the fleet's or not. */
static int method_close_as(sd_bus_message *message, void *userdata, sd_bus_error *error)
{
	const struct bus_object *object = ((struct bus_end *)userdata)->object;
	struct grants *grants = grant_loop_grants(object->doors);
	const uint64_t now_us = clock_us(CLOCK_BOOTTIME);
	const struct door *configured;
	const char *door, *text, *host;
	struct address source;
	uint64_t until_us;
	int r = sd_bus_message_read(message, "ssst", &door, &text, &host, &until_us);

	if (r >= 0 && *text)
		r = source_parse(text, &source, error);
	if (r < 0)
		return r;
	configured = config_find_door(object->ops->config(object->userdata), door);
	if (!*host && configured && !configured->in_fleet)
		return refuse_unshared(door, error);
	if (!*host)
		object->ops->close(object->userdata, door, *text ? &source : NULL);
	grants_release(grants, door, *text ? &source : NULL, *host ? host : NULL, until_us, now_us);
	grant_loop_rearm(object->doors);
	return sd_bus_reply_method_return(message, "");
}

/* What was burnt elsewhere */

/* By how much others' clocks are ahead at most, and their clients' clocks again. */
enum { LATEST_S = 60 + KEYED_SKEW_MAX_S };

/* Whether it is "NAME/4" or "NAME/6" of a door that tokens open. */
static bool config_has_burnt_door(const struct config *config, const char *text)
{
	size_t length = strcspn(text, "/");

	if (strcmp(text + length, "/4") != 0 && strcmp(text + length, "/6") != 0)
		return false;
	for (size_t i = 0; i < config->n_doors; i++)
		if ((config->doors[i].auth & AUTH_TOKEN) &&
		    strlen(config->doors[i].name) == length &&
		    strncasecmp(config->doors[i].name, text, length) == 0)
			return true;
	return false;
}

static int method_burn(sd_bus_message *message, void *userdata, sd_bus_error *error)
{
	const struct bus_object *object = ((struct bus_end *)userdata)->object;
	const struct config *config = object->ops->config(object->userdata);
	const char *key, *door, *nonce;
	struct burn burn = {
		.now_s = clock_us(CLOCK_REALTIME) / US_PER_S,
		.skew_s = (uint32_t)(config->clock_skew_us / US_PER_S),
	};
	int r = sd_bus_message_read(message, "sstsu", &key, &door, &burn.step, &nonce,
				    &burn.time_s);

	if (r < 0)
		return r;
	if (strlen(door) > BURNT_DOOR_MAX ||
	    !hex_parse(key, burn.key.bytes, sizeof burn.key.bytes) ||
	    (burn.time_s > 0 ? !hex_parse(nonce, burn.nonce, sizeof burn.nonce) : !*door))
		return sd_bus_error_setf(error, SD_BUS_ERROR_INVALID_ARGS,
					 "neither a token nor an SPA knock");
	/* Far ahead of its time it would use up all until then. */
	if (burn.step > token_step(burn.now_s + LATEST_S) || burn.time_s > burn.now_s + LATEST_S)
		return sd_bus_error_setf(error, SD_BUS_ERROR_INVALID_ARGS,
					 "nobody can have used it yet, whatever their clock");
	/* What could open nothing here needs no record, and there is room for so many only. */
	if (burn.time_s == 0 && !config_has_burnt_door(config, door))
		return sd_bus_reply_method_return(message, "");
	memcpy(burn.door, door, strlen(door) + 1);
	/* One that is ahead of its time must not use up those before it. */
	burn.kind = burn.time_s > 0				       ? BURN_SPA
		    : burn.step > token_step(burn.now_s + burn.skew_s) ? BURN_TOKEN_ELSEWHERE
								       : BURN_TOKEN;
	r = object->ops->burn(object->userdata, &burn);
	if (r < 0 && r != -ENOENT)
		return sd_bus_error_setf(error, BUS_ERROR_FAILED,
					 "it cannot be recorded as used: %s", strerror(-r));
	return sd_bus_reply_method_return(message, "");
}

/* As in object.c: who may call is the policy's business. */
static const sd_bus_vtable vtable[] = {
	SD_BUS_VTABLE_START(0),
	SD_BUS_METHOD_WITH_ARGS("Holds", SD_BUS_NO_ARGS, SD_BUS_RESULT("a" BUS_HOLD_ROW, holds),
				method_holds, SD_BUS_VTABLE_UNPRIVILEGED),
	SD_BUS_METHOD_WITH_ARGS("OpenAs",
				SD_BUS_ARGS("s", door, "s", source, "s", visitor, "s", knock, "t",
					    deadline, "t", since),
				SD_BUS_NO_RESULT, method_open_as, SD_BUS_VTABLE_UNPRIVILEGED),
	SD_BUS_METHOD_WITH_ARGS("CloseAs",
				SD_BUS_ARGS("s", door, "s", source, "s", host, "t", until),
				SD_BUS_NO_RESULT, method_close_as, SD_BUS_VTABLE_UNPRIVILEGED),
	SD_BUS_METHOD_WITH_ARGS("Burn",
				SD_BUS_ARGS("s", key, "s", door, "t", step, "s", nonce, "u", time),
				SD_BUS_NO_RESULT, method_burn, SD_BUS_VTABLE_UNPRIVILEGED),
	SD_BUS_SIGNAL_WITH_ARGS("Held",
				SD_BUS_ARGS("s", door, "s", source, "s", user, "s", knock, "t",
					    deadline, "t", since, "b", hand),
				0),
	SD_BUS_SIGNAL("Lost", "", 0),
	SD_BUS_SIGNAL_WITH_ARGS(
		"Burnt",
		SD_BUS_ARGS("s", key, "s", door, "t", step, "s", nonce, "u", time, "t", until), 0),
	SD_BUS_VTABLE_END,
};

int bus_fleet_export(struct bus_end *end, sd_bus *connection)
{
	int r = sd_bus_add_object_vtable(connection, NULL, BUS_PATH, BUS_FLEET_INTERFACE, vtable,
					 end);

	return r < 0 ? r : 0;
}

void bus_fleet_signal(sd_bus *connection, const struct event *event)
{
	char source[ADDRESS_TEXT_MAX];
	const char *user;
	bool is_by_own;

	if (!event)
		return;
	user = event->own_user ? event->own_user : "";
	is_by_own = event->user && strcmp(user, event->user) == 0;
	switch (event->kind) {
	case EVENT_OPENED:
	case EVENT_RENEWED:
	case EVENT_ADOPTED:
	case EVENT_RESTORED:
	case EVENT_HELD:
		sd_bus_emit_signal(connection, BUS_PATH, BUS_FLEET_INTERFACE, "Held", "ssssttb",
				   event->door, address_format(&event->source, source), user,
				   is_by_own ? knock_name_or_empty(event->knock) : "",
				   event->own_deadline_us, event->own_stamp_us, false);
		break;
	case EVENT_CLOSED:
		sd_bus_emit_signal(connection, BUS_PATH, BUS_FLEET_INTERFACE, "Held", "ssssttb",
				   event->door, address_format(&event->source, source), "", "",
				   (uint64_t)0, event->hand.stamp_us, event->hand.is_known);
		break;
	default:
		break;
	}
}

void bus_fleet_signal_lost(struct bus_end *end, sd_bus *connection)
{
	if (!end->has_lost)
		sd_bus_emit_signal(connection, BUS_PATH, BUS_FLEET_INTERFACE, "Lost", "");
	end->has_lost = true;
}

void bus_fleet_signal_burnt(sd_bus *connection, const struct burn *burn)
{
	uint64_t until_us = (burn->now_s + 2 * (uint64_t)burn->skew_s + BURNT_FOR_S) * US_PER_S;
	char key[HEX_MAX], nonce[HEX_MAX];
	bool is_spa = burn->kind == BURN_SPA;

	if (until_us <= clock_us(CLOCK_REALTIME))
		return;
	sd_bus_emit_signal(connection, BUS_PATH, BUS_FLEET_INTERFACE, "Burnt", "sstsut",
			   hex_format(burn->key.bytes, sizeof burn->key.bytes, key),
			   is_spa ? "" : burn->door, is_spa ? (uint64_t)0 : burn->step,
			   is_spa ? hex_format(burn->nonce, sizeof burn->nonce, nonce) : "",
			   is_spa ? burn->time_s : (uint32_t)0, until_us);
}
