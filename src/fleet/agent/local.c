#include "fleet/agent/local.h"

#include <errno.h>
#include <sodium.h>
#include <stdlib.h>
#include <string.h>
#include <systemd/sd-bus.h>

#include "bus-names.h"
#include "fleet/message.h"
#include "util/cleanup.h"
#include "util/clock.h"
#include "util/log.h"

static const char default_address[] = "unix:path=/run/dbus/system_bus_socket";

#define AGAIN_US US_PER_S
/* The daemon answers at once; a bus that hangs does not. */
#define CALL_LIMIT_US UINT64_C(10000000)

struct local {
	sd_event *event;
	sd_event_source *timer;
	sd_bus *bus;
	bool is_there, is_complained;
	const struct local_ops *ops;
	void *userdata;
};

/* A call whose answer is for an entry. */
struct local_call {
	struct local *local;
	void *entry;
	bool is_answered;
};

DEFINE_CLEANUP(struct local *, local_free)

static void local_retry(struct local *local)
{
	sd_event_source_set_time(local->timer, clock_us(CLOCK_MONOTONIC) + AGAIN_US);
	sd_event_source_set_enabled(local->timer, SD_EVENT_ONESHOT);
}

static void local_lose(struct local *local)
{
	if (local->is_there) {
		local->is_there = false;
		local->ops->gone(local->userdata);
	}
}

/* Signals */

static int on_held(sd_bus_message *signal, void *userdata, sd_bus_error *error)
{
	const struct local *local = userdata;
	struct local_hold hold = {0};
	int is_by_hand;

	(void)error;
	if (sd_bus_message_read(signal, "ssssttb", &hold.door, &hold.source, &hold.user,
				&hold.knock, &hold.deadline_us, &hold.stamp_us, &is_by_hand) >= 0) {
		hold.is_by_hand = is_by_hand;
		local->ops->held(local->userdata, &hold);
	}
	return 0;
}

static bool hex_read(const char *text, uint8_t *ret, size_t size)
{
	size_t n;

	return sodium_hex2bin(ret, size, text, strlen(text), NULL, &n, NULL) == 0 && n == size;
}

static int on_burnt(sd_bus_message *signal, void *userdata, sd_bus_error *error)
{
	const struct local *local = userdata;
	struct fleet_message message = {.kind = FLEET_BURNT};
	const char *key, *door, *nonce;

	(void)error;
	if (sd_bus_message_read(signal, "sstsut", &key, &door, &message.step, &nonce,
				&message.time_s, &message.until_us) < 0 ||
	    strlen(door) > FLEET_BURNT_DOOR_MAX ||
	    !hex_read(key, message.key.bytes, sizeof message.key.bytes) ||
	    (message.time_s > 0 && !hex_read(nonce, message.nonce, sizeof message.nonce)))
		return 0;
	memcpy(message.door, door, strlen(door) + 1);
	local->ops->burnt(local->userdata, &message);
	return 0;
}

/* What is open when we come, or the daemon does */

static int on_list(sd_bus_message *reply, void *userdata, sd_bus_error *error)
{
	const struct local *local = userdata;
	const char *door, *source, *user, *state;
	uint64_t deadline_us;

	(void)error;
	if (sd_bus_message_is_method_error(reply, NULL) ||
	    sd_bus_message_enter_container(reply, 'a', BUS_ROW) < 0)
		return 0;
	while (sd_bus_message_read(reply, BUS_ROW, &door, &source, &user, &deadline_us, &state) >
	       0) {
		const char *host = visitor_host(user);
		char address[ADDRESS_TEXT_MAX + 4];
		size_t length = strcspn(source, "/");

		if (!host || length >= sizeof address)
			continue;
		memcpy(address, source, length);
		address[length] = '\0';
		local->ops->foreign(local->userdata, door, address, host);
	}
	return 0;
}

static int on_holds(sd_bus_message *reply, void *userdata, sd_bus_error *error)
{
	struct local *local = userdata;
	const sd_bus_error *failure = sd_bus_message_get_error(reply);
	struct local_hold hold = {0};

	(void)error;
	if (failure || sd_bus_message_enter_container(reply, 'a', BUS_HOLD_ROW) < 0) {
		/* No daemon: its coming is signalled. */
		if (!failure || !sd_bus_error_has_name(failure, SD_BUS_ERROR_SERVICE_UNKNOWN)) {
			if (!local->is_complained)
				log_line(LOG_WARNING,
					 "cannot ask knocktaild what is open, will try again: %s",
					 failure && failure->message ? failure->message
								     : "no answer");
			local->is_complained = true;
			local_retry(local);
		}
		return 0;
	}
	local->is_there = true;
	local->is_complained = false;
	local->ops->begin(local->userdata);
	while (sd_bus_message_read(reply, BUS_HOLD_ROW, &hold.door, &hold.source, &hold.user,
				   &hold.knock, &hold.deadline_us, &hold.stamp_us) > 0)
		local->ops->hold(local->userdata, &hold);
	local->ops->end(local->userdata);
	sd_bus_call_method_async(local->bus, NULL, BUS_NAME, BUS_PATH, BUS_INTERFACE, "List",
				 on_list, local, "");
	return 0;
}

