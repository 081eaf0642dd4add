#include "fleet/seal.h"

#include <errno.h>
#include <sodium.h>
#include <string.h>

#include "cmocka-all.h"

static const struct secret key = {{1, 2, 3}}, other_key = {{1, 2, 4}};

static struct fleet_message sample(void)
{
	struct fleet_message message = {
		.kind = FLEET_OPEN,
		.knock = KNOCK_TOKEN,
		.stamp_us = 1700000000000000,
		.until_us = 1700000060000000,
		.host = "web1.example.net",
		.door = "ssh",
		.user = "alice",
	};

	address_parse("198.51.100.7", &message.source);
	return message;
}

static int set_up(void **state)
{
	struct fleet_seal *seal;

	if (sodium_init() < 0 || fleet_seal_new(&key, "prod", &seal) < 0)
		return -1;
	*state = seal;
	return 0;
}

static int tear_down(void **state)
{
	fleet_seal_free(*state);
	return 0;
}

static void test_what_is_sealed_opens(void **state)
{
	const struct fleet_message message = sample();
	char topic[FLEET_TOPIC_SIZE];
	uint8_t sealed[SEALED_SIZE], again[SEALED_SIZE];
	struct fleet_message opened;

	fleet_seal_topic(*state, &message, topic);
	assert_true(strncmp(topic, "knocktail/1/prod/web1.example.net/", 34) == 0);
	fleet_seal_close(*state, &message, sealed);
	fleet_seal_close(*state, &message, again);
	assert_memory_not_equal(sealed, again, sizeof sealed);
	assert_int_equal(fleet_seal_open(*state, topic, sealed, sizeof sealed, &opened), 0);
	assert_int_equal(opened.kind, FLEET_OPEN);
	assert_int_equal(opened.knock, KNOCK_TOKEN);
	assert_int_equal(opened.stamp_us, message.stamp_us);
	assert_int_equal(opened.until_us, message.until_us);
	assert_true(address_equal(&opened.source, &message.source));
	assert_string_equal(opened.host, message.host);
	assert_string_equal(opened.door, message.door);
	assert_string_equal(opened.user, message.user);
}

/* The broker sees neither the address nor the door, and all messages are of a size. */
static void test_the_broker_sees_nothing(void **state)
{
	const struct fleet_message message = sample();
	char topic[FLEET_TOPIC_SIZE];
	uint8_t sealed[SEALED_SIZE];

	fleet_seal_topic(*state, &message, topic);
	fleet_seal_close(*state, &message, sealed);
	assert_null(strstr(topic, "ssh"));
	assert_null(strstr(topic, "198.51.100.7"));
	assert_null(memmem(sealed, sizeof sealed, "alice", 5));
}

static void test_every_changed_bit_is_seen(void **state)
{
	const struct fleet_message message = sample();
	char topic[FLEET_TOPIC_SIZE];
	uint8_t sealed[SEALED_SIZE];
	struct fleet_message opened;

	fleet_seal_topic(*state, &message, topic);
	fleet_seal_close(*state, &message, sealed);
	for (size_t bit = 0; bit < 8 * sizeof sealed; bit++) {
		sealed[bit / 8] ^= (uint8_t)(1u << bit % 8);
		assert_true(fleet_seal_open(*state, topic, sealed, sizeof sealed, &opened) < 0);
		sealed[bit / 8] ^= (uint8_t)(1u << bit % 8);
	}
	for (size_t size = 0; size < sizeof sealed; size++)
		assert_true(fleet_seal_open(*state, topic, sealed, size, &opened) < 0);
	assert_int_equal(fleet_seal_open(*state, topic, sealed, sizeof sealed, &opened), 0);
	sealed[0] = 2;
	assert_int_equal(fleet_seal_open(*state, topic, sealed, sizeof sealed, &opened),
			 -EPROTONOSUPPORT);
}

/* Of another host, another source or another fleet, and with another key. */
static void test_it_is_bound_to_its_topic(void **state)
{
	struct fleet_message message = sample(), other = sample(), opened;
	char topic[FLEET_TOPIC_SIZE], other_topic[FLEET_TOPIC_SIZE];
	uint8_t sealed[SEALED_SIZE];
	struct fleet_seal *seal;

	fleet_seal_topic(*state, &message, topic);
	fleet_seal_close(*state, &message, sealed);
	strcpy(other.host, "web2");
	fleet_seal_topic(*state, &other, other_topic);
	assert_int_equal(fleet_seal_open(*state, other_topic, sealed, sizeof sealed, &opened),
			 -EBADMSG);
	other = sample();
	other.source.bytes[15] ^= 1;
	fleet_seal_topic(*state, &other, other_topic);
	assert_string_not_equal(topic, other_topic);
	assert_int_equal(fleet_seal_open(*state, other_topic, sealed, sizeof sealed, &opened),
			 -EBADMSG);
	assert_int_equal(fleet_seal_new(&key, "test", &seal), 0);
	assert_int_equal(fleet_seal_open(seal, topic, sealed, sizeof sealed, &opened), -EBADMSG);
	fleet_seal_free(seal);
	assert_int_equal(fleet_seal_new(&other_key, "prod", &seal), 0);
	assert_int_equal(fleet_seal_open(seal, topic, sealed, sizeof sealed, &opened), -EBADMSG);
	fleet_seal_free(seal);
}

