#include "core/sealed/line.h"

#include <errno.h>
#include <pthread.h>
#include <sodium.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#include "core/sealed/gcm.h"
#include "core/sealed/pbkdf2.h"

#include "cmocka-all.h"

static void from_hex(const char *hex, uint8_t *ret, size_t max, size_t *ret_size)
{
	assert_int_equal(sodium_hex2bin(ret, max, hex, strlen(hex), NULL, ret_size, NULL), 0);
}

/* RFC 7914, 11: the first 32 bytes of both. */
static void test_pbkdf2_is_that_of_the_rfc(void **state)
{
	static const struct {
		const char *passphrase, *salt;
		uint32_t rounds;
		const char *key;
	} cases[] = {
		{"passwd", "salt", 1,
		 "55ac046e56e3089fec1691c22544b605f94185216dde0465e68b9d57c20dacbc"},
		{"Password", "NaCl", 80000,
		 "4ddcd8f60b98be21830cee5ef22701f9641a4418d04c0414aeff08876b34ab56"},
	};

	(void)state;
	for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
		struct secret key, expected;
		size_t size;

		from_hex(cases[i].key, expected.bytes, sizeof expected.bytes, &size);
		pbkdf2_derive(cases[i].passphrase, strlen(cases[i].passphrase),
			      (const uint8_t *)cases[i].salt, strlen(cases[i].salt),
			      cases[i].rounds, &key);
		assert_memory_equal(&key, &expected, sizeof key);
	}
}

/* Test cases 13 to 15 of McGrew and Viega's specification of GCM. */
static const struct {
	const char *key, *nonce, *text, *box;
} gcm_cases[] = {
	{"0000000000000000000000000000000000000000000000000000000000000000",
	 "000000000000000000000000", "", "530f8afbc74536b9a963b4f1c4cb738b"},
	{"0000000000000000000000000000000000000000000000000000000000000000",
	 "000000000000000000000000", "00000000000000000000000000000000",
	 "cea7403d4d606b6e074ec5d3baf39d18d0d1c8a799996bf0265b98b5d48ab919"},
	{"feffe9928665731c6d6a8f9467308308feffe9928665731c6d6a8f9467308308",
	 "cafebabefacedbaddecaf888",
	 "d9313225f88406e5a55909c5aff5269a86a7a9531534f7da2e4c303d8a318a72"
	 "1c3c0c95956809532fcf0e2449a6b525b16aedf5aa0de657ba637b391aafd255",
	 "522dc1f099567d07f47f37a32a84427d643a8cdcbfe5c0c97598a2bd2555d1aa"
	 "8cb08e48590dbb3da7b08b1056828838c5f61e6393ba7a0abcc9f662898015ad"
	 "b094dac5d93471bdec1a502270e3cc6c"},
};

static void test_gcm_is_that_of_the_specification(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof gcm_cases / sizeof gcm_cases[0]; i++) {
		uint8_t nonce[GCM_NONCE_SIZE], text[64], expected[80], box[80] = {0}, again[64];
		size_t size, box_size, n;
		struct secret key;

		from_hex(gcm_cases[i].key, key.bytes, sizeof key.bytes, &n);
		from_hex(gcm_cases[i].nonce, nonce, sizeof nonce, &n);
		from_hex(gcm_cases[i].text, text, sizeof text, &size);
		from_hex(gcm_cases[i].box, expected, sizeof expected, &box_size);
		assert_int_equal(box_size, size + GCM_TAG_SIZE);
		gcm_seal(&key, nonce, text, size, box);
		assert_memory_equal(box, expected, box_size);
		assert_int_equal(gcm_open(&key, nonce, box, box_size, again), 0);
		assert_memory_equal(again, text, size);
	}
}

/* A stack of our own, to be looked at afterwards. */
static uint8_t stack[1 << 18] __attribute__((aligned(4096)));
static uint8_t stack_box[80];

