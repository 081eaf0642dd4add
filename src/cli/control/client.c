#include "cli/control/client.h"

#include <errno.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "bus-names.h"
#include "cli/common/output.h"
#include "cli/common/own-socket.h"
#include "util/cleanup.h"
#include "util/clock.h"
#include "util/text/utf8.h"

/* Longer than a bus that is well needs to say hello. */
#define HELLO_LIMIT_US UINT64_C(5000000)

/* Longer than a door may take to open or close. */
#define CALL_LIMIT_US UINT64_C(30000000)

#define START_IT ": start it with 'systemctl start knocktaild'"

/* sd-bus itself would wait for a minute and a half. */
static int wait_hello(sd_bus *bus)
{
	uint64_t until_us = clock_us(CLOCK_MONOTONIC) + HELLO_LIMIT_US;
	int r;

	while ((r = sd_bus_is_ready(bus)) == 0) {
		uint64_t now_us = clock_us(CLOCK_MONOTONIC);

		r = sd_bus_process(bus, NULL);
		if (r == 0)
			r = now_us < until_us ? sd_bus_wait(bus, until_us - now_us) : -ETIMEDOUT;
		if (r < 0 && r != -EINTR)
			return r;
	}
	return r < 0 ? r : 0;
}

/* Opens a connection and waits until it can be used. 0 or a negative errno. */
static int connect_by(int (*open)(sd_bus **ret), sd_bus **ret)
{
	sd_bus *bus = NULL;
	int r = open(&bus);

	if (r >= 0)
		r = wait_hello(bus);
	if (r < 0) {
		/* Not flushed, as its visitors would: that waits as long as sd-bus does. */
		sd_bus_close_unref(bus);
		return r;
	}
	*ret = bus;
	return 0;
}

static bool is_nobody(int error)
{
	return error == -ENOENT || error == -ECONNREFUSED;
}

static enum status complain_unreached(const struct verb *verb, int by_socket, int by_bus)
{
	bool absent = is_nobody(by_socket) && is_nobody(by_bus);

	fprintf(stderr, "knocktail %s: %s (" BUS_SOCKET_PATH ": %s; the system bus: %s)%s\n",
		verb->name, absent ? "knocktaild does not run" : "cannot reach knocktaild",
		strerror(-by_socket), strerror(-by_bus),
		absent		       ? START_IT
		: by_socket == -EACCES ? ": the first is for root and the group " BUS_ADMINS
				       : "");
	return absent ? STATUS_ABSENT : STATUS_FAILED;
}

enum status client_connect(const struct verb *verb, sd_bus **ret)
{
	int by_socket = connect_by(own_socket_open, ret), by_bus;

	if (by_socket == 0)
		return STATUS_OK;
	if (by_socket == -ETIMEDOUT) {
		fprintf(stderr, "knocktail %s: knocktaild does not answer on " BUS_SOCKET_PATH "\n",
			verb->name);
		return STATUS_FAILED;
	}
	by_bus = connect_by(sd_bus_open_system, ret);
	return by_bus == 0 ? STATUS_OK : complain_unreached(verb, by_socket, by_bus);
}

enum status client_reach(sd_bus **ret)
{
	return connect_by(own_socket_open, ret) == 0 || connect_by(sd_bus_open_system, ret) == 0
		       ? STATUS_OK
		       : STATUS_ABSENT;
}

const char *client_address(const char *text, char canonical[static ADDRESS_TEXT_MAX])
{
	struct address address;

	return address_parse(text, &address) == 0 ? address_format(&address, canonical) : text;
}

enum status client_garbled(const struct verb *verb, int error)
{
	fprintf(stderr, "knocktail %s: cannot understand knocktaild's answer: %s\n", verb->name,
		strerror(-error));
	return STATUS_FAILED;
}

/* Whoever has the daemon's name on the bus is not trusted with the terminal. */
static void print_error(const struct verb *verb, const char *message)
{
	CLEANUP(cleanup_free) char *text = strdup(message);

	if (text)
		utf8_defuse(text);
	fprintf(stderr, "knocktail %s: %s\n", verb->name, text ? text : strerror(ENOMEM));
}

/* On the bus; where it also has a socket, that was tried before. */
static enum status complain_absent(const struct verb *verb)
{
	if (access(BUS_SOCKET_PATH, W_OK) < 0 && errno == EACCES) {
		fprintf(stderr,
			"knocktail %s: knocktaild is not on the system bus, and " BUS_SOCKET_PATH
			" is for root and the group " BUS_ADMINS "\n",
			verb->name);
		return STATUS_FAILED;
	}
	fprintf(stderr, "knocktail %s: knocktaild does not run" START_IT "\n", verb->name);
	return STATUS_ABSENT;
}

static enum status client_complain(const struct verb *verb, const sd_bus_error *error, int r)
{
	if (sd_bus_error_has_name(error, SD_BUS_ERROR_NAME_HAS_NO_OWNER) ||
	    sd_bus_error_has_name(error, SD_BUS_ERROR_SERVICE_UNKNOWN)) {
		return complain_absent(verb);
	}
	if (sd_bus_error_has_name(error, SD_BUS_ERROR_ACCESS_DENIED))
		fprintf(stderr,
			"knocktail %s: permission denied: this is for root and the group "
			"knocktail-admin\n",
			verb->name);
	else
		print_error(verb, error->message ? error->message : strerror(-r));
	return STATUS_FAILED;
}

