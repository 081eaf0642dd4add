/* How to knock at one host: what the command line and the profiles say together.
 *
 * Plain data of a fixed size. What has been set stays: so the command line comes first, then the
 * profiles in their order. */
#pragma once

#include "core/address.h"
#include "core/door.h"
#include "core/sequence.h"
#include "core/visitor.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum {
	SETTINGS_HOST_MAX = 255,
	SETTINGS_PATH_MAX = 1023,
	SETTINGS_BOTH = -1, /* both families */
};

/* Which address a knock is bound to: none, ours if the server sees it as it is, or this one. */
enum source_kind { SOURCE_NONE, SOURCE_AUTO, SOURCE_FIXED };

enum setting {
	SETTING_HOST_NAME,
	SETTING_KNOCK,
	SETTING_SEQUENCE,
	SETTING_DELAY,
	SETTING_KEY,
	SETTING_DOOR,
	SETTING_SOURCE,
	SETTING_TIME,
	SETTING_ADDRESS_FAMILY,
	SETTING_WAIT,
	SETTING_TIMEOUT,
	N_SETTINGS
};

struct settings {
	uint32_t set; /* one bit a setting */
	char host[SETTINGS_HOST_MAX + 1];
	enum knock_kind knock;
	struct sequence sequence;
	uint64_t delay_us;
	char key[SETTINGS_PATH_MAX + 1];
	char door[DOOR_NAME_MAX + 1];
	enum source_kind source_kind;
	struct address source; /* SOURCE_FIXED */
	uint16_t seconds;
	int family; /* AF_UNSPEC, AF_INET, AF_INET6 or SETTINGS_BOTH */
	uint16_t wait_port;
	uint64_t timeout_us;
};

/* Everything unset, with the defaults. */
void settings_init(struct settings *settings);

bool settings_has(const struct settings *settings, enum setting setting);

/* The setting of this name in any case, as profiles spell it; N_SETTINGS: there is none. */
enum setting setting_find(const char *name, size_t length);
const char *setting_name(enum setting setting);

/* What a value of it looks like: "expected ...". */
const char *setting_expected(enum setting setting);

/* Sets it from text unless it is set already; the text is judged in any case. 0, or -EINVAL. */
int settings_set(struct settings *settings, enum setting setting, const char *value);

/* A port from 1 to 65535 in decimal digits. 0, or -EINVAL. */
int port_parse(const char *text, uint16_t *ret);
