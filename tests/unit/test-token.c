#include "core/token.h"

#include <sodium.h>
#include <stdlib.h>
#include <string.h>

#include "core/secret.h"
#include "vectors.h"

#include "cmocka-all.h"

static void check_vector(const struct vector *vector)
{
	const char *text = vector_text(vector, "ports");
	const struct secret secret = vector_base(vector);
	struct mac_key base;
	const struct token_seed seed = {
		.base = &base,
		.door = vector_text(vector, "door"),
		.family = vector_number(vector, "fam") == 4 ? FAMILY_IPV4 : FAMILY_IPV6,
		.step = token_step(vector_number(vector, "time")),
	};
	uint16_t ports[TOKEN_PORTS];
	struct address source;
	bool bound = vector_source(vector, &source);
	char *end = (char *)text;

	mac_key_init(&base, &secret);
	token_ports(&seed, bound ? &source : NULL, ports);
	for (size_t i = 0; i < TOKEN_PORTS; i++)
		assert_int_equal(ports[i], strtoul(end, &end, 10));
	assert_int_equal(*end, '\0');
	assert_int_equal(token_selector(&seed), ports[0]);
}

static void test_vectors(void **state)
{
	(void)state;
	assert_int_equal(vectors_each("token", check_vector), 18);
}

static void test_all_eight_in_any_order(void **state)
{
	const uint16_t ports[TOKEN_PORTS] = {1024, 2, 0, 65535, 5, 6, 7, 8};
	const uint16_t seen[] = {9, 8, 7, 6, 5, 65535, 1, 0, 2, 1024, 8};
	uint16_t some[sizeof seen / sizeof seen[0]];
	size_t n = sizeof seen / sizeof seen[0];

	(void)state;
	assert_true(token_is_complete(ports, seen, n));
	assert_false(token_is_complete(ports, seen, 0));
	/* Each of the eight is needed: what stands once and is changed is missed. */
	for (size_t i = 2; i < 10; i++) {
		memcpy(some, seen, sizeof seen);
		some[i] ^= 0x8000;
		assert_int_equal(token_is_complete(ports, some, n), i == 6);
	}
	/* Eight times the same is not eight. */
	for (size_t i = 0; i < n; i++)
		some[i] = 8;
	assert_false(token_is_complete(ports, some, n));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_vectors),
		cmocka_unit_test(test_all_eight_in_any_order),
	};

	return sodium_init() < 0 ? 99 : cmocka_run_group_tests(tests, NULL, NULL);
}
