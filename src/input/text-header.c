#include "input/text-header.h"

#include <ctype.h>
#include <stdbool.h>
#include <string.h>
#include <time.h>

#include "util/clock.h"

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

/* "12.345678": seconds that need their fraction to be taken for a time. */
static const char *parse_seconds(const char *at, uint64_t *ret_us)
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

/* "[   12.345678]": printk's time. */
static const char *parse_kernel_time(const char *at, struct text_header *header)
{
	uint64_t us;

	if (*at != '[')
		return NULL;
	at = parse_seconds(at + 1 + strspn(at + 1, " "), &us);
	if (!at || *at != ']')
		return NULL;
	header->kernel_us = us;
	header->has_kernel_us = true;
	return at + 1;
}

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

/* A zone by offset or name, perhaps after a blank. Nothing, or this machine's zone: local time. */
static const char *parse_zone(const char *at, bool *ret_local, long *ret_east)
{
	const char *name = at + (*at == ' '), *end;
	size_t length = strcspn(name, " ");

	*ret_local = false;
	*ret_east = 0;
	if (*at == 'Z')
		return at + 1;
	if (length == 3 && strncmp(name, "UTC", 3) == 0)
		return name + length;
	end = parse_offset(name, ret_east);
	if (end)
		return end;
	*ret_local = true;
	tzset();
	for (int i = 0; i < 2; i++)
		if (length > 0 && strlen(tzname[i]) == length &&
		    strncmp(name, tzname[i], length) == 0)
			return name + length;
	return at;
}

static uint64_t to_realtime(struct tm tm, bool local, long east, uint64_t fraction_us)
{
	time_t t;

	tm.tm_isdst = -1;
	t = local ? mktime(&tm) : timegm(&tm) - east;
	return t > 0 ? (uint64_t)t * US_PER_S + fraction_us : 0;
}

/* "2026-11-22T21:00:00.123456+00:00", with a blank for the T and a weekday before it too. */
static const char *parse_iso(const char *at, uint64_t *ret_us)
{
	struct tm tm = {0};
	uint64_t fraction_us = 0;
	const char *end;
	bool local;
	long east;

	end = strptime(at, "%a %Y-%m-%d %H:%M:%S", &tm);
	if (!end)
		end = strptime(at, "%Y-%m-%dT%H:%M:%S", &tm);
	if (!end)
		end = strptime(at, "%Y-%m-%d %H:%M:%S", &tm);
	if (!end)
		return NULL;
	end = parse_fraction(end, &fraction_us);
	end = parse_zone(end, &local, &east);
	*ret_us = to_realtime(tm, local, east, fraction_us);
	return end;
}

/* "Nov 22 21:00:00", as RFC 3164 has it: of the last twelve months. */
static const char *parse_bsd(const char *at, uint64_t now_us, uint64_t *ret_us)
{
	time_t now = (time_t)(now_us / US_PER_S);
	uint64_t fraction_us = 0;
	struct tm tm = {0}, today;
	const char *end;

	end = strptime(at, "%b %e %H:%M:%S", &tm);
	if (!end)
		return NULL;
	end = parse_fraction(end, &fraction_us);
	localtime_r(&now, &today);
	tm.tm_year = today.tm_year;
	*ret_us = to_realtime(tm, true, 0, fraction_us);
	if (*ret_us > now_us + 86400 * US_PER_S) {
		tm.tm_year--;
		*ret_us = to_realtime(tm, true, 0, fraction_us);
	}
	return end;
}

/* "[Sun Nov 22 21:00:00 2026]": dmesg -T. */
static const char *parse_ctime(const char *at, uint64_t *ret_us)
{
	struct tm tm = {0};
	const char *end = strptime(at, "[%a %b %e %H:%M:%S %Y]", &tm);

	if (end)
		*ret_us = to_realtime(tm, true, 0, 0);
	return end;
}

/* "<4>": syslog's and /dev/kmsg's priority, if its facility is the kernel's; "kern  :warn  : ":
 * dmesg -x. */
static const char *skip_priority(const char *at)
{
	const char *end;

	if (at[0] == '<' && at[1] >= '0' && at[1] <= '7' && at[2] == '>')
		return at + 3;
	if (strncmp(at, "kern", 4) == 0) {
		end = at + 4 + strspn(at + 4, " ");
		if (*end != ':')
			return at;
		end += 1 + strspn(end + 1, "abcdefghijklmnopqrstuvwxyz");
		end += strspn(end, " ");
		return *end == ':' ? end + 1 + strspn(end + 1, " ") : at;
	}
	return at;
}

/* "HOST kernel: " after a time. */
static const char *skip_writer(const char *at)
{
	static const char kernel[] = " kernel: ";
	const char *program = at + strcspn(at, " ");

	return strncmp(program, kernel, sizeof kernel - 1) == 0 ? program + sizeof kernel - 1 : at;
}

static const char *skip_blank(const char *at)
{
	return *at == ' ' ? at + 1 : at;
}

const char *text_header_parse(const char *line, uint64_t now_us, struct text_header *ret)
{
	const char *at = skip_priority(line), *end;

	*ret = (struct text_header){0};
	end = parse_kernel_time(at, ret);
	if (!end)
		end = parse_ctime(at, &ret->realtime_us);
	if (!end)
		end = parse_iso(at, &ret->realtime_us);
	if (!end)
		end = parse_bsd(at, now_us, &ret->realtime_us);
	if (!end)
		end = parse_seconds(at, &ret->realtime_us);
	if (!end)
		return at;
	at = skip_writer(skip_blank(end));
	if (!ret->has_kernel_us) {
		end = parse_kernel_time(at, ret);
		if (end)
			at = skip_blank(end);
	}
	return at;
}