static void run_on_stack(void *(*function)(void *))
{
	pthread_attr_t attributes;
	pthread_t thread;

	assert_int_equal(pthread_attr_init(&attributes), 0);
	assert_int_equal(pthread_attr_setstack(&attributes, stack, sizeof stack), 0);
	assert_int_equal(pthread_create(&thread, &attributes, function, NULL), 0);
	assert_int_equal(pthread_join(thread, NULL), 0);
	pthread_attr_destroy(&attributes);
}

static void *seal_and_open(void *argument)
{
	uint8_t nonce[GCM_NONCE_SIZE], text[64];
	struct secret key;
	size_t size, n;

	(void)argument;
	from_hex(gcm_cases[2].key, key.bytes, sizeof key.bytes, &n);
	from_hex(gcm_cases[2].nonce, nonce, sizeof nonce, &n);
	from_hex(gcm_cases[2].text, text, sizeof text, &size);
	gcm_seal(&key, nonce, text, size, stack_box);
	sodium_memzero(text, sizeof text);
	assert_int_equal(gcm_open(&key, nonce, stack_box, size + GCM_TAG_SIZE, text), 0);
	sodium_memzero(text, sizeof text);
	secret_wipe(&key);
	return NULL;
}

static void assert_not_on_stack(const uint8_t *bytes, size_t size)
{
	for (size_t at = 0; at + size <= sizeof stack; at++)
		assert_false(memcmp(stack + at, bytes, size) == 0);
}

/* Neither the key nor what the text and the tag were combined with, with which whoever has the box
 * has the text. */
static void test_gcm_leaves_no_secret_on_the_stack(void **state)
{
	/* The key's block of zeros, and the specification's mask of the tag. */
	static const char *const secrets[] = {"acbef20579b4b8ebce889bac8732dad7",
					      "fd2caa16a5832e76aa132c1453eeda7e"};
	uint8_t text[64], key[32], secret[16];
	size_t size, n;

	(void)state;
	run_on_stack(seal_and_open);
	for (size_t i = 0; i < sizeof secrets / sizeof secrets[0]; i++) {
		from_hex(secrets[i], secret, sizeof secret, &n);
		assert_not_on_stack(secret, sizeof secret);
	}
	from_hex(gcm_cases[2].key, key, sizeof key, &n);
	assert_not_on_stack(key, sizeof key / 2);
	from_hex(gcm_cases[2].text, text, sizeof text, &size);
	for (size_t at = 0; at < size; at += 16) {
		for (size_t i = 0; i < sizeof secret; i++)
			secret[i] = text[at + i] ^ stack_box[at + i];
		assert_not_on_stack(secret, sizeof secret);
	}
}

static void test_gcm_takes_nothing_that_was_changed(void **state)
{
	static const uint8_t nonce[GCM_NONCE_SIZE] = {7}, text[21] = "what nobody may know";
	uint8_t box[sizeof text + GCM_TAG_SIZE], opened[sizeof text];
	struct secret key = {{1, 2, 3}};

	(void)state;
	gcm_seal(&key, nonce, text, sizeof text, box);
	memset(opened, 0, sizeof opened);
	for (size_t bit = 0; bit < 8 * sizeof box; bit++) {
		box[bit / 8] ^= (uint8_t)(1 << bit % 8);
		assert_int_equal(gcm_open(&key, nonce, box, sizeof box, opened), -EBADMSG);
		box[bit / 8] ^= (uint8_t)(1 << bit % 8);
	}
	for (size_t size = 0; size < sizeof box; size++)
		assert_int_equal(gcm_open(&key, nonce, box, size, opened), -EBADMSG);
	assert_true(sodium_is_zero(opened, sizeof opened));
	assert_int_equal(gcm_open(&key, nonce, box, sizeof box, opened), 0);
	assert_memory_equal(opened, text, sizeof text);
}

static const char key_text[] = "knocktail2 bar AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=\n"
			       "expires 2027-01-01\n";