/* A host's last word replaces the one before at the broker; what was shut stays beside it. */
static void test_topics_are_of_subjects(void **state)
{
	struct fleet_message message = sample();
	char topic[FLEET_TOPIC_SIZE], later[FLEET_TOPIC_SIZE];

	fleet_seal_topic(*state, &message, topic);
	message.stamp_us++;
	message.until_us++;
	message.user[0] = '\0';
	message.knock = KNOCK_UNKNOWN;
	message.kind = FLEET_CLOSED;
	fleet_seal_topic(*state, &message, later);
	assert_string_equal(topic, later);
	message.kind = FLEET_SHUT;
	fleet_seal_topic(*state, &message, later);
	assert_string_not_equal(topic, later);
}

/* One message, one form. */
static void test_other_forms_are_refused(void **state)
{
	static const size_t unused[] = {2, 7, 216, 255};
	const struct fleet_message message = sample();
	uint8_t plain[FLEET_PLAIN_SIZE], changed[FLEET_PLAIN_SIZE];
	struct fleet_message decoded;

	(void)state;
	fleet_encode(&message, plain);
	assert_int_equal(fleet_decode(plain, &decoded), 0);
	for (size_t i = 0; i < sizeof unused / sizeof unused[0]; i++) {
		memcpy(changed, plain, sizeof changed);
		changed[unused[i]] = 1;
		assert_int_equal(fleet_decode(changed, &decoded), -EINVAL);
	}
	memcpy(changed, plain, sizeof changed);
	changed[103] = 'x'; /* behind the host's end */
	assert_int_equal(fleet_decode(changed, &decoded), -EINVAL);
	memcpy(changed, plain, sizeof changed);
	changed[0] = 0;
	assert_int_equal(fleet_decode(changed, &decoded), -EINVAL);
	changed[0] = N_FLEET_KINDS;
	assert_int_equal(fleet_decode(changed, &decoded), -EINVAL);
	changed[0] = FLEET_SHUT; /* which has no user */
	assert_int_equal(fleet_decode(changed, &decoded), -EINVAL);
	memcpy(changed, plain, sizeof changed);
	changed[104] = '/'; /* a door's name */
	assert_int_equal(fleet_decode(changed, &decoded), -EINVAL);
	changed[104] = '\n';
	assert_int_equal(fleet_decode(changed, &decoded), -EINVAL);
}

static void test_what_was_burnt(void **state)
{
	struct fleet_message token = {
		.kind = FLEET_BURNT,
		.stamp_us = 1,
		.until_us = 2,
		.host = "a",
		.door = "ssh/4",
		.key = {{1}},
		.step = 7,
	};
	struct fleet_message spa = token, decoded;
	uint8_t plain[FLEET_PLAIN_SIZE];

	(void)state;
	fleet_encode(&token, plain);
	assert_int_equal(fleet_decode(plain, &decoded), 0);
	assert_int_equal(decoded.step, 7);
	spa.door[0] = '\0';
	spa.step = 0;
	spa.time_s = 9;
	spa.nonce[0] = 1;
	fleet_encode(&spa, plain);
	assert_int_equal(fleet_decode(plain, &decoded), 0);
	assert_int_equal(decoded.time_s, 9);
	spa.step = 1;
	fleet_encode(&spa, plain);
	assert_int_equal(fleet_decode(plain, &decoded), -EINVAL);
	strcpy(token.door, "ssh");
	fleet_encode(&token, plain);
	assert_int_equal(fleet_decode(plain, &decoded), -EINVAL);
	strcpy(token.door, "ssh/4");
	token.key = (struct key_id){{0}};
	fleet_encode(&token, plain);
	assert_int_equal(fleet_decode(plain, &decoded), -EINVAL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_what_is_sealed_opens),
		cmocka_unit_test(test_the_broker_sees_nothing),
		cmocka_unit_test(test_every_changed_bit_is_seen),
		cmocka_unit_test(test_it_is_bound_to_its_topic),
		cmocka_unit_test(test_topics_are_of_subjects),
		cmocka_unit_test(test_other_forms_are_refused),
		cmocka_unit_test(test_what_was_burnt),
	};

	return cmocka_run_group_tests(tests, set_up, tear_down);
}
