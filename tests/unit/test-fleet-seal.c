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

/* Sealed with the fleet's key by somebody who does not do it as fleet_seal_close() does. */
static int open_forged(struct fleet_seal *seal, const char *topic,
		       const uint8_t plain[static FLEET_PLAIN_SIZE])
{
	uint8_t sealed[SEALED_SIZE] = {SEAL_VERSION};
	static const char purpose[] = "knocktail fleet 1 messages\0prod";
	const struct secret_piece piece = {purpose, sizeof purpose - 1};
	struct fleet_message opened;
	struct secret messages;

	secret_mac(&key, &piece, 1, messages.bytes);
	crypto_aead_xchacha20poly1305_ietf_encrypt(sealed + 1 + SEAL_NONCE_SIZE, NULL, plain,
						   FLEET_PLAIN_SIZE, (const uint8_t *)topic,
						   strlen(topic), NULL, sealed + 1, messages.bytes);
	return fleet_seal_open(seal, topic, sealed, sizeof sealed, &opened);
}

/* A host that is taken over has the key, and speaks by its own topics alone. */
static void test_nobody_speaks_for_another(void **state)
{
	struct fleet_message message = sample();
	char topic[FLEET_TOPIC_SIZE];
	uint8_t plain[FLEET_PLAIN_SIZE];

	fleet_seal_topic(*state, &message, topic);
	fleet_encode(&message, plain);
	assert_int_equal(open_forged(*state, topic, plain), 0);
	strcpy(message.host, "web2.example.net");
	fleet_encode(&message, plain);
	assert_int_equal(open_forged(*state, topic, plain), -EBADMSG);
	message = sample();
	message.source.bytes[15]++;
	fleet_encode(&message, plain);
	assert_int_equal(open_forged(*state, topic, plain), -EBADMSG);
	/* Nor in another form. */
	memset(plain, 0, sizeof plain);
	assert_int_equal(open_forged(*state, topic, plain), -EINVAL);
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

/* What a kind does not have, or must have, by the bytes that make it so. */
static void test_what_belongs_to_a_kind(void **state)
{
	enum { OF = 4 };
	static const struct {
		enum fleet_kind kind;
		struct {
			size_t at, size;
			uint8_t byte;
		} changes[OF];
		bool is_right;
	} cases[] = {
		{FLEET_OPEN, {{0}}, true},
		{FLEET_OPEN, {{1, 1, N_KNOCK_KINDS}}, false},
		{FLEET_OPEN, {{1, 1, N_KNOCK_KINDS - 1}}, true},
		{FLEET_OPEN, {{8, 8, 0}}, false},   /* a stamp */
		{FLEET_OPEN, {{16, 8, 0}}, false},  /* an end */
		{FLEET_OPEN, {{24, 16, 0}}, false}, /* a source */
		{FLEET_OPEN, {{40, 64, 0}}, false}, /* a host, of a name that one may have */
		{FLEET_OPEN, {{40, 1, '/'}}, false},
		{FLEET_OPEN, {{40, 64, 'a'}}, false},
		{FLEET_OPEN, {{104, 36, 0}}, false}, /* a door */
		{FLEET_OPEN, {{104, 36, 'a'}}, false},
		{FLEET_OPEN, {{140, 36, 0}}, true}, /* not always a user */
		{FLEET_OPEN, {{140, 1, '@'}}, false},
		{FLEET_OPEN, {{140, 36, 'a'}}, false},
		{FLEET_OPEN, {{176, 1, 1}}, false}, /* no key */
		{FLEET_OPEN, {{199, 1, 1}}, false}, /* no step */
		{FLEET_OPEN, {{203, 1, 1}}, false}, /* no time */
		{FLEET_OPEN, {{204, 1, 1}}, false}, /* no nonce */
		{FLEET_CLOSED, {{1, 1, 0}, {140, 36, 0}}, true},
		{FLEET_CLOSED, {{140, 36, 0}}, false}, /* no knock */
		{FLEET_CLOSED, {{1, 1, 0}}, false},    /* no user */
		{FLEET_SHUT, {{1, 1, 0}, {140, 36, 0}}, true},
		{FLEET_SHUT, {{1, 1, 0}, {140, 36, 0}, {24, 16, 0}}, false},
		{FLEET_STATUS, {{1, 1, 0}, {140, 36, 0}, {24, 16, 0}}, true},
		{FLEET_STATUS, {{1, 1, 0}, {140, 36, 0}, {24, 16, 0}, {199, 5, 1}}, true},
		{FLEET_STATUS, {{1, 1, 0}, {140, 36, 0}}, false}, /* no source */
		{FLEET_STATUS, {{1, 1, 0}, {140, 36, 0}, {24, 16, 0}, {204, 1, 1}}, false},
	};

	(void)state;
	for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
		const struct fleet_message message = sample();
		struct fleet_message decoded;
		uint8_t plain[FLEET_PLAIN_SIZE];

		fleet_encode(&message, plain);
		plain[0] = (uint8_t)cases[i].kind;
		for (size_t j = 0; j < OF; j++)
			memset(plain + cases[i].changes[j].at, cases[i].changes[j].byte,
			       cases[i].changes[j].size);
		if ((fleet_decode(plain, &decoded) == 0) != cases[i].is_right)
			fail_msg("case %zu", i);
	}
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
	static const char *const doors[] = {"", "/4", "ssh", "ssh/5", "s h/4"};
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
	spa.step = 0;
	strcpy(spa.door, "ssh/4");
	fleet_encode(&spa, plain);
	assert_int_equal(fleet_decode(plain, &decoded), -EINVAL);
	for (size_t i = 0; i < sizeof doors / sizeof doors[0]; i++) {
		strcpy(token.door, doors[i]);
		fleet_encode(&token, plain);
		assert_int_equal(fleet_decode(plain, &decoded), -EINVAL);
	}
	strcpy(token.door, "ssh/6");
	fleet_encode(&token, plain);
	assert_int_equal(fleet_decode(plain, &decoded), 0);
	token.nonce[0] = 1;
	fleet_encode(&token, plain);
	assert_int_equal(fleet_decode(plain, &decoded), -EINVAL);
	token.nonce[0] = 0;
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
		cmocka_unit_test(test_nobody_speaks_for_another),
		cmocka_unit_test(test_topics_are_of_subjects),
		cmocka_unit_test(test_other_forms_are_refused),
		cmocka_unit_test(test_what_belongs_to_a_kind),
		cmocka_unit_test(test_what_was_burnt),
	};

	return cmocka_run_group_tests(tests, set_up, tear_down);
}
