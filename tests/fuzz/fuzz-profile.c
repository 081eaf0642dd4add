/* Any bytes as a file of profiles: either it is refused with a line and a reason and nothing is
 * set, or what is set keeps the promises of settings.h. */
#include <errno.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "tap/profile.h"
#include "tap/settings.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void require(bool holds)
{
	if (!holds)
		abort();
}

static void check_sequence(const struct sequence *sequence)
{
	require(sequence->n_steps >= 1 && sequence->n_steps <= SEQUENCE_STEPS_MAX);
	for (size_t i = 0; i < sequence->n_steps; i++)
		require(sequence->steps[i].port > 0 &&
			(sequence->steps[i].protocol == IPPROTO_TCP ||
			 sequence->steps[i].protocol == IPPROTO_UDP));
}

static void check_settings(const struct settings *settings)
{
	require(memchr(settings->host, '\0', sizeof(settings->host)));
	require(memchr(settings->key, '\0', sizeof(settings->key)));
	require(memchr(settings->door, '\0', sizeof(settings->door)));
	require(settings_has(settings, SETTING_DOOR) == (settings->door[0] != '\0'));
	require(settings_has(settings, SETTING_KEY) == (settings->key[0] != '\0'));
	require(settings_has(settings, SETTING_WAIT) == (settings->wait_port != 0));
	require(settings_has(settings, SETTING_TIME) == (settings->seconds != 0));
	require(settings->knock <= KNOCK_SPA && settings->source_kind <= SOURCE_FIXED);
	require(settings->timeout_us > 0 && settings->timeout_us <= UINT64_C(3600000000));
	require(settings->delay_us <= UINT64_C(60000000));
	require(settings->family == AF_UNSPEC || settings->family == AF_INET ||
		settings->family == AF_INET6);
	if (settings_has(settings, SETTING_SEQUENCE))
		check_sequence(&settings->sequence);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct settings settings, untouched;
	struct profile_fault fault;
	int r;

	settings_init(&settings);
	untouched = settings;
	r = profile_apply((const char *)data, size, "vps", &settings, &fault);
	require(r == 0 || r == -EBADMSG);
	if (r == 0) {
		check_settings(&settings);
		return 0;
	}
	require(memcmp(&settings, &untouched, sizeof settings) == 0);
	require(fault.line > 0 && memchr(fault.text, '\0', sizeof(fault.text)));
	for (const char *c = fault.text; *c; c++)
		require(*c >= ' ' && *c <= '~');
	return 0;
}
