#include "input/text/moment.h"

#include <ctype.h>
#include <stdbool.h>
#include <stddef.h>
#include <string.h>
#include <time.h>

#include "input/text/month.h"
#include "input/text/zone.h"
#include "util/clock.h"

/* Longer than any day of the week in UTF-8. */
enum { WEEKDAY_MAX = 32 };

/* ".123456" or ",123" after a second; whatever is not there counts as zeros. */
static const char *parse_fraction(const char *at, uint64_t *us)
{
	uint64_t unit = US_PER_S / 10;

	if ((*at != '.' && *at != ',') || !isdigit((unsigned char)at[1]))
		return at;
	for (at++; isdigit((unsigned char)*at); at++, unit /= 10)
		*us += (uint64_t)(*at - '0') * unit;
	return at;
}

const char *moment_parse_seconds(const char *at, uint64_t *ret_us)
{
	uint64_t seconds = 0, us = 0;
	const char *end;
	int n_digits = 0;

	for (; isdigit((unsigned char)*at) && n_digits < 12; at++, n_digits++)
		seconds = seconds * 10 + (uint64_t)(*at - '0');
	end = parse_fraction(at, &us);
	if (n_digits == 0 || end == at)
		return NULL;
	*ret_us = seconds * US_PER_S + us;
	return end;
}

/* A number of so many digits, and then this character (0: whatever there is). NULL: it is not
 * there. */
static const char *take_number(const char *at, int n_min, int n_max, char behind, int *ret)
{
	int n = 0;

	for (*ret = 0; n < n_max && isdigit((unsigned char)at[n]); n++)
		*ret = *ret * 10 + (at[n] - '0');
	if (n < n_min || (behind && at[n] != behind))
		return NULL;
	return at + n + (behind != '\0');
}

/* "21:00:00.5"; without seconds in the brackets of dmesg -e. */
static const char *parse_clock(const char *at, struct tm *tm, uint64_t *fraction_us)
{
	const char *end;

	at = take_number(at, 1, 2, ':', &tm->tm_hour);
	at = at ? take_number(at, 2, 2, '\0', &tm->tm_min) : NULL;
	if (!at || tm->tm_hour > 23 || tm->tm_min > 59)
		return NULL;
	if (*at != ':')
		return *at == ']' ? at : NULL;
	end = take_number(at + 1, 2, 2, '\0', &tm->tm_sec);
	return end && tm->tm_sec <= 60 ? parse_fraction(end, fraction_us) : NULL;
}

static const char *parse_iso(const char *at, struct moment *ret)
{
	uint64_t fraction_us = 0;
	struct tm tm = {0};
	struct zone zone;

	at = take_number(at, 4, 4, '-', &tm.tm_year);
	at = at ? take_number(at, 2, 2, '-', &tm.tm_mon) : NULL;
	at = at ? take_number(at, 2, 2, '\0', &tm.tm_mday) : NULL;
	if (!at || tm.tm_mon < 1 || tm.tm_mon > 12 || tm.tm_mday < 1 || tm.tm_mday > 31 ||
	    (*at != 'T' && *at != ' '))
		return NULL;
	at = parse_clock(at + 1, &tm, &fraction_us);
	if (!at)
		return NULL;
	tm.tm_year -= 1900;
	tm.tm_mon--;
	at = zone_parse(at, &zone);
	*ret = zone_to_realtime(&zone, tm, fraction_us);
	return at;
}

/* " 2026", perhaps with a zone ahead of it. */
static const char *parse_year(const char *at, struct tm *tm, struct zone *ret_zone)
{
	const char *end = zone_parse(at, ret_zone);
	int year;

	end = *end == ' ' ? take_number(end + 1, 4, 4, '\0', &year) : NULL;
	if (end && (*end == '\0' || strchr(" ]", *end))) {
		tm->tm_year = year - 1900;
		return end;
	}
	return at;
}

/* Of the last twelve months, as it has no year. */
static struct moment complete_year(struct tm tm, uint64_t now_us, uint64_t fraction_us)
{
	static const struct zone local = {.local = true, .dst = -1};
	time_t now = (time_t)(now_us / US_PER_S);
	struct tm today;
	struct moment moment;

	localtime_r(&now, &today);
	tm.tm_year = today.tm_year;
	moment = zone_to_realtime(&local, tm, fraction_us);
	if (moment.us <= now_us + 86400 * US_PER_S)
		return moment;
	tm.tm_year--;
	return zone_to_realtime(&local, tm, fraction_us);
}

/* "Nov 22 21:00:00", "Nov 22 21:00:00 2026", "Nov 22 2026 21:00:00", "Nov22 21:00". */
static const char *parse_named(const char *at, uint64_t now_us, struct moment *ret)
{
	struct zone zone = {.local = true, .dst = -1};
	uint64_t fraction_us = 0;
	struct tm tm = {0};
	const char *end;
	int year;

	at = month_parse(at, &tm.tm_mon);
	if (!at)
		return NULL;
	at = take_number(at + strspn(at, " "), 1, 2, ' ', &tm.tm_mday);
	if (!at || tm.tm_mday < 1 || tm.tm_mday > 31)
		return NULL;
	end = take_number(at, 4, 4, ' ', &year);
	if (end) {
		tm.tm_year = year - 1900;
		at = end;
	}
	at = parse_clock(at, &tm, &fraction_us);
	if (at && tm.tm_year == 0)
		at = parse_year(at, &tm, &zone);
	if (at)
		*ret = tm.tm_year != 0 ? zone_to_realtime(&zone, tm, fraction_us)
				       : complete_year(tm, now_us, fraction_us);
	return at;
}

/* Skips a weekday, in any language: a word without digits. */
static const char *skip_weekday(const char *at)
{
	size_t length = strcspn(at, " 0123456789:[]");

	return length > 0 && length <= WEEKDAY_MAX && at[length] == ' ' ? at + length + 1 : NULL;
}

const char *moment_parse(const char *at, uint64_t now_us, struct moment *ret)
{
	const char *end = NULL;

	for (int i = 0; at && !end && i < 2; i++) {
		end = parse_iso(at, ret);
		if (!end)
			end = parse_named(at, now_us, ret);
		at = skip_weekday(at);
	}
	return end;
}
