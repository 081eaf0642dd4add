/* What a peer sends is passed on as far as it is in order. */
#include "daemon/bus/framing.h"

#include <errno.h>
#include <string.h>

#include "cmocka-all.h"

static const char hello[] = "\0AUTH EXTERNAL\r\nDATA\r\nBEGIN\r\n";

enum { HELLO = sizeof hello - 1 };

/* Feeds `step` bytes at a time; what was in order until the hello ended or something was not. */
static ssize_t feed(struct framing *framing, const void *bytes, size_t n, size_t step)
{
	size_t done = 0;

	while (done < n) {
		size_t part = n - done < step ? n - done : step;
		ssize_t r = framing_feed(framing, (const uint8_t *)bytes + done, part);

		if (r < 0)
			return r;
		done += (size_t)r;
		if ((size_t)r < part)
			break;
	}
	return (ssize_t)done;
}

static struct framing greeted(void)
{
	return (struct framing){.greeted = true};
}

static void test_the_hello_ends_with_begin(void **state)
{
	char bytes[HELLO + 5];

	(void)state;
	memcpy(bytes, hello, HELLO);
	memcpy(bytes + HELLO, "l\1\2\3\4", 5);
	for (size_t step = 1; step <= sizeof bytes; step++) {
		struct framing framing = {0};

		assert_int_equal(feed(&framing, bytes, HELLO, step), HELLO);
		assert_true(framing.greeted);
		framing = (struct framing){0};
		assert_int_equal(framing_feed(&framing, (uint8_t *)bytes, sizeof bytes), HELLO);
	}
}

/* As sd-bus has it: a line ends with CR LF, and nothing else may be in it. */
static void test_what_does_not_end_the_hello(void **state)
{
	static const char *const lines[] = {
		"BEGIN\n",     "XBEGIN\r\n",  "BEGINX\r\n",  "BEGIN \r\n", "begin\r\n",
		"\nBEGIN\r\n", "\rBEGIN\r\n", "BEGIN\r\r\n", "BEGIN\r \n", "BEGI\r\nN\r\n",
	};

	(void)state;
	for (size_t i = 0; i < sizeof lines / sizeof lines[0]; i++) {
		struct framing framing = {0};
		size_t n = strlen(lines[i]);

		assert_int_equal(feed(&framing, "\0AUTH\r\n", 7, 7), 7);
		assert_int_equal(feed(&framing, lines[i], n, n), n);
		assert_false(framing.greeted);
		assert_int_equal(feed(&framing, "X\r\nBEGIN\r\n", 10, 10), 10);
		assert_true(framing.greeted);
	}
}

static void test_a_hello_without_end(void **state)
{
	struct framing framing = {0};
	char bytes[FRAMING_HELLO_MAX];

	(void)state;
	memset(bytes, '\n', sizeof bytes);
	assert_int_equal(feed(&framing, bytes, sizeof bytes, 100), sizeof bytes);
	assert_int_equal(feed(&framing, bytes, 1, 1), -EMSGSIZE);
}

/* A message with so many bytes of fields and of body. */
static size_t make(uint8_t *bytes, char endian, uint32_t fields, uint32_t body)
{
	memset(bytes, 0xff, 16);
	bytes[0] = (uint8_t)endian;
	for (int i = 0; i < 4; i++) {
		int shift = 8 * (endian == 'B' ? 3 - i : i);

		bytes[4 + i] = (uint8_t)(body >> shift);
		bytes[12 + i] = (uint8_t)(fields >> shift);
	}
	return 16 + (fields + 7) / 8 * 8 + body;
}

static void test_messages_follow_each_other(void **state)
{
	uint8_t bytes[3 * FRAMING_MESSAGE_MAX] = {0};
	size_t n = make(bytes, 'l', 1, 0);

	(void)state;
	n += make(bytes + n, 'B', 80, 5);
	n += make(bytes + n, 'l', 0, 0);
	n += make(bytes + n, 'l', 16, FRAMING_MESSAGE_MAX - 32);
	n += make(bytes + n, 'B', 129, 3);
	memset(bytes + n, 'x', 16);
	for (size_t step = 1; step <= 100; step++) {
		struct framing framing = greeted();

		assert_int_equal(feed(&framing, bytes, n, step), n);
		assert_int_equal(feed(&framing, bytes + n, 16, step), -EBADMSG);
	}
}

static void test_a_message_that_is_too_long(void **state)
{
	static const uint32_t lengths[][2] = {
		{16, FRAMING_MESSAGE_MAX - 31},
		{FRAMING_MESSAGE_MAX - 15, 0},
		{8, UINT32_MAX},
		{UINT32_MAX, 8},
		{UINT32_MAX, UINT32_MAX},
		{UINT32_MAX - 7, 0},
	};
	uint8_t bytes[16];

	(void)state;
	for (size_t i = 0; i < sizeof lengths / sizeof lengths[0]; i++) {
		for (int big = 0; big < 2; big++) {
			struct framing framing = greeted();

			make(bytes, big ? 'B' : 'l', lengths[i][0], lengths[i][1]);
			assert_int_equal(feed(&framing, bytes, 15, 4), 15);
			assert_int_equal(feed(&framing, bytes + 15, 1, 1), -EMSGSIZE);
		}
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_the_hello_ends_with_begin),
		cmocka_unit_test(test_what_does_not_end_the_hello),
		cmocka_unit_test(test_a_hello_without_end),
		cmocka_unit_test(test_messages_follow_each_other),
		cmocka_unit_test(test_a_message_that_is_too_long),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
