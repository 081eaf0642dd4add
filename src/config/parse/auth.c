#include "config/parse/parse.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "config/key.h"
#include "core/door.h"
#include "core/key-file.h"
#include "core/strv.h"
#include "core/visitor.h"
#include "util/cleanup.h"

/* The next item of a list with commas, without the blanks around it; NULL: there is none. */
static char *next_item(char **rest)
{
	char *item = strsep(rest, ",");
	size_t length;

	if (!item)
		return NULL;
	item += strspn(item, " \t");
	length = strlen(item);
	while (length > 0 && strchr(" \t", item[length - 1]))
		item[--length] = '\0';
	return item;
}

/* The bit of AUTH_* for a kind of knock; 0: it is not one. */
static unsigned auth_bit(const char *name)
{
	static const unsigned bits[] = {
		[KNOCK_SEQUENCE] = AUTH_SEQUENCE,
		[KNOCK_TOKEN] = AUTH_TOKEN,
		[KNOCK_SPA] = AUTH_SPA,
	};

	for (enum knock_kind kind = KNOCK_SEQUENCE; kind <= KNOCK_SPA; kind++)
		if (strcmp(name, knock_kind_name(kind)) == 0)
			return bits[kind];
	return 0;
}

int parse_auth(const struct key_reading *reading, const char *text, void *field)
{
	char *copy CLEANUP(cleanup_free) = strdup(text), *rest = copy, *item;
	unsigned auth = 0, bit;

	if (!copy)
		return -ENOMEM;
	while ((item = next_item(&rest))) {
		bit = auth_bit(item);
		if (bit == 0 || auth & bit)
			return parse_reject(reading, text,
					    "a list of different ways: sequence, token, spa");
		auth |= bit;
	}
	*(unsigned *)field = auth;
	return 0;
}

int parse_realm(const struct key_reading *reading, const char *text, void *field)
{
	char *realm;

	if (!realm_is_name(text))
		return parse_reject(reading, text,
				    "a realm: 1 to %d of the characters a-z 0-9 . _ -", REALM_MAX);
	realm = strdup(text);
	if (!realm)
		return -ENOMEM;
	*(char **)field = realm;
	return 0;
}

static bool users_include(char *const *users, const char *name)
{
	for (; *users; users++)
		if (strcmp(*users, name) == 0)
			return true;
	return false;
}

static void cleanup_users(char ***users)
{
	strv_free(*users);
}

int parse_users(const struct key_reading *reading, const char *text, void *field)
{
	char *copy CLEANUP(cleanup_free) = strdup(text), *rest = copy, *item;
	char **users CLEANUP(cleanup_users) = calloc(strlen(text) / 2 + 2, sizeof(*users));
	size_t n = 0;

	if (!copy || !users)
		return -ENOMEM;
	while ((item = next_item(&rest))) {
		if ((!user_is_name(item) && strcmp(item, "*") != 0) || users_include(users, item))
			return parse_reject(reading, text,
					    "a list of different users (1 to %d of the characters "
					    "a-z 0-9 _ -, the first a letter or a digit), or *",
					    USER_NAME_MAX);
		users[n] = strdup(item);
		if (!users[n++])
			return -ENOMEM;
	}
	if (n > 1 && users_include(users, "*"))
		return parse_reject(reading, text, "a list of users, or * alone for everybody");
	*(char ***)field = TAKE_PTR(users);
	return 0;
}
