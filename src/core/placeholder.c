#include "core/placeholder.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "core/address.h"
#include "core/door.h"
#include "core/strv.h"
#include "core/visitor.h"

/* Room for any placeholder's value and its NUL. */
enum { VALUE_MAX = 100 };
_Static_assert((int)NETWORK_TEXT_MAX < VALUE_MAX, "there is room for networks");
_Static_assert((int)VISITOR_NAME_MAX < VALUE_MAX && (int)DOOR_NAME_MAX < VALUE_MAX,
	       "there is room for names");

struct placeholder_values placeholder_values(const struct door *door, const struct visitor *visitor)
{
	return (struct placeholder_values){
		.door = door->name,
		.source = visitor->source,
		.user = visitor->user,
		.timeout_us = door_timeout_us(door, visitor->seconds),
	};
}

static void put_address(const struct placeholder_values *values, char *value)
{
	if (values->network)
		network_format(values->network, value);
	else
		address_format(&values->source, value);
}

static void put_door(const struct placeholder_values *values, char *value)
{
	memcpy(value, values->door, strlen(values->door) + 1);
}

static void put_timeout(const struct placeholder_values *values, char *value)
{
	char digits[sizeof "18446744073709551615"] = "", *first = digits + sizeof digits - 1;
	uint64_t seconds = values->timeout_us / 1000000;

	do {
		*--first = (char)('0' + seconds % 10);
		seconds /= 10;
	} while (seconds > 0);
	stpcpy(value, first);
}

static void put_user(const struct placeholder_values *values, char *value)
{
	const char *user = values->user ? values->user : "";

	memcpy(value, user, strlen(user) + 1);
}

static void put_percent(const struct placeholder_values *values, char *value)
{
	(void)values;
	memcpy(value, "%", 2);
}

static const struct placeholder {
	const char *text;
	void (*put)(const struct placeholder_values *values, char *value);
} placeholders[] = {
	{"%IP%", put_address}, {"%DOOR%", put_door}, {"%TIMEOUT%", put_timeout},
	{"%USER%", put_user},  {"%%", put_percent},
};

static const struct placeholder *find_placeholder(const char *text)
{
	for (size_t i = 0; i < sizeof placeholders / sizeof placeholders[0]; i++)
		if (strncmp(text, placeholders[i].text, strlen(placeholders[i].text)) == 0)
			return &placeholders[i];
	return NULL;
}

size_t placeholder_length(const char *text)
{
	const struct placeholder *placeholder = find_placeholder(text);

	return placeholder ? strlen(placeholder->text) : 0;
}

char *placeholder_expand(const char *text, const struct placeholder_values *values)
{
	/* No placeholder is shorter than two bytes, so half of them may grow to VALUE_MAX. */
	char *expanded = malloc(strlen(text) / 2 * VALUE_MAX + 2), *end = expanded;

	if (!expanded)
		return NULL;
	while (*text) {
		const struct placeholder *placeholder = find_placeholder(text);

		if (placeholder) {
			placeholder->put(values, end);
			end += strlen(end);
			text += strlen(placeholder->text);
		} else {
			*end++ = *text++;
		}
	}
	*end = '\0';
	return expanded;
}

char **placeholder_expand_all(char *const *argv, const struct placeholder_values *values)
{
	size_t n = 0;
	char **expanded;

	while (argv[n])
		n++;
	expanded = calloc(n + 1, sizeof *expanded);
	for (size_t i = 0; expanded && i < n; i++) {
		expanded[i] = placeholder_expand(argv[i], values);
		if (!expanded[i])
			return strv_free(expanded);
	}
	return expanded;
}
