/* The client: the daemon, asked over its own socket, or the system bus where that is not to be had.
 */
#pragma once

#include "cli/verb.h"
#include "core/address.h"

#include <stdbool.h>
#include <stdint.h>
#include <systemd/sd-bus.h>

/* Each complains if it fails: STATUS_ABSENT if no daemon is there, STATUS_FAILED otherwise. The
 * daemon is never started by this. */
enum status client_connect(const struct verb *verb, sd_bus **ret);

/* The same without a word. */
enum status client_reach(sd_bus **ret);

/* Calls a method of org.knocktail.Manager1, with arguments as sd_bus_message_append() takes them.
 * `ret_reply` may be NULL. */
enum status client_call(const struct verb *verb, sd_bus *bus, sd_bus_message **ret_reply,
			const char *member, const char *types, ...);

/* The address in canonical form; any other text unchanged. */
const char *client_address(const char *text, char canonical[static ADDRESS_TEXT_MAX]);

/* One property, as a variant. */
enum status client_property(const struct verb *verb, sd_bus *bus, const char *name,
			    sd_bus_message **ret_reply);

/* Complains of a reply that is not as it should be. */
enum status client_garbled(const struct verb *verb, int error);

/* Goes through the open doors, by door and then by deadline. Stops at the first status but
 * STATUS_OK and returns it. */
struct open_door {
	const char *door, *source, *user;
	const char *state;    /* "open", or "missing": the firewall has lost it */
	uint64_t deadline_us; /* wall clock */
};
typedef enum status (*client_door_fn)(void *userdata, const struct open_door *door);
enum status client_each_open(const struct verb *verb, sd_bus *bus, client_door_fn fn,
			     void *userdata);

/* The same for what the daemon has counted. */
typedef enum status (*client_stat_fn)(void *userdata, const char *name, uint64_t value);
enum status client_each_stat(const struct verb *verb, sd_bus *bus, client_stat_fn fn,
			     void *userdata);

/* The same for the names of all doors, open or not. */
typedef enum status (*client_name_fn)(void *userdata, const char *name);
enum status client_each_door(const struct verb *verb, sd_bus *bus, client_name_fn fn,
			     void *userdata);
