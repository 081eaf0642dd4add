#include "core/spa.h"

#include <errno.h>
#include <sodium.h>
#include <string.h>

#include "core/secret.h"
#include "core/token.h"
#include "vectors.h"

#include "cmocka-all.h"

static const uint8_t nonce[SPA_NONCE_SIZE] = "twelve bytes";
static const struct spa_request request = {.time_s = 1795384800, .door = 0x1234, .seconds = 600};

static void check_vector(const struct vector *vector)
{
	const struct secret secret = vector_base(vector);
	struct secret key, expected_key;
	struct mac_key base;
	uint8_t option[SPA_OPTION_SIZE], expected[SPA_OPTION_SIZE] = {253, 40, 0x4b, 0x54};
	uint64_t time_s = vector_number(vector, "time");
	struct spa_request opened, sealed = {
					   .time_s = (uint32_t)time_s,
					   .door = spa_door(vector_text(vector, "door")),
					   .seconds = (uint16_t)vector_number(vector, "seconds"),
				   };
	struct address source;
	const struct address *bound = vector_source(vector, &source) ? &source : NULL;

	vector_hex(vector, "nonce", expected + 4, SPA_NONCE_SIZE);
	vector_hex(vector, "box", expected + 16, 24);
	vector_hex(vector, "spa_key", expected_key.bytes, sizeof expected_key);
	mac_key_init(&base, &secret);
	spa_key(&base, &key);
	assert_memory_equal(&key, &expected_key, sizeof key);
	assert_int_equal(spa_port(&base, token_step(time_s)), vector_number(vector, "port"));

	spa_seal(&key, &sealed, bound, expected + 4, option);
	assert_memory_equal(option, expected, sizeof option);
	assert_true(spa_is_option(option, sizeof option));
	assert_memory_equal(spa_nonce(option), expected + 4, SPA_NONCE_SIZE);
	assert_int_equal(spa_open(&key, option, bound, &opened), 0);
	assert_memory_equal(&opened, &sealed, sizeof opened);
	memset(&opened, 0, sizeof opened);
	spa_guess(&key, option, &opened);
	assert_memory_equal(&opened, &sealed, sizeof opened);
}

static void test_vectors(void **state)
{
	(void)state;
	assert_int_equal(vectors_each("spa", check_vector), 11);
}

static void test_no_bit_may_be_flipped(void **state)
{
	const struct secret key = {"a key"};
	uint8_t option[SPA_OPTION_SIZE];
	struct spa_request opened;

	(void)state;
	spa_seal(&key, &request, NULL, nonce, option);
	for (size_t bit = 0; bit < 8 * sizeof option; bit++) {
		option[bit / 8] ^= (uint8_t)(1 << bit % 8);
		if (bit < 32)
			assert_false(spa_is_option(option, sizeof option));
		else
			assert_int_equal(spa_open(&key, option, NULL, &opened), -EBADMSG);
		option[bit / 8] ^= (uint8_t)(1 << bit % 8);
	}
	assert_int_equal(spa_open(&key, option, NULL, &opened), 0);
}

static void test_key_and_address_are_part_of_it(void **state)
{
	const struct secret key = {"a key"}, other = {"another"};
	struct address here, there;
	uint8_t option[SPA_OPTION_SIZE];
	struct spa_request opened;

	(void)state;
	assert_int_equal(address_parse("198.51.100.7", &here), 0);
	assert_int_equal(address_parse("198.51.100.8", &there), 0);
	spa_seal(&key, &request, &here, nonce, option);
	assert_int_equal(spa_open(&key, option, &here, &opened), 0);
	assert_int_equal(spa_open(&other, option, &here, &opened), -EBADMSG);
	assert_int_equal(spa_open(&key, option, &there, &opened), -EBADMSG);
	assert_int_equal(spa_open(&key, option, NULL, &opened), -EBADMSG);
	spa_seal(&key, &request, NULL, nonce, option);
	assert_int_equal(spa_open(&key, option, &here, &opened), -EBADMSG);
}

static void test_options_are_one_and_whole(void **state)
{
	uint8_t options[SPA_OPTION_SIZE + 1] = {253, 40, 0x4b, 0x54};

	(void)state;
	assert_true(spa_is_option(options, SPA_OPTION_SIZE));
	for (size_t n = 0; n < SPA_OPTION_SIZE; n++)
		assert_false(spa_is_option(options, n));
	assert_false(spa_is_option(options, sizeof options));
	options[1] = 36;
	assert_false(spa_is_option(options, SPA_OPTION_SIZE));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_vectors),
		cmocka_unit_test(test_no_bit_may_be_flipped),
		cmocka_unit_test(test_key_and_address_are_part_of_it),
		cmocka_unit_test(test_options_are_one_and_whole),
	};

	return sodium_init() < 0 ? 99 : cmocka_run_group_tests(tests, NULL, NULL);
}
