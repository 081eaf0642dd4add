#include "util/duration.h"

#include <errno.h>
#include <inttypes.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include "util/clock.h"

#define US_PER_MS  UINT64_C(1000)
#define US_PER_MIN (60 * US_PER_S)
#define US_PER_H   (60 * US_PER_MIN)
#define US_PER_D   (24 * US_PER_H)

struct unit {
	const char *name;
	uint64_t us;
};

/* A name stands before those that it begins with: the first that fits is taken. */
static const struct unit units[] = {
	{"seconds", US_PER_S},
	{"second", US_PER_S},
	{"sec", US_PER_S},
	{"s", US_PER_S},
	{"minutes", US_PER_MIN},
	{"minute", US_PER_MIN},
	{"min", US_PER_MIN},
	{"months", 2629800 * US_PER_S},
	{"month", 2629800 * US_PER_S},
	{"M", 2629800 * US_PER_S},
	{"msec", US_PER_MS},
	{"ms", US_PER_MS},
	{"m", US_PER_MIN},
	{"hours", US_PER_H},
	{"hour", US_PER_H},
	{"hr", US_PER_H},
	{"h", US_PER_H},
	{"days", US_PER_D},
	{"day", US_PER_D},
	{"d", US_PER_D},
	{"weeks", 7 * US_PER_D},
	{"week", 7 * US_PER_D},
	{"w", 7 * US_PER_D},
	{"years", 31557600 * US_PER_S},
	{"year", 31557600 * US_PER_S},
	{"y", 31557600 * US_PER_S},
	{"usec", 1},
	{"us", 1},
	{"\u03bcs", 1}, /* Greek mu */
	{"\u00b5s", 1}, /* micro sign */
};

static bool is_digit(char c)
{
	return c >= '0' && c <= '9';
}

static const char *skip_spaces(const char *text)
{
	return text + strspn(text, " \t\n\r");
}

/* The unit at `*text`, which moves past it; seconds if there is none. */
static uint64_t take_unit(const char **text)
{
	for (size_t i = 0; i < sizeof(units) / sizeof(units[0]); i++) {
		size_t length = strlen(units[i].name);

		if (strncmp(*text, units[i].name, length) == 0) {
			*text += length;
			return units[i].us;
		}
	}
	return US_PER_S;
}

static int take_whole(const char **text, uint64_t *ret_number)
{
	uint64_t number = 0;

	for (; is_digit(**text); (*text)++)
		if (__builtin_mul_overflow(number, 10, &number) ||
		    __builtin_add_overflow(number, (uint64_t)(**text - '0'), &number))
			return -ERANGE;
	*ret_number = number;
	return 0;
}

/* What the digits after the point are worth; those below a microsecond are worth nothing. */
static uint64_t fraction_us(const char *digits, size_t n_digits, uint64_t unit)
{
	uint64_t us = 0;

	for (size_t i = 0; i < n_digits && unit > 0; i++) {
		unit /= 10;
		us += (uint64_t)(digits[i] - '0') * unit;
	}
	return us;
}

/* Digits, perhaps with a point and more digits. */
static int take_decimal(const char **text, uint64_t *ret_whole, const char **ret_digits,
			size_t *ret_n_digits)
{
	const char *start = *text;
	int r = take_whole(text, ret_whole);

	if (r < 0)
		return r;
	*ret_digits = *text;
	*ret_n_digits = 0;
	if (**text == '.') {
		*ret_digits = *text + 1;
		*ret_n_digits = strspn(*ret_digits, "0123456789");
		*text = *ret_digits + *ret_n_digits;
		if (*ret_n_digits == 0 || **text == '.')
			return -EINVAL;
	}
	return *text == start ? -EINVAL : 0;
}

/* One number with its unit, added to `*us`. */
static int take_term(const char **text, uint64_t *us)
{
	const char *digits;
	uint64_t whole, unit;
	size_t n_digits;
	int r;

	if (**text == '-')
		return -ERANGE;
	r = take_decimal(text, &whole, &digits, &n_digits);
	if (r < 0)
		return r;
	*text = skip_spaces(*text);
	unit = take_unit(text);
	if (__builtin_mul_overflow(whole, unit, &whole) || __builtin_add_overflow(*us, whole, us) ||
	    __builtin_add_overflow(*us, fraction_us(digits, n_digits, unit), us))
		return -ERANGE;
	return 0;
}

int duration_parse(const char *text, uint64_t *ret_us)
{
	uint64_t us = 0;

	text = skip_spaces(text);
	if (*text == '\0')
		return -EINVAL;
	while (*text != '\0') {
		int r = take_term(&text, &us);

		if (r < 0)
			return r;
		text = skip_spaces(text);
	}
	*ret_us = us;
	return 0;
}

const char *duration_format(uint64_t us, char text[static DURATION_TEXT_MAX])
{
	static const struct unit shown[] = {{"d", US_PER_D}, {"h", US_PER_H},	{"min", US_PER_MIN},
					    {"s", US_PER_S}, {"ms", US_PER_MS}, {"us", 1}};
	size_t used = 0;

	if (us == 0)
		return memcpy(text, "0s", sizeof "0s");
	for (size_t i = 0; i < sizeof(shown) / sizeof(shown[0]); i++) {
		uint64_t count = us / shown[i].us;

		us %= shown[i].us;
		if (count > 0)
			used += (size_t)snprintf(text + used, DURATION_TEXT_MAX - used,
						 "%s%" PRIu64 "%s", used > 0 ? " " : "", count,
						 shown[i].name);
	}
	return text;
}

const char *duration_round(uint64_t us, char text[static DURATION_TEXT_MAX])
{
	uint64_t grain = US_PER_S;

	us += US_PER_S / 2;
	if (us >= US_PER_D)
		grain = US_PER_H;
	else if (us >= US_PER_H)
		grain = US_PER_MIN;
	return duration_format(us - us % grain, text);
}
