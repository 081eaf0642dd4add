/* Every tests/profiles/NAME.hosts says itself what comes of it, in lines that are comments to a
 * profile: "#? HOST: SETTING=VALUE ..." or "#? HOST: error LINE: TEXT". */
#include "tap/profile.h"

#include <dirent.h>
#include <errno.h>
#include <inttypes.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "cmocka-all.h"
#include "core/visitor.h"
#include "support.h"
#include "tap/settings.h"
#include "util/cleanup.h"

enum { TEXT_MAX = 1024, PROFILES_LEAST = 30 };

struct text {
	size_t length;
	char bytes[TEXT_MAX];
};

__attribute__((format(printf, 2, 3))) static void append(struct text *text, const char *format, ...)
{
	va_list arguments;

	va_start(arguments, format);
	text->length += (size_t)vsnprintf(text->bytes + text->length,
					  sizeof(text->bytes) - text->length, format, arguments);
	va_end(arguments);
	assert_true(text->length < sizeof(text->bytes));
}

static void append_sequence(struct text *text, const struct sequence *sequence)
{
	for (size_t i = 0; i < sequence->n_steps; i++)
		append(text, "%s%u/%s", i > 0 ? "," : "", sequence->steps[i].port,
		       sequence->steps[i].protocol == IPPROTO_UDP ? "udp" : "tcp");
}

static void append_source(struct text *text, const struct settings *settings)
{
	char address[ADDRESS_TEXT_MAX];

	append(text, "%s",
	       settings->source_kind == SOURCE_NONE   ? "none"
	       : settings->source_kind == SOURCE_AUTO ? "auto"
						      : address_format(&settings->source, address));
}

static void append_value(struct text *text, const struct settings *settings, enum setting setting)
{
	switch (setting) {
	case SETTING_HOST_NAME:
		return append(text, "%s", settings->host);
	case SETTING_KNOCK:
		return append(text, "%s", knock_kind_name(settings->knock));
	case SETTING_SEQUENCE:
		return append_sequence(text, &settings->sequence);
	case SETTING_DELAY:
		return append(text, "%" PRIu64, settings->delay_us);
	case SETTING_KEY:
		return append(text, "%s", settings->key);
	case SETTING_DOOR:
		return append(text, "%s", settings->door);
	case SETTING_SOURCE:
		return append_source(text, settings);
	case SETTING_TIME:
		return append(text, "%u", settings->seconds);
	case SETTING_ADDRESS_FAMILY:
		return append(text, "%s",
			      settings->family == AF_INET    ? "inet"
			      : settings->family == AF_INET6 ? "inet6"
							     : "any");
	case SETTING_WAIT:
		return append(text, "%u", settings->wait_port);
	case SETTING_TIMEOUT:
		return append(text, "%" PRIu64, settings->timeout_us);
	case N_SETTINGS:
		break;
	}
	fail();
}

/* What comes of a profile for a host, as the comments spell it. */
static void describe(const char *data, size_t size, const char *host, struct text *ret)
{
	struct settings settings, untouched;
	struct profile_fault fault;
	int r;

	settings_init(&settings);
	untouched = settings;
	r = profile_apply(data, size, host, &settings, &fault);
	*ret = (struct text){0};
	append(ret, "%s:", host);
	if (r < 0) {
		assert_int_equal(r, -EBADMSG);
		assert_memory_equal(&settings, &untouched, sizeof settings);
		append(ret, " error %u: %s", fault.line, fault.text);
		return;
	}
	for (enum setting setting = 0; setting < N_SETTINGS; setting++) {
		if (!settings_has(&settings, setting))
			continue;
		append(ret, " %s=", setting_name(setting));
		append_value(ret, &settings, setting);
	}
}

static size_t check_profile(const char *name, const char *data, size_t size)
{
	size_t n = 0;

	for (const char *line = data; line; line = strchr(line, '\n')) {
		char expected[TEXT_MAX], host[TEXT_MAX];
		struct text described;
		size_t length;

		line += *line == '\n';
		if (strncmp(line, "#? ", 3) != 0)
			continue;
		length = strcspn(line + 3, "\r\n");
		assert_true(length < sizeof expected);
		memcpy(expected, line + 3, length);
		expected[length] = '\0';
		/* A host can hold colons; the one that ends it is followed by a blank or nothing.
		 */
		length = 0;
		while (expected[length] != ':' ||
		       (expected[length + 1] != ' ' && expected[length + 1] != '\0'))
			length++;
		memcpy(host, expected, length);
		host[length] = '\0';
		describe(data, size, host, &described);
		if (strcmp(described.bytes, expected) != 0)
			fail_msg("%s: expected\n%s\nbut it is\n%s", name, expected,
				 described.bytes);
		n++;
	}
	return n;
}

static void test_profiles(void **state)
{
	static const char directory[] = TEST_DATA_DIR "/profiles";
	CLEANUP(cleanup_closedir) DIR *folder = opendir(directory);
	const struct dirent *entry;
	size_t n_profiles = 0;

	(void)state;
	assert_non_null(folder);
	while ((entry = readdir(folder))) {
		const char *dot = strrchr(entry->d_name, '.');
		CLEANUP(cleanup_free) char *path = support_path(directory, entry->d_name);
		CLEANUP(cleanup_free) char *data = NULL;
		size_t size;

		if (!dot || strcmp(dot, ".hosts") != 0)
			continue;
		data = support_read(path, &size);
		assert_non_null(data);
		if (check_profile(entry->d_name, data, size) == 0)
			fail_msg("%s does not say what is expected of it", entry->d_name);
		n_profiles++;
	}
	assert_true(n_profiles >= PROFILES_LEAST);
}

static void test_what_is_set_stays(void **state)
{
	static const char data[] = "Door two\nWait 23\n", wrong[] = "Door two\nDoor\n";
	struct settings settings;
	struct profile_fault fault;

	(void)state;
	settings_init(&settings);
	assert_int_equal(settings_set(&settings, SETTING_DOOR, "one"), 0);
	assert_int_equal(profile_apply(data, strlen(data), "a", &settings, &fault), 0);
	assert_string_equal(settings.door, "one");
	assert_int_equal(settings.wait_port, 23);
	assert_int_equal(profile_apply(wrong, strlen(wrong), "a", &settings, &fault), -EBADMSG);
	assert_int_equal(fault.line, 2);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_profiles),
		cmocka_unit_test(test_what_is_set_stays),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