static void local_ask(struct local *local)
{
	if (sd_bus_call_method_async(local->bus, NULL, BUS_NAME, BUS_PATH, BUS_FLEET_INTERFACE,
				     "Holds", on_holds, local, "") < 0)
		local_retry(local);
}

/* It had more to say than the bus takes. */
static int on_lost(sd_bus_message *signal, void *userdata, sd_bus_error *error)
{
	(void)signal;
	(void)error;
	local_ask(userdata);
	return 0;
}

static int on_owner(sd_bus_message *signal, void *userdata, sd_bus_error *error)
{
	struct local *local = userdata;
	const char *name, *old, *new;

	(void)error;
	if (sd_bus_message_read(signal, "sss", &name, &old, &new) < 0 ||
	    strcmp(name, BUS_NAME) != 0)
		return 0;
	local_lose(local);
	if (*new)
		local_ask(local);
	return 0;
}

/* The last of the matches is there. */
static int on_matched(sd_bus_message *reply, void *userdata, sd_bus_error *error)
{
	(void)error;
	if (sd_bus_message_is_method_error(reply, NULL))
		local_retry(userdata);
	else
		local_ask(userdata);
	return 0;
}

/* The connection */

static int on_disconnected(sd_bus_message *signal, void *userdata, sd_bus_error *error)
{
	struct local *local = userdata;

	(void)signal;
	(void)error;
	log_line(LOG_INFO, "the system bus is gone; waiting for it to come back");
	local_lose(local);
	local_retry(local);
	return 0;
}

static int local_start(struct local *local)
{
	const char *address = secure_getenv("DBUS_SYSTEM_BUS_ADDRESS");
	int r = sd_bus_set_address(local->bus, address ? address : default_address);

	if (r >= 0)
		r = sd_bus_set_bus_client(local->bus, true);
	if (r >= 0)
		r = sd_bus_set_watch_bind(local->bus, true);
	if (r >= 0)
		r = sd_bus_set_method_call_timeout(local->bus, CALL_LIMIT_US);
	if (r >= 0)
		r = sd_bus_start(local->bus);
	if (r >= 0)
		r = sd_bus_match_signal(local->bus, NULL, NULL, "/org/freedesktop/DBus/Local",
					"org.freedesktop.DBus.Local", "Disconnected",
					on_disconnected, local);
	if (r >= 0)
		r = sd_bus_match_signal_async(local->bus, NULL, BUS_NAME, BUS_PATH,
					      BUS_FLEET_INTERFACE, "Held", on_held, NULL, local);
	if (r >= 0)
		r = sd_bus_match_signal_async(local->bus, NULL, BUS_NAME, BUS_PATH,
					      BUS_FLEET_INTERFACE, "Burnt", on_burnt, NULL, local);
	if (r >= 0)
		r = sd_bus_match_signal_async(local->bus, NULL, BUS_NAME, BUS_PATH,
					      BUS_FLEET_INTERFACE, "Lost", on_lost, NULL, local);
	if (r >= 0)
		r = sd_bus_match_signal_async(local->bus, NULL, "org.freedesktop.DBus",
					      "/org/freedesktop/DBus", "org.freedesktop.DBus",
					      "NameOwnerChanged", on_owner, on_matched, local);
	if (r >= 0)
		r = sd_bus_attach_event(local->bus, local->event, SD_EVENT_PRIORITY_NORMAL);
	return r < 0 ? r : 0;
}

static void local_connect(struct local *local)
{
	int r = sd_bus_new(&local->bus);

	if (r >= 0)
		r = local_start(local);
	if (r < 0)
		local_retry(local);
}

static void local_disconnect(struct local *local)
{
	if (local->bus)
		sd_bus_detach_event(local->bus);
	local->bus = sd_bus_close_unref(local->bus);
}

static int on_time(sd_event_source *source, uint64_t time_us, void *userdata)
{
	struct local *local = userdata;

	(void)source;
	(void)time_us;
	local_lose(local);
	local_disconnect(local);
	local_connect(local);
	return 0;
}

int local_new(sd_event *event, const struct local_ops *ops, void *userdata, struct local **ret)
{
	CLEANUP(cleanup_local_free) struct local *local = calloc(1, sizeof *local);
	int r;

	if (!local)
		return -ENOMEM;
	local->event = sd_event_ref(event);
	local->ops = ops;
	local->userdata = userdata;
	r = sd_event_add_time(event, &local->timer, CLOCK_MONOTONIC, UINT64_MAX, 0, on_time, local);
	if (r >= 0)
		r = sd_event_source_set_enabled(local->timer, SD_EVENT_OFF);
	if (r < 0)
		return r;
	local_connect(local);
	*ret = TAKE_PTR(local);
	return 0;
}

