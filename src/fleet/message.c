/* MUST: one message, one form: what is not used is zero, and a text has nothing behind its end. */
#include "fleet/message.h"

#include <errno.h>
#include <stdbool.h>
#include <string.h>

/* Where each part is. */
enum {
	AT_KIND = 0,
	AT_KNOCK = 1,
	AT_STAMP = 8,
	AT_UNTIL = 16,
	AT_SOURCE = 24,
	AT_HOST = 40,
	AT_DOOR = 104,
	AT_USER = 140,
	AT_KEY = 176,
	AT_STEP = 192,
	AT_TIME = 200,
	AT_NONCE = 204,
	AT_END = 216,
	HOST_SIZE = AT_DOOR - AT_HOST,
	DOOR_SIZE = AT_USER - AT_DOOR,
	USER_SIZE = AT_KEY - AT_USER,
};
_Static_assert((int)HOST_SIZE > (int)FLEET_HOST_MAX && (int)DOOR_SIZE > (int)FLEET_BURNT_DOOR_MAX &&
		       (int)USER_SIZE > (int)USER_NAME_MAX,
	       "there is room for names");

static void number_put(uint8_t *at, unsigned n_bytes, uint64_t number)
{
	for (unsigned i = n_bytes; i-- > 0; number >>= 8)
		at[i] = (uint8_t)number;
}

static uint64_t number_get(const uint8_t *at, unsigned n_bytes)
{
	uint64_t number = 0;

	for (unsigned i = 0; i < n_bytes; i++)
		number = number << 8 | at[i];
	return number;
}

static bool is_zero(const uint8_t *at, size_t n)
{
	for (size_t i = 0; i < n; i++)
		if (at[i] != 0)
			return false;
	return true;
}

/* Its text, with nothing behind it; false: it is not one that fits. */
static bool text_get(const uint8_t *at, size_t size, char *ret, size_t ret_size)
{
	size_t length = strnlen((const char *)at, size);

	if (length >= ret_size || !is_zero(at + length, size - length))
		return false;
	memcpy(ret, at, length);
	ret[length] = '\0';
	return true;
}

bool fleet_message_closes(const struct fleet_message *message)
{
	return message->kind == FLEET_CLOSED || message->kind == FLEET_SHUT;
}

/* Doors are called what users may be, too. */
static bool is_burnt_door(const char *text)
{
	size_t length = strlen(text);
	char name[FLEET_BURNT_DOOR_MAX + 1];

	if (length < 3 ||
	    (strcmp(text + length - 2, "/4") != 0 && strcmp(text + length - 2, "/6") != 0))
		return false;
	memcpy(name, text, length - 2);
	name[length - 2] = '\0';
	return user_is_name(name);
}

static bool message_is_about_source(const struct fleet_message *message)
{
	return message->kind == FLEET_OPEN || fleet_message_closes(message);
}

/* A token has a door and a step, an SPA knock a time and a nonce. */
static bool burnt_is_sound(const struct fleet_message *message)
{
	bool has_nonce = !is_zero(message->nonce, sizeof message->nonce);

	if (key_id_is_none(&message->key))
		return false;
	if (message->time_s == 0)
		return !has_nonce && is_burnt_door(message->door);
	return message->step == 0 && message->door[0] == '\0';
}

/* Whether nothing is there that its kind does not have. */
static bool message_is_sound(const struct fleet_message *message)
{
	const struct address none = {{0}};

	if (message->kind < FLEET_OPEN || message->kind >= N_FLEET_KINDS ||
	    message->knock >= N_KNOCK_KINDS || !visitor_host_is_name(message->host) ||
	    message->stamp_us == 0 || message->until_us == 0)
		return false;
	if (message_is_about_source(message) != !address_equal(&message->source, &none))
		return false;
	if (message->kind != FLEET_OPEN && (message->user[0] || message->knock != KNOCK_UNKNOWN))
		return false;
	if (message->user[0] && !user_is_name(message->user))
		return false;
	if (message->kind == FLEET_BURNT)
		return burnt_is_sound(message);
	return user_is_name(message->door) && key_id_is_none(&message->key) &&
	       ((message->step == 0 && message->time_s == 0) || message->kind == FLEET_STATUS) &&
	       is_zero(message->nonce, sizeof message->nonce);
}

void fleet_encode(const struct fleet_message *message, uint8_t ret[static FLEET_PLAIN_SIZE])
{
	memset(ret, 0, FLEET_PLAIN_SIZE);
	ret[AT_KIND] = (uint8_t)message->kind;
	ret[AT_KNOCK] = (uint8_t)message->knock;
	number_put(ret + AT_STAMP, 8, message->stamp_us);
	number_put(ret + AT_UNTIL, 8, message->until_us);
	memcpy(ret + AT_SOURCE, message->source.bytes, sizeof message->source.bytes);
	memcpy(ret + AT_HOST, message->host, strlen(message->host));
	memcpy(ret + AT_DOOR, message->door, strlen(message->door));
	memcpy(ret + AT_USER, message->user, strlen(message->user));
	memcpy(ret + AT_KEY, message->key.bytes, sizeof message->key.bytes);
	number_put(ret + AT_STEP, 8, message->step);
	number_put(ret + AT_TIME, 4, message->time_s);
	memcpy(ret + AT_NONCE, message->nonce, sizeof message->nonce);
}

int fleet_decode(const uint8_t plain[static FLEET_PLAIN_SIZE], struct fleet_message *ret)
{
	struct fleet_message message = {
		.kind = (enum fleet_kind)plain[AT_KIND],
		.knock = (enum knock_kind)plain[AT_KNOCK],
		.stamp_us = number_get(plain + AT_STAMP, 8),
		.until_us = number_get(plain + AT_UNTIL, 8),
		.step = number_get(plain + AT_STEP, 8),
		.time_s = (uint32_t)number_get(plain + AT_TIME, 4),
	};

	if (!is_zero(plain + AT_KNOCK + 1, AT_STAMP - AT_KNOCK - 1) ||
	    !is_zero(plain + AT_END, FLEET_PLAIN_SIZE - AT_END) ||
	    !text_get(plain + AT_HOST, HOST_SIZE, message.host, sizeof message.host) ||
	    !text_get(plain + AT_DOOR, DOOR_SIZE, message.door, sizeof message.door) ||
	    !text_get(plain + AT_USER, USER_SIZE, message.user, sizeof message.user))
		return -EINVAL;
	memcpy(message.source.bytes, plain + AT_SOURCE, sizeof message.source.bytes);
	memcpy(message.key.bytes, plain + AT_KEY, sizeof message.key.bytes);
	memcpy(message.nonce, plain + AT_NONCE, sizeof message.nonce);
	if (!message_is_sound(&message))
		return -EINVAL;
	*ret = message;
	return 0;
}
