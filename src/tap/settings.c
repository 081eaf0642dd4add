#include "tap/settings.h"

#include <errno.h>
#include <netinet/in.h>
#include <string.h>
#include <strings.h>
#include <sys/socket.h>

#include "util/clock.h"
#include "util/duration.h"
#include "util/number.h"

enum { DELAY_MAX_S = 60, TIMEOUT_MAX_S = 3600 };

/* Packets that are sent at once may overtake each other on their way. */
static const uint64_t default_delay_us = 50000, default_timeout_us = 10 * US_PER_S;

static int text_set(const char *value, char *ret, size_t size)
{
	size_t length = strlen(value);

	if (length == 0 || length >= size)
		return -EINVAL;
	memcpy(ret, value, length + 1);
	return 0;
}

static int span_set(const char *value, uint64_t least_us, uint64_t most_us, uint64_t *ret)
{
	uint64_t us;

	if (duration_parse(value, &us) < 0 || us < least_us || us > most_us)
		return -EINVAL;
	*ret = us;
	return 0;
}

int port_parse(const char *text, uint16_t *ret)
{
	uint64_t port;

	if (number_parse(text, strlen(text), &port) < 0 || port < 1 || port > UINT16_MAX)
		return -EINVAL;
	*ret = (uint16_t)port;
	return 0;
}

static int set_host_name(struct settings *settings, const char *value)
{
	return text_set(value, settings->host, sizeof(settings->host));
}

static int set_knock(struct settings *settings, const char *value)
{
	for (enum knock_kind kind = KNOCK_SEQUENCE; kind <= KNOCK_SPA; kind++) {
		if (strcasecmp(value, knock_kind_name(kind)) == 0) {
			settings->knock = kind;
			return 0;
		}
	}
	return -EINVAL;
}

static int set_sequence(struct settings *settings, const char *value)
{
	size_t step;

	return sequence_parse(value, &settings->sequence, &step) < 0 ? -EINVAL : 0;
}

static int set_delay(struct settings *settings, const char *value)
{
	return span_set(value, 0, (uint64_t)DELAY_MAX_S * US_PER_S, &settings->delay_us);
}

static int set_key(struct settings *settings, const char *value)
{
	return text_set(value, settings->key, sizeof(settings->key));
}

/* Names are small letters on the wire, however they are written. */
static int set_door(struct settings *settings, const char *value)
{
	static const char allowed[] = "abcdefghijklmnopqrstuvwxyz0123456789_-";
	char name[DOOR_NAME_MAX + 1];

	if (text_set(value, name, sizeof name) < 0)
		return -EINVAL;
	for (char *c = name; *c; c++)
		if (*c >= 'A' && *c <= 'Z')
			*c = (char)(*c + 'a' - 'A');
	if (name[strspn(name, allowed)] || name[0] == '_' || name[0] == '-')
		return -EINVAL;
	memcpy(settings->door, name, sizeof name);
	return 0;
}

static int set_source(struct settings *settings, const char *value)
{
	if (strcasecmp(value, "none") == 0)
		settings->source_kind = SOURCE_NONE;
	else if (strcasecmp(value, "auto") == 0)
		settings->source_kind = SOURCE_AUTO;
	else if (address_parse(value, &settings->source) == 0)
		settings->source_kind = SOURCE_FIXED;
	else
		return -EINVAL;
	return 0;
}

static int set_time(struct settings *settings, const char *value)
{
	uint64_t us;

	if (span_set(value, US_PER_S, (uint64_t)UINT16_MAX * US_PER_S, &us) < 0 || us % US_PER_S)
		return -EINVAL;
	settings->seconds = (uint16_t)(us / US_PER_S);
	return 0;
}

static int set_address_family(struct settings *settings, const char *value)
{
	if (strcasecmp(value, "any") == 0)
		settings->family = AF_UNSPEC;
	else if (strcasecmp(value, "inet") == 0)
		settings->family = AF_INET;
	else if (strcasecmp(value, "inet6") == 0)
		settings->family = AF_INET6;
	else if (strcasecmp(value, "both") == 0)
		settings->family = SETTINGS_BOTH;
	else
		return -EINVAL;
	return 0;
}

static int set_wait(struct settings *settings, const char *value)
{
	return port_parse(value, &settings->wait_port);
}

static int set_timeout(struct settings *settings, const char *value)
{
	return span_set(value, 1, (uint64_t)TIMEOUT_MAX_S * US_PER_S, &settings->timeout_us);
}

static const struct {
	const char *name;
	int (*set)(struct settings *settings, const char *value);
	const char *expected;
} table[N_SETTINGS] = {
	[SETTING_HOST_NAME] = {"HostName", set_host_name, "a name or an address"},
	[SETTING_KNOCK] = {"Knock", set_knock, "sequence, token or spa"},
	[SETTING_SEQUENCE] = {"Sequence", set_sequence,
			      "1 to 32 steps such as 7000, 8000/udp or 8000:udp"},
	[SETTING_DELAY] = {"Delay", set_delay, "a time span of 60s at most, such as 50ms"},
	[SETTING_KEY] = {"Key", set_key, "the path of a key file"},
	[SETTING_DOOR] =
		{"Door", set_door,
		 "a door's name: at most 32 of a-z, 0-9, _ and -, a letter or digit first"},
	[SETTING_SOURCE] = {"Source", set_source, "an address, auto or none"},
	[SETTING_TIME] = {"Time", set_time, "whole seconds, 1s to 65535s, such as 10min"},
	[SETTING_ADDRESS_FAMILY] = {"AddressFamily", set_address_family,
				    "any, inet, inet6 or both"},
	[SETTING_WAIT] = {"Wait", set_wait, "a port from 1 to 65535"},
	[SETTING_TIMEOUT] = {"Timeout", set_timeout, "a time span of 1h at most, such as 10s"},
};

void settings_init(struct settings *settings)
{
	*settings = (struct settings){
		.knock = KNOCK_SEQUENCE,
		.source_kind = SOURCE_AUTO,
		.family = AF_UNSPEC,
		.delay_us = default_delay_us,
		.timeout_us = default_timeout_us,
	};
}

bool settings_has(const struct settings *settings, enum setting setting)
{
	return settings->set & UINT32_C(1) << setting;
}

enum setting setting_find(const char *name, size_t length)
{
	enum setting setting = 0;

	while (setting < N_SETTINGS && (strlen(table[setting].name) != length ||
					strncasecmp(name, table[setting].name, length) != 0))
		setting++;
	return setting;
}

const char *setting_name(enum setting setting)
{
	return table[setting].name;
}

const char *setting_expected(enum setting setting)
{
	return table[setting].expected;
}

int settings_set(struct settings *settings, enum setting setting, const char *value)
{
	struct settings changed = *settings;
	int r = table[setting].set(&changed, value);

	if (r < 0 || settings_has(settings, setting))
		return r;
	changed.set |= UINT32_C(1) << setting;
	*settings = changed;
	return 0;
}