struct local *local_free(struct local *local)
{
	if (local) {
		local->is_there = false; /* nobody asks again when the calls end with it */
		local_disconnect(local);
		sd_event_source_unref(local->timer);
		sd_event_unref(local->event);
		free(local);
	}
	return NULL;
}

bool local_is_there(const struct local *local)
{
	return local->is_there;
}

/* Calls */

static int on_answer(sd_bus_message *reply, void *userdata, sd_bus_error *error)
{
	struct local_call *call = userdata;
	const sd_bus_error *failure = sd_bus_message_get_error(reply);
	enum local_answer answer = LOCAL_DONE;

	(void)error;
	if (failure && sd_bus_error_has_name(failure, BUS_ERROR_FAILED))
		answer = LOCAL_BUSY;
	else if (failure && (sd_bus_error_has_name(failure, BUS_ERROR_REFUSED) ||
			     sd_bus_error_has_name(failure, BUS_ERROR_NO_SUCH_DOOR) ||
			     sd_bus_error_has_name(failure, SD_BUS_ERROR_INVALID_ARGS)))
		answer = LOCAL_REFUSED;
	else if (failure)
		answer = LOCAL_AWAY;
	call->is_answered = true;
	call->local->ops->answer(call->local->userdata, call->entry, answer,
				 failure && failure->message ? failure->message : "no answer");
	return 0;
}

/* A connection that goes takes its calls with it. */
static void on_call_gone(void *userdata)
{
	struct local_call *call = userdata;

	if (!call->is_answered)
		call->local->ops->answer(call->local->userdata, call->entry, LOCAL_AWAY,
					 "no answer");
	free(call);
}

static int local_send(struct local *local, sd_bus_message *message, void *entry)
{
	struct local_call *call;
	sd_bus_slot *slot = NULL;
	int r;

	if (!entry)
		return sd_bus_send(local->bus, message, NULL);
	call = malloc(sizeof *call);
	if (!call)
		return -ENOMEM;
	*call = (struct local_call){.local = local, .entry = entry};
	r = sd_bus_call_async(local->bus, &slot, message, on_answer, call, 0);
	if (r < 0) {
		free(call);
		return r;
	}
	sd_bus_slot_set_destroy_callback(slot, on_call_gone);
	sd_bus_slot_set_floating(slot, true);
	sd_bus_slot_unref(slot);
	return 0;
}

/* Begins a call; whatever comes of it, *ret is to be released. */
static int local_begin(struct local *local, const char *member, sd_bus_message **ret)
{
	if (!local->is_there)
		return -ENOTCONN;
	return sd_bus_message_new_method_call(local->bus, ret, BUS_NAME, BUS_PATH,
					      BUS_FLEET_INTERFACE, member);
}

static int local_finish(struct local *local, int r, sd_bus_message *message, void *entry)
{
	if (r >= 0)
		r = local_send(local, message, entry);
	sd_bus_message_unref(message);
	return r < 0 ? r : 0;
}

int local_open(struct local *local, const char *door, const char *source, const char *visitor,
	       const char *knock, uint64_t deadline_us, uint64_t stamp_us, void *entry)
{
	sd_bus_message *message = NULL;
	int r = local_begin(local, "OpenAs", &message);

	if (r >= 0)
		r = sd_bus_message_append(message, "sssstt", door, source, visitor, knock,
					  deadline_us, stamp_us);
	return local_finish(local, r, message, entry);
}

int local_close(struct local *local, const char *door, const char *source, const char *host,
		uint64_t stamp_us, void *entry)
{
	sd_bus_message *message = NULL;
	int r = local_begin(local, "CloseAs", &message);

	if (r >= 0)
		r = sd_bus_message_append(message, "ssst", door, source, host, stamp_us);
	return local_finish(local, r, message, entry);
}

int local_burn(struct local *local, const struct fleet_message *message, void *entry)
{
	char key[2 * KEY_ID_SIZE + 1], nonce[2 * FLEET_NONCE_SIZE + 1];
	sd_bus_message *call = NULL;
	int r = local_begin(local, "Burn", &call);

	sodium_bin2hex(key, sizeof key, message->key.bytes, sizeof message->key.bytes);
	sodium_bin2hex(nonce, sizeof nonce, message->nonce, sizeof message->nonce);
	if (r >= 0)
		r = sd_bus_message_append(call, "sstsu", key, message->door, message->step,
					  message->time_s > 0 ? nonce : "", message->time_s);
	return local_finish(local, r, call, entry);
}