static const char passphrase[] = "correct horse battery st\u00e4ple";

/* Made by Node's WebCrypto, with the bytes 0 to 27 as salt and nonce. */
static const char sealed_line[] =
	"knocktail2-sealed 600000 AAECAwQFBgcICQoLDA0ODw== EBESExQVFhcYGRob "
	"DGURbX1xrhOou6cPOvFwDfnK5mcvNbkChsL14Lap9DdFIf3uUTVvlHkBqmo1jHxWo3B5LZ4kcCwgU5oTtysunHhX"
	"vUotfD2S11UbSjMTha9hZBFwthwlwmnYFG9lg1E=";
static const char open_line[] =
	"knocktail2-open "
	"a25vY2t0YWlsMiBiYXIgQUFFQ0F3UUZCZ2NJQ1FvTERBME9EeEFSRWhNVUZSWVhHQmthR3h3ZEhoOD0KZXhwaXJl"
	"cyAyMDI3LTAxLTAxCg==";

static int read_line(const char *line, const char *with, char text[static KEY_FILE_MAX],
		     size_t *size)
{
	return sealed_line_read(line, strlen(line), with, strlen(with), text, size);
}

static void test_a_line_is_what_webcrypto_makes_of_it(void **state)
{
	uint8_t random[SEALED_RANDOM_SIZE];
	char line[SEALED_LINE_MAX + 1], text[KEY_FILE_MAX];
	size_t size = 0;

	(void)state;
	for (size_t i = 0; i < sizeof random; i++)
		random[i] = (uint8_t)i;
	sealed_line_format(key_text, strlen(key_text), passphrase, strlen(passphrase), random,
			   line);
	assert_string_equal(line, sealed_line);
	open_line_format(key_text, strlen(key_text), line);
	assert_string_equal(line, open_line);

	assert_int_equal(read_line(sealed_line, passphrase, text, &size), 0);
	assert_int_equal(size, strlen(key_text));
	assert_memory_equal(text, key_text, size);
	assert_int_equal(read_line(sealed_line, "correct horse", text, &size), -EBADMSG);
	assert_int_equal(read_line(open_line, "", text, &size), 0);
	assert_memory_equal(text, key_text, size);
	assert_true(sealed_line_is_sealed(sealed_line, strlen(sealed_line)));
	assert_false(sealed_line_is_sealed(open_line, strlen(open_line)));
}

static void *format_line(void *argument)
{
	static const uint8_t random[SEALED_RANDOM_SIZE];
	char line[SEALED_LINE_MAX + 1];

	(void)argument;
	sealed_line_format(key_text, strlen(key_text), passphrase, strlen(passphrase), random,
			   line);
	return NULL;
}

static void *read_sealed_line(void *argument)
{
	char text[KEY_FILE_MAX];
	size_t size;

	(void)argument;
	assert_int_equal(read_line(sealed_line, passphrase, text, &size), 0);
	return NULL;
}

/* What the passphrase has become. */
static void test_a_line_leaves_no_key_on_the_stack(void **state)
{
	uint8_t salt[SEALED_SALT_SIZE] = {0};
	struct secret key;

	(void)state;
	run_on_stack(format_line);
	pbkdf2_derive(passphrase, strlen(passphrase), salt, sizeof salt, SEALED_ROUNDS, &key);
	assert_not_on_stack(key.bytes, sizeof key.bytes / 2);
	run_on_stack(read_sealed_line);
	for (size_t i = 0; i < sizeof salt; i++)
		salt[i] = (uint8_t)i;
	pbkdf2_derive(passphrase, strlen(passphrase), salt, sizeof salt, SEALED_ROUNDS, &key);
	assert_not_on_stack(key.bytes, sizeof key.bytes / 2);
}

