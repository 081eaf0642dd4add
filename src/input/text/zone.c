#include "input/text/zone.h"

#include <ctype.h>
#include <stddef.h>
#include <string.h>

#include "util/clock.h"

/* All names that are in use. Where several zones share one, RFC 5322 decides, or the number of
 * people; but what this machine's zone means by it comes first. */
static const struct named_zone {
	char name[5];
	int16_t east_minutes;
} named_zones[] = {
	{"UTC", 0},	{"GMT", 0},	{"WET", 0},    {"WEST", 60},  {"BST", 60},   {"CET", 60},
	{"CEST", 120},	{"MET", 60},	{"MEST", 120}, {"EET", 120},  {"EEST", 180}, {"MSK", 180},
	{"WAT", 60},	{"CAT", 120},	{"SAST", 120}, {"EAT", 180},  {"IDT", 180},  {"PKT", 300},
	{"IST", 330},	{"WIB", 420},	{"WITA", 480}, {"WIT", 540},  {"HKT", 480},  {"JST", 540},
	{"KST", 540},	{"AWST", 480},	{"ACST", 570}, {"ACDT", 630}, {"AEST", 600}, {"AEDT", 660},
	{"ChST", 600},	{"NZST", 720},	{"NZDT", 780}, {"SST", -660}, {"HST", -600}, {"HDT", -540},
	{"AKST", -540}, {"AKDT", -480}, {"PST", -480}, {"PDT", -420}, {"MST", -420}, {"MDT", -360},
	{"CST", -360},	{"CDT", -300},	{"EST", -300}, {"EDT", -240}, {"AST", -240}, {"ADT", -180},
	{"NST", -210},	{"NDT", -150},
};

/* "+0000", "-05:00", "-03": seconds east of Greenwich. NULL: none of these. */
static const char *parse_offset(const char *at, long *ret_east)
{
	int digits[4] = {0}, n = 0, sign = *at == '-' ? -1 : 1;

	if (*at != '+' && *at != '-')
		return NULL;
	for (at++; n < 4 && (isdigit((unsigned char)*at) || (n == 2 && *at == ':')); at++)
		if (*at != ':')
			digits[n++] = *at - '0';
	if (n != 2 && n != 4)
		return NULL;
	*ret_east =
		sign * ((digits[0] * 10L + digits[1]) * 3600 + (digits[2] * 10L + digits[3]) * 60);
	return at;
}

static bool zone_is_named(const char *name, size_t length, const char *expected)
{
	return length > 0 && length == strlen(expected) && memcmp(name, expected, length) == 0;
}

/* Whether it is the name of a zone. Local time by its name is summer time or not, which decides
 * when an hour comes twice. */
static bool find_named(const char *name, size_t length, struct zone *ret)
{
	for (int i = 0; i < 2; i++)
		if (zone_is_named(name, length, tzname[i])) {
			*ret = (struct zone){.local = true, .dst = i};
			return true;
		}
	for (size_t i = 0; i < sizeof named_zones / sizeof named_zones[0]; i++)
		if (zone_is_named(name, length, named_zones[i].name)) {
			*ret = (struct zone){.east = named_zones[i].east_minutes * 60L};
			return true;
		}
	return false;
}

const char *zone_parse(const char *at, struct zone *ret)
{
	const char *name = at + (*at == ' '), *end;
	size_t length = strcspn(name, " ]");

	*ret = (struct zone){0};
	if (*at == 'Z')
		return at + 1;
	end = parse_offset(name, &ret->east);
	if (end)
		return end;
	if (find_named(name, length, ret))
		return name + length;
	*ret = (struct zone){.local = true, .dst = -1};
	return at;
}

static uint64_t local_to_realtime(struct tm tm, int dst, uint64_t fraction_us)
{
	time_t t;

	tm.tm_isdst = dst;
	t = mktime(&tm);
	return t > 0 ? (uint64_t)t * US_PER_S + fraction_us : 0;
}

/* Whether the clock showed the hour of `tm` then. */
static bool shows_hour(uint64_t us, const struct tm *tm)
{
	time_t t = (time_t)(us / US_PER_S);
	struct tm shown;

	return localtime_r(&t, &shown) && shown.tm_hour == tm->tm_hour;
}

/* More than any clock was set by. */
enum { NEAR_S = 4 * 3600 };

/* Whether summer time begins or ends within some hours of it. For all other lines that spares
 * mktime() the search for a time that is not, which takes longer than the rest of the line. */
static bool clock_is_set_near(uint64_t us)
{
	const time_t t = (time_t)(us / US_PER_S), before = t - NEAR_S, after = t + NEAR_S;
	struct tm then, later;

	return !localtime_r(&before, &then) || !localtime_r(&after, &later) ||
	       then.tm_gmtoff != later.tm_gmtoff;
}

struct moment zone_to_realtime(const struct zone *zone, struct tm tm, uint64_t fraction_us)
{
	uint64_t us, summer_us, winter_us;
	time_t t;

	if (!zone->local) {
		t = timegm(&tm) - zone->east;
		return (struct moment){.us = t > 0 ? (uint64_t)t * US_PER_S + fraction_us : 0};
	}
	if (zone->dst >= 0)
		return (struct moment){.us = local_to_realtime(tm, zone->dst, fraction_us)};
	us = local_to_realtime(tm, -1, fraction_us);
	if (!clock_is_set_near(us))
		return (struct moment){.us = us};
	summer_us = local_to_realtime(tm, 1, fraction_us);
	winter_us = local_to_realtime(tm, 0, fraction_us);
	if (summer_us < winter_us && shows_hour(summer_us, &tm) && shows_hour(winter_us, &tm))
		return (struct moment){.us = summer_us, .later_us = winter_us};
	return (struct moment){.us = us};
}
