#include "config/parse/parse.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "config/key.h"
#include "core/door.h"
#include "core/strv.h"
#include "core/user.h"
#include "util/cleanup.h"

static const struct {
	const char *name;
	unsigned bit;
} ways[] = {{"sequence", AUTH_SEQUENCE}, {"token", AUTH_TOKEN}, {"spa", AUTH_SPA}};

enum { N_WAYS = sizeof ways / sizeof ways[0] };

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

static unsigned find_way(const char *name)
{
	for (size_t i = 0; i < N_WAYS; i++)
		if (strcmp(name, ways[i].name) == 0)
			return ways[i].bit;
	return 0;
}

int parse_auth(const struct reading *reading, const char *text, void *field)
{
	char *copy CLEANUP(cleanup_free) = strdup(text), *rest = copy, *item;
	unsigned auth = 0, way;

	if (!copy)
		return -ENOMEM;
	while ((item = next_item(&rest))) {
		way = find_way(item);
		if (way == 0 || auth & way)
			return parse_reject(reading, text,
					    "a list of different ways: sequence, token, spa");
		auth |= way;
	}
	*(unsigned *)field = auth;
	return 0;
}

static bool contains(char *const *users, const char *name)
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

int parse_users(const struct reading *reading, const char *text, void *field)
{
	char *copy CLEANUP(cleanup_free) = strdup(text), *rest = copy, *item;
	char **users CLEANUP(cleanup_users) = calloc(strlen(text) / 2 + 2, sizeof(*users));
	size_t n = 0;

	if (!copy || !users)
		return -ENOMEM;
	while ((item = next_item(&rest))) {
		if ((!user_is_name(item) && strcmp(item, "*") != 0) || contains(users, item))
			return parse_reject(reading, text,
					    "a list of different users (1 to %d of the characters "
					    "a-z 0-9 _ -, the first a letter or a digit), or *",
					    USER_NAME_MAX);
		users[n] = strdup(item);
		if (!users[n++])
			return -ENOMEM;
	}
	if (n > 1 && contains(users, "*"))
		return parse_reject(reading, text, "a list of users, or * alone for everybody");
	*(char ***)field = TAKE_PTR(users);
	return 0;
}