static void test_the_longest_text_has_room(void **state)
{
	static const uint8_t random[SEALED_RANDOM_SIZE];
	char line[SEALED_LINE_MAX + 1], text[KEY_FILE_MAX], again[KEY_FILE_MAX];
	size_t size = 0;

	(void)state;
	memset(text, 'k', sizeof text);
	sealed_line_format(text, sizeof text, "p", 1, random, line);
	assert_int_equal(read_line(line, "p", again, &size), 0);
	assert_int_equal(size, sizeof text);
	assert_memory_equal(again, text, sizeof text);
}

#define SALT  "AAECAwQFBgcICQoLDA0ODw=="
#define NONCE "EBESExQVFhcYGRob"
#define BOX   "DGURbX1xrhOou6cPOvFwDQ=="

static void test_anything_else_is_not_a_line(void **state)
{
	static const char *const wrong[] = {
		"",
		"knocktail2-sealed",
		"knocktail2-sealed ",
		"knocktail2-sealed 0 " SALT " " NONCE " " BOX,
		"knocktail2-sealed 10000001 " SALT " " NONCE " " BOX,
		"knocktail2-sealed 4294967297 " SALT " " NONCE " " BOX,
		"knocktail2-sealed 1e3 " SALT " " NONCE " " BOX,
		"knocktail2-sealed 1 AAECAwQFBgcICQoLDA0O " NONCE " " BOX,
		"knocktail2-sealed 1 " SALT " EBESExQVFhcYGQ== " BOX,
		"knocktail2-sealed 1 " SALT " " NONCE " DGURbX1xrhOou6cPOvFw",
		"knocktail2-sealed 1 " SALT " " NONCE,
		"knocktail2-sealed 1 " SALT " " NONCE " " BOX " AA==",
		"knocktail2-open a",
		"knocktail2-open AA== AA==",
		"knocktail2-other AA==",
	};
	char text[KEY_FILE_MAX];
	size_t size;

	(void)state;
	assert_int_equal(
		read_line("knocktail2-sealed 00000001 " SALT " " NONCE " " BOX, "p", text, &size),
		-EBADMSG);
	for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++)
		assert_int_equal(read_line(wrong[i], "p", text, &size), -EINVAL);
}

static void test_a_line_is_found_in_a_page(void **state)
{
	char file[2000];
	const char *found;
	size_t length;

	(void)state;
	snprintf(file, sizeof file,
		 "<meta content=\"%s\">\n<script>\"knocktail2-sealed \"</script>", open_line);
	assert_true(sealed_line_find(file, strlen(file), &found, &length));
	assert_int_equal(length, strlen(open_line));
	assert_memory_equal(found, open_line, length);
	assert_true(sealed_line_find(sealed_line, strlen(sealed_line), &found, &length));
	assert_int_equal(length, strlen(sealed_line));
	snprintf(file, sizeof file, "%s\n", sealed_line);
	assert_true(sealed_line_find(file, strlen(file), &found, &length));
	assert_int_equal(length, strlen(sealed_line));
	assert_false(sealed_line_find(key_text, strlen(key_text), &found, &length));
	assert_false(sealed_line_find("", 0, &found, &length));
	assert_false(sealed_line_find("knocktail2-sealed", 17, &found, &length));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_pbkdf2_is_that_of_the_rfc),
		cmocka_unit_test(test_gcm_is_that_of_the_specification),
		cmocka_unit_test(test_gcm_leaves_no_secret_on_the_stack),
		cmocka_unit_test(test_gcm_takes_nothing_that_was_changed),
		cmocka_unit_test(test_a_line_is_what_webcrypto_makes_of_it),
		cmocka_unit_test(test_a_line_leaves_no_key_on_the_stack),
		cmocka_unit_test(test_the_longest_text_has_room),
		cmocka_unit_test(test_anything_else_is_not_a_line),
		cmocka_unit_test(test_a_line_is_found_in_a_page),
	};

	return sodium_init() < 0 ? 99 : cmocka_run_group_tests(tests, NULL, NULL);
}
