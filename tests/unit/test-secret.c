#include "core/secret.h"

#include <errno.h>
#include <sodium.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>

#include "cmocka-all.h"

static const char text[] = "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=";

static void test_a_key_file_is_one_line(void **state)
{
	struct secret secret;
	char line[64];

	(void)state;
	assert_int_equal(secret_parse(text, strlen(text), &secret), 0);
	for (int i = 0; i < SECRET_SIZE; i++)
		assert_int_equal(secret.bytes[i], i);
	snprintf(line, sizeof line, "%s\n", text);
	assert_int_equal(secret_parse(line, strlen(line), &secret), 0);
	secret_format(&secret, line);
	assert_string_equal(line, text);
}

static void test_anything_else_is_no_key(void **state)
{
	static const char *const wrong[] = {
		"",
		"\n",
		"AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8", /* no padding */
		"AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8\n",
		"AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=\n\n", /* two lines */
		"AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8= ",    /* a blank */
		" AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=",
		"AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=\r\n",
		"AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh9=",	    /* bits in the padding */
		"AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHg==",	    /* 31 bytes */
		"AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8gIQ==", /* 34 bytes */
		"AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8g",	    /* 33 bytes */
		"_-ECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=",	    /* another alphabet */
		"AAECAwQFBgcICQoLDA0ODxAREhMUFRY\xd8GBkaGxwdHh8=",
		"AAECAwQFBgcICQoL*A0ODxAREhMUFRYXGBkaGxwdHh8=",
	};
	struct secret secret = {{0}};

	(void)state;
	for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++)
		assert_int_equal(secret_parse(wrong[i], strlen(wrong[i]), &secret), -EINVAL);
	assert_true(sodium_is_zero(secret.bytes, sizeof secret.bytes));
}

/* RFC 4231, test case 2 ("Jefe"), with the key padded by zeroes, which HMAC does by itself. */
static void test_mac_is_hmac_sha256(void **state)
{
	static const uint8_t expected[SECRET_MAC_SIZE] = {
		0x5b, 0xdc, 0xc1, 0x46, 0xbf, 0x60, 0x75, 0x4e, 0x6a, 0x04, 0x24,
		0x26, 0x08, 0x95, 0x75, 0xc7, 0x5a, 0x00, 0x3f, 0x08, 0x9d, 0x27,
		0x39, 0x83, 0x9d, 0xec, 0x58, 0xb9, 0x64, 0xec, 0x38, 0x43};
	const struct secret secret = {"Jefe"};
	const struct secret_piece pieces[] = {
		{"what do ya want ", 16}, {"", 0}, {"for nothing?", 12}};
	uint8_t mac[SECRET_MAC_SIZE];
	struct mac_key key;

	(void)state;
	secret_mac(&secret, pieces, 3, mac);
	assert_memory_equal(mac, expected, sizeof mac);
	mac_key_init(&key, &secret);
	for (int i = 0; i < 2; i++) {
		memset(mac, 0, sizeof mac);
		mac_key_mac(&key, pieces, 3, mac);
		assert_memory_equal(mac, expected, sizeof mac);
	}
	mac_key_wipe(&key);
	assert_true(sodium_is_zero((const uint8_t *)&key, sizeof key));
}

static void test_ports_lie_above_1023(void **state)
{
	const uint8_t mac[SECRET_MAC_SIZE] = {0,    0,	  0,	    0,	  0, 0,	   0xfb,
					      0xff, 0,	  0,	    0xfc, 0, 0xff, 0xff,
					      0xff, 0xff, [28] = 0, 0,	  0, 7};

	(void)state;
	assert_int_equal(secret_port(mac, 0), 1024);
	assert_int_equal(secret_port(mac, 1), 65535);
	assert_int_equal(secret_port(mac, 2), 1024);
	assert_int_equal(secret_port(mac, 3), 1024 + 4294967295u % 64512);
	assert_int_equal(secret_port(mac, 7), 1031);
}

/* The address sanitizer makes mlock() do nothing. */
#ifdef __SANITIZE_ADDRESS__
enum { CAN_LOCK = false };
#else
enum { CAN_LOCK = true };
#endif

/* Whether the page that holds `address` is locked, by what the kernel says. */
static bool is_locked(const void *address)
{
	FILE *file = fopen("/proc/self/smaps", "re");
	unsigned long from, to, locked = 0, here = (unsigned long)address;
	bool inside = false;
	char line[512];

	assert_non_null(file);
	while (fgets(line, sizeof line, file)) {
		if (sscanf(line, "%lx-%lx ", &from, &to) == 2)
			inside = from <= here && here < to;
		else if (inside && sscanf(line, "Locked: %lu kB", &locked) == 1)
			break;
	}
	fclose(file);
	return locked > 0;
}

static void test_secrets_are_locked_and_zero(void **state)
{
	struct secret *secrets = NULL;
	struct rlimit limit;

	(void)state;
	assert_int_equal(secrets_new(100, &secrets), 0);
	assert_true(sodium_is_zero(secrets[0].bytes, 100 * sizeof *secrets));
	memset(secrets, 0xff, 100 * sizeof *secrets);
	assert_int_equal(getrlimit(RLIMIT_MEMLOCK, &limit), 0);
	if (CAN_LOCK && limit.rlim_cur >= 1 << 16)
		assert_true(is_locked(secrets));
	secret_wipe(&secrets[99]);
	assert_true(sodium_is_zero(secrets[99].bytes, sizeof *secrets));
	assert_null(secrets_free(secrets));
	assert_null(secrets_free(NULL));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_a_key_file_is_one_line),
		cmocka_unit_test(test_anything_else_is_no_key),
		cmocka_unit_test(test_mac_is_hmac_sha256),
		cmocka_unit_test(test_ports_lie_above_1023),
		cmocka_unit_test(test_secrets_are_locked_and_zero),
	};

	return sodium_init() < 0 ? 99 : cmocka_run_group_tests(tests, NULL, NULL);
}
