#include "core/placeholder.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "core/address.h"
#include "core/door.h"
#include "core/user.h"
#include "core/visitor.h"

/* Room for any token's value and its NUL. */
enum { VALUE_MAX = 64 };
_Static_assert((int)USER_NAME_MAX < VALUE_MAX && (int)DOOR_NAME_MAX < VALUE_MAX,
	       "there is room for names");

static void put_address(const struct door *door, const struct caller *caller, char *value)
{
	(void)door;
	address_format(&caller->source, value);
}

static void put_door(const struct door *door, const struct caller *caller, char *value)
{
	(void)caller;
	memcpy(value, door->name, strlen(door->name) + 1);
}

static void put_timeout(const struct door *door, const struct caller *caller, char *value)
{
	uint64_t seconds = door_timeout_us(door, caller->seconds) / 1000000;
	size_t n_digits = 1;

	for (uint64_t rest = seconds; rest >= 10; rest /= 10)
		n_digits++;
	value[n_digits] = '\0';
	for (; n_digits > 0; seconds /= 10)
		value[--n_digits] = (char)('0' + seconds % 10);
}

static void put_user(const struct door *door, const struct caller *caller, char *value)
{
	const char *user = caller->user ? caller->user : "";

	(void)door;
	memcpy(value, user, strlen(user) + 1);
}

static void put_percent(const struct door *door, const struct caller *caller, char *value)
{
	(void)door;
	(void)caller;
	memcpy(value, "%", 2);
}

static const struct token {
	const char *text;
	void (*put)(const struct door *door, const struct caller *caller, char *value);
} tokens[] = {
	{"%IP%", put_address}, {"%DOOR%", put_door}, {"%TIMEOUT%", put_timeout},
	{"%USER%", put_user},  {"%%", put_percent},
};

static const struct token *find_token(const char *text)
{
	for (size_t i = 0; i < sizeof tokens / sizeof tokens[0]; i++)
		if (strncmp(text, tokens[i].text, strlen(tokens[i].text)) == 0)
			return &tokens[i];
	return NULL;
}

size_t token_length(const char *text)
{
	const struct token *token = find_token(text);

	return token ? strlen(token->text) : 0;
}

char *token_expand(const char *text, const struct door *door, const struct caller *caller)
{
	/* No token is shorter than two bytes, so half of them may grow to VALUE_MAX. */
	char *expanded = malloc(strlen(text) / 2 * VALUE_MAX + 2), *end = expanded;

	if (!expanded)
		return NULL;
	while (*text) {
		const struct token *token = find_token(text);

		if (token) {
			token->put(door, caller, end);
			end += strlen(end);
			text += strlen(token->text);
		} else {
			*end++ = *text++;
		}
	}
	*end = '\0';
	return expanded;
}

char **command_free(char **argv)
{
	if (!argv)
		return NULL;
	for (char **argument = argv; *argument; argument++)
		free(*argument);
	free(argv);
	return NULL;
}

bool command_equal(char *const *a, char *const *b)
{
	if (!a || !b)
		return a == b;
	for (; *a && *b; a++, b++)
		if (strcmp(*a, *b) != 0)
			return false;
	return *a == *b;
}

char **command_expand(char *const *argv, const struct door *door, const struct caller *caller)
{
	size_t n = 0;
	char **expanded;

	while (argv[n])
		n++;
	expanded = calloc(n + 1, sizeof *expanded);
	for (size_t i = 0; expanded && i < n; i++) {
		expanded[i] = token_expand(argv[i], door, caller);
		if (!expanded[i])
			return command_free(expanded);
	}
	return expanded;
}