static enum status send_call(const struct verb *verb, sd_bus *bus, sd_bus_message *call,
			     sd_bus_message **ret_reply)
{
	sd_bus_error error = SD_BUS_ERROR_NULL;
	sd_bus_message *reply = NULL;
	enum status status = STATUS_OK;
	int r = sd_bus_message_set_auto_start(call, false);

	if (r >= 0)
		r = sd_bus_call(bus, call, CALL_LIMIT_US, &error, &reply);
	if (r < 0)
		status = client_complain(verb, &error, r);
	else if (ret_reply)
		*ret_reply = sd_bus_message_ref(reply);
	sd_bus_message_unref(reply);
	sd_bus_error_free(&error);
	return status;
}

enum status client_call(const struct verb *verb, sd_bus *bus, sd_bus_message **ret_reply,
			const char *member, const char *types, ...)
{
	sd_bus_message *call = NULL;
	enum status status = STATUS_FAILED;
	va_list arguments;
	int r = sd_bus_message_new_method_call(bus, &call, BUS_NAME, BUS_PATH, BUS_INTERFACE,
					       member);

	va_start(arguments, types);
	if (r >= 0 && *types)
		r = sd_bus_message_appendv(call, types, arguments);
	va_end(arguments);
	if (r < 0)
		fprintf(stderr, "knocktail %s: cannot ask knocktaild: %s\n", verb->name,
			strerror(-r));
	else
		status = send_call(verb, bus, call, ret_reply);
	sd_bus_message_unref(call);
	return status;
}

enum status client_property(const struct verb *verb, sd_bus *bus, const char *name,
			    sd_bus_message **ret_reply)
{
	sd_bus_message *call = NULL;
	enum status status = STATUS_FAILED;
	int r = sd_bus_message_new_method_call(bus, &call, BUS_NAME, BUS_PATH,
					       "org.freedesktop.DBus.Properties", "Get");

	if (r >= 0)
		r = sd_bus_message_append(call, "ss", BUS_INTERFACE, name);
	if (r < 0)
		fprintf(stderr, "knocktail %s: cannot ask knocktaild: %s\n", verb->name,
			strerror(-r));
	else
		status = send_call(verb, bus, call, ret_reply);
	sd_bus_message_unref(call);
	return status;
}

/* By door, and then by deadline. */
static int open_door_compare(const void *a, const void *b)
{
	const struct open_door *x = a, *y = b;
	int order = strcmp(x->door, y->door);

	if (order == 0)
		order = (x->deadline_us > y->deadline_us) - (x->deadline_us < y->deadline_us);
	return order != 0 ? order : strcmp(x->source, y->source);
}

/* All rows of the reply to List, whose texts stay the message's. 0 or a negative errno. */
static int read_open_doors(sd_bus_message *reply, struct open_door **ret, size_t *ret_n)
{
	CLEANUP(cleanup_free) struct open_door *doors = NULL;
	struct open_door door;
	size_t n = 0;
	int r = sd_bus_message_enter_container(reply, 'a', BUS_ROW);

	while (r >= 0 &&
	       (r = sd_bus_message_read(reply, BUS_ROW, &door.door, &door.source, &door.user,
					&door.deadline_us, &door.state)) > 0) {
		/* It doubles whenever it is full, which is at the powers of two. */
		if ((n & (n - 1)) == 0) {
			struct open_door *grown =
				reallocarray(doors, n > 0 ? 2 * n : 1, sizeof *doors);

			if (!grown)
				return -ENOMEM;
			doors = grown;
		}
		doors[n++] = door;
	}
	if (r < 0)
		return r;
	if (n > 0)
		qsort(doors, n, sizeof *doors, open_door_compare);
	*ret = TAKE_PTR(doors);
	*ret_n = n;
	return 0;
}

enum status client_each_open(const struct verb *verb, sd_bus *bus, client_door_fn fn,
			     void *userdata)
{
	CLEANUP(cleanup_free) struct open_door *doors = NULL;
	sd_bus_message *reply = NULL;
	enum status status = client_call(verb, bus, &reply, "List", "");
	size_t n = 0;
	int r;

	if (status != STATUS_OK)
		return status;
	r = read_open_doors(reply, &doors, &n);
	for (size_t i = 0; i < n && status == STATUS_OK; i++)
		status = fn(userdata, &doors[i]);
	sd_bus_message_unref(reply);
	return r < 0 ? client_garbled(verb, r) : status;
}

enum status client_each_stat(const struct verb *verb, sd_bus *bus, client_stat_fn fn,
			     void *userdata)
{
	sd_bus_message *reply = NULL;
	enum status status = client_call(verb, bus, &reply, "Stats", "");
	const char *name;
	uint64_t value;
	int r;

	if (status != STATUS_OK)
		return status;
	r = sd_bus_message_enter_container(reply, 'a', "{st}");
	while (r >= 0 && status == STATUS_OK &&
	       (r = sd_bus_message_read(reply, "{st}", &name, &value)) > 0)
		status = fn(userdata, name, value);
	sd_bus_message_unref(reply);
	return r < 0 ? client_garbled(verb, r) : status;
}

enum status client_each_door(const struct verb *verb, sd_bus *bus, client_name_fn fn,
			     void *userdata)
{
	sd_bus_message *reply = NULL;
	const char *name;
	enum status status = client_property(verb, bus, "Doors", &reply);
	int r;

	if (status != STATUS_OK)
		return status;
	r = sd_bus_message_enter_container(reply, 'v', "as");
	if (r >= 0)
		r = sd_bus_message_enter_container(reply, 'a', "s");
	while (r >= 0 && status == STATUS_OK && (r = sd_bus_message_read(reply, "s", &name)) > 0)
		status = fn(userdata, name);
	sd_bus_message_unref(reply);
	return r < 0 ? client_garbled(verb, r) : status;
}
