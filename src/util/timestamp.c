#include "util/timestamp.h"

#include <errno.h>
#include <inttypes.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "util/clock.h"
#include "util/duration.h"
#include "util/number.h"

static struct tm utc_time(uint64_t realtime_us)
{
	time_t seconds = (time_t)(realtime_us / US_PER_S);
	struct tm tm = {0};

	gmtime_r(&seconds, &tm);
	return tm;
}

const char *timestamp_format(uint64_t realtime_us, char text[static TIMESTAMP_TEXT_MAX])
{
	time_t seconds = (time_t)(realtime_us / US_PER_S);
	struct tm tm;

	if (realtime_us == 0 || !localtime_r(&seconds, &tm) ||
	    strftime(text, TIMESTAMP_TEXT_MAX, "%Y-%m-%d %H:%M:%S %Z", &tm) == 0)
		memcpy(text, "-", sizeof "-");
	return text;
}

const char *timestamp_format_utc(uint64_t realtime_us, char text[static TIMESTAMP_TEXT_MAX])
{
	struct tm tm = utc_time(realtime_us);

	strftime(text, TIMESTAMP_TEXT_MAX, "%Y-%m-%d %H:%M:%S UTC", &tm);
	return text;
}

const char *timestamp_format_iso(uint64_t realtime_us, char text[static TIMESTAMP_TEXT_MAX])
{
	struct tm tm = utc_time(realtime_us);
	size_t n = strftime(text, TIMESTAMP_TEXT_MAX, "%Y-%m-%dT%H:%M:%S", &tm);

	snprintf(text + n, TIMESTAMP_TEXT_MAX - n, ".%06" PRIu64 "Z", realtime_us % US_PER_S);
	return text;
}

static bool parse_as(const char *text, const char *format, struct tm *tm)
{
	const char *end = strptime(text, format, tm);

	return end && !*end;
}

static int to_us(struct tm *tm, time_t (*convert)(struct tm *tm), uint64_t *ret_us)
{
	int month_day = tm->tm_mday;
	time_t t;

	tm->tm_isdst = -1;
	t = convert(tm);
	/* The 31st of a month that has none would be taken for the next month's first. */
	if (t < 0 || (month_day > 0 && month_day <= 31 && tm->tm_mday != month_day))
		return -EINVAL;
	*ret_us = (uint64_t)t * US_PER_S;
	return 0;
}

/* Midnight of a day near today. */
static struct tm day_start(uint64_t now_us, int offset)
{
	time_t now = (time_t)(now_us / US_PER_S);
	struct tm tm;

	localtime_r(&now, &tm);
	tm.tm_hour = tm.tm_min = tm.tm_sec = 0;
	tm.tm_mday += offset;
	return tm;
}

/* Copies a date without the zone that stands behind it, if it is one that we write. Returns what
 * converts it. */
static time_t (*split_zone(const char *text, char bare[static TIMESTAMP_TEXT_MAX]))(struct tm *tm)
{
	char *zone;

	tzset();
	snprintf(bare, TIMESTAMP_TEXT_MAX, "%s", text);
	zone = strrchr(bare, ' ');
	if (!zone || (strcmp(zone + 1, "UTC") != 0 && strcmp(zone + 1, tzname[0]) != 0 &&
		      strcmp(zone + 1, tzname[1]) != 0))
		return mktime;
	*zone = '\0';
	return strcmp(zone + 1, "UTC") == 0 ? timegm : mktime;
}

static int parse_date(const char *text, uint64_t now_us, uint64_t *ret_us)
{
	static const char *const formats[] = {
		"%Y-%m-%d %H:%M:%S", "%Y-%m-%dT%H:%M:%S", "%Y-%m-%d %H:%M",
		"%Y-%m-%dT%H:%M",    "%Y-%m-%d",
	};
	static const char *const clock_formats[] = {"%H:%M:%S", "%H:%M"};
	char bare[TIMESTAMP_TEXT_MAX];
	time_t (*convert)(struct tm * tm) = split_zone(text, bare);
	struct tm tm;

	for (size_t i = 0; i < sizeof formats / sizeof formats[0]; i++) {
		tm = (struct tm){0};
		if (parse_as(bare, formats[i], &tm))
			return to_us(&tm, convert, ret_us);
	}
	for (size_t i = 0; i < sizeof clock_formats / sizeof clock_formats[0]; i++) {
		tm = day_start(now_us, 0);
		if (parse_as(text, clock_formats[i], &tm))
			return to_us(&tm, mktime, ret_us);
	}
	return -EINVAL;
}

static int parse_epoch(const char *text, uint64_t *ret_us)
{
	uint64_t seconds;

	if (strlen(text) > 12 || number_parse(text, strlen(text), &seconds) < 0)
		return -EINVAL;
	*ret_us = seconds * US_PER_S;
	return 0;
}

static int parse_ago(const char *text, uint64_t now_us, uint64_t *ret_us)
{
	uint64_t ago_us;

	if (duration_parse(text, &ago_us) < 0)
		return -EINVAL;
	*ret_us = ago_us < now_us ? now_us - ago_us : 0;
	return 0;
}

int timestamp_parse(const char *text, uint64_t now_us, uint64_t *ret_us)
{
	if (strcmp(text, "now") == 0) {
		*ret_us = now_us;
		return 0;
	}
	if (strcmp(text, "today") == 0 || strcmp(text, "yesterday") == 0) {
		struct tm tm = day_start(now_us, *text == 'y' ? -1 : 0);

		return to_us(&tm, mktime, ret_us);
	}
	if (*text == '@')
		return parse_epoch(text + 1, ret_us);
	if (*text == '-')
		return parse_ago(text + 1, now_us, ret_us);
	return parse_date(text, now_us, ret_us);
}
