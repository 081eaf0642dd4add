#include "config/parse/parse.h"

#include <errno.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#include "config/complaint.h"
#include "config/key.h"
#include "config/text.h"
#include "util/cleanup.h"
#include "util/duration.h"

int parse_reject(const struct key_reading *reading, const char *text, const char *format, ...)
{
	char quoted[TEXT_QUOTED_MAX];
	char *expected CLEANUP(cleanup_free) = NULL;
	va_list arguments;
	int r;

	va_start(arguments, format);
	r = vasprintf(&expected, format, arguments);
	va_end(arguments);
	if (r < 0) {
		expected = NULL;
		return -ENOMEM;
	}
	complain_error(reading->complaints, reading->line, "%s: %s: %s is not %s", reading->where,
		       reading->key->name, text_quote(text, quoted), expected);
	return -EBADMSG;
}

/* Decimal digits and nothing else. 0; -EINVAL; -ERANGE. */
static int number_within(const char *text, uint64_t min, uint64_t max, uint64_t *ret)
{
	uint64_t number = 0;

	if (*text == '\0' || text[strspn(text, "0123456789")] != '\0')
		return -EINVAL;
	for (; *text != '\0'; text++)
		if (__builtin_mul_overflow(number, 10, &number) ||
		    __builtin_add_overflow(number, (uint64_t)(*text - '0'), &number))
			return -ERANGE;
	if (number < min || number > max)
		return -ERANGE;
	*ret = number;
	return 0;
}

static int parse_within(const struct key_reading *reading, const char *text, uint64_t *ret)
{
	const struct config_key *key = reading->key;

	if (number_within(text, key->min, key->max, ret) < 0)
		return parse_reject(reading, text, "a number from %" PRIu64 " to %" PRIu64,
				    key->min, key->max);
	return 0;
}

int parse_number(const struct key_reading *reading, const char *text, void *field)
{
	uint64_t number;
	int r = parse_within(reading, text, &number);

	if (r == 0)
		*(uint32_t *)field = (uint32_t)number;
	return r;
}

int parse_prefix_length(const struct key_reading *reading, const char *text, void *field)
{
	uint64_t number;
	int r = parse_within(reading, text, &number);

	if (r == 0)
		*(uint8_t *)field = (uint8_t)number;
	return r;
}

static int parse_span_of(const struct key_reading *reading, const char *text, uint64_t grain_us,
			 void *field)
{
	const struct config_key *key = reading->key;
	char min[DURATION_TEXT_MAX], max[DURATION_TEXT_MAX];
	uint64_t us = 0;

	if (duration_parse(text, &us) == 0 && us >= key->min && us <= key->max &&
	    us % grain_us == 0) {
		*(uint64_t *)field = us;
		return 0;
	}
	return parse_reject(reading, text, "a time span%s such as 10s, 5min or 1h (%s to %s)",
			    grain_us > 1 ? " in whole seconds" : "", duration_format(key->min, min),
			    duration_format(key->max, max));
}

int parse_span(const struct key_reading *reading, const char *text, void *field)
{
	return parse_span_of(reading, text, 1, field);
}

int parse_seconds(const struct key_reading *reading, const char *text, void *field)
{
	return parse_span_of(reading, text, UINT64_C(1000000), field);
}

int parse_path(const struct key_reading *reading, const char *text, void *field)
{
	char *copy;

	if (text[0] != '/')
		return parse_reject(reading, text, "an absolute path");
	copy = strdup(text);
	if (!copy)
		return -ENOMEM;
	*(char **)field = copy;
	return 0;
}

const char *parse_list_choices(const char *const *choices, char text[static CHOICES_TEXT_MAX])
{
	size_t used = 0;

	text[0] = '\0';
	for (size_t i = 0; choices[i] && used < CHOICES_TEXT_MAX; i++) {
		const char *between = i == 0 ? "" : choices[i + 1] ? ", " : " or ";

		used += (size_t)snprintf(text + used, CHOICES_TEXT_MAX - used, "%s%s", between,
					 choices[i]);
	}
	return text;
}

int parse_choice(const struct key_reading *reading, const char *text, void *field)
{
	const char *const *choices = reading->key->choices;
	char list[CHOICES_TEXT_MAX];

	for (unsigned i = 0; choices[i]; i++) {
		if (strcmp(choices[i], text) != 0)
			continue;
		*(unsigned *)field = i; /* every enum here is an unsigned int to the compiler */
		return 0;
	}
	return parse_reject(reading, text, "%s", parse_list_choices(choices, list));
}
