#include "tap/destination.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netdb.h>
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>

#include "cmocka-all.h"

enum { LIST_MAX = 32 };

/* A list as getaddrinfo() gives one. */
struct list {
	struct addrinfo infos[LIST_MAX];
	struct sockaddr_storage addresses[LIST_MAX];
};

static const struct addrinfo *list_of(struct list *list, const char *const *texts)
{
	size_t n = 0;

	memset(list, 0, sizeof *list);
	for (; texts[n]; n++) {
		struct addrinfo *info = &list->infos[n];
		struct sockaddr_in *in = (struct sockaddr_in *)&list->addresses[n];
		struct sockaddr_in6 *in6 = (struct sockaddr_in6 *)&list->addresses[n];

		assert_true(n < LIST_MAX);
		info->ai_addr = (struct sockaddr *)&list->addresses[n];
		if (strcmp(texts[n], "unix") == 0) {
			info->ai_family = AF_UNIX;
			info->ai_addrlen = 2;
		} else if (strchr(texts[n], ':')) {
			info->ai_family = AF_INET6;
			info->ai_addrlen = sizeof *in6;
			assert_int_equal(inet_pton(AF_INET6, texts[n], &in6->sin6_addr), 1);
		} else {
			info->ai_family = AF_INET;
			info->ai_addrlen = sizeof *in;
			assert_int_equal(inet_pton(AF_INET, texts[n], &in->sin_addr), 1);
		}
		list->addresses[n].ss_family = (sa_family_t)info->ai_family;
		if (n > 0)
			list->infos[n - 1].ai_next = info;
	}
	return n > 0 ? list->infos : NULL;
}

/* The texts of what was picked, joined by blanks. */
static void assert_picked(const char *const *texts, const char *expected)
{
	struct destinations picked;
	struct list list;
	char text[ADDRESS_TEXT_MAX], joined[LIST_MAX * ADDRESS_TEXT_MAX] = "";

	destinations_pick(list_of(&list, texts), false, &picked);
	for (size_t i = 0; i < picked.n; i++) {
		struct address address = destination_address(&picked.items[i]);

		strcat(joined, i > 0 ? " " : "");
		strcat(joined, address_format(&address, text));
	}
	assert_string_equal(joined, expected);
}

#define TEXTS(...) ((const char *const[]){__VA_ARGS__, NULL})

static void test_all_of_the_first_ones_family(void **state)
{
	(void)state;
	assert_picked(TEXTS("192.0.2.1"), "192.0.2.1");
	assert_picked(TEXTS("192.0.2.2", "2001:db8::1", "192.0.2.1"), "192.0.2.2 192.0.2.1");
	assert_picked(TEXTS("2001:db8::2", "192.0.2.2", "2001:db8::1"), "2001:db8::2 2001:db8::1");
	assert_picked(TEXTS("unix", "2001:db8::2"), "2001:db8::2");
	assert_picked(TEXTS("unix"), "");
	assert_picked(&(const char *const){NULL}, "");
}

static void test_each_once(void **state)
{
	(void)state;
	assert_picked(TEXTS("192.0.2.1", "192.0.2.2", "192.0.2.1", "192.0.2.2"),
		      "192.0.2.1 192.0.2.2");
}

static void test_no_more_than_there_is_room_for(void **state)
{
	static const char *texts[LIST_MAX + 1];
	static char buffers[LIST_MAX][ADDRESS_TEXT_MAX];
	struct destinations picked;
	struct list list;

	(void)state;
	for (size_t i = 0; i < LIST_MAX; i++) {
		snprintf(buffers[i], sizeof buffers[i], "192.0.2.%zu", i);
		texts[i] = buffers[i];
	}
	destinations_pick(list_of(&list, texts), false, &picked);
	assert_int_equal(picked.n, DESTINATIONS_MAX);
}

static void test_endpoints(void **state)
{
	static const struct {
		const char *text, *host;
		uint16_t port;
	} cases[] = {
		{"vps:22", "vps", 22},
		{"192.0.2.1:65535", "192.0.2.1", 65535},
		{"2001:db8::1:22", "2001:db8::1", 22}, /* what ssh makes of %h:%p */
		{"[2001:db8::1]:22", "2001:db8::1", 22},
		{"fe80::1%eth0:22", "fe80::1%eth0", 22},
		{"fifteen-letters:1", "fifteen-letters", 1},
		{"vps", NULL, 0},
		{"vps:", NULL, 0},
		{"vps:0", NULL, 0},
		{"vps:65536", NULL, 0},
		{"vps:22x", NULL, 0},
		{"vps:-1", NULL, 0},
		{":22", NULL, 0},
		{"[]:22", NULL, 0},
		{"[:22", NULL, 0},
		{"]:22", NULL, 0},
		{"[[::1]]:22", NULL, 0},
		{"[2001:db8::1:22", NULL, 0},
		{"[2001:db8::1]", NULL, 0},
		{"", NULL, 0},
		{"more-letters-than-there-is-room-for:22", NULL, 0},
	};

	(void)state;
	for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
		char host[20] = "untouched";
		uint16_t port = 0;
		int r = endpoint_parse(cases[i].text, host, sizeof host, &port);

		if (r != (cases[i].host ? 0 : -EINVAL) || port != cases[i].port ||
		    strcmp(host, cases[i].host ? cases[i].host : "untouched") != 0)
			fail_msg("%s: %d, %s, %u", cases[i].text, r, host, port);
	}
}

static void test_an_address_resolves_to_itself(void **state)
{
	struct destinations destinations;
	struct destination at;

	(void)state;
	assert_null(destinations_resolve("::1", AF_UNSPEC, &destinations));
	assert_int_equal(destinations.n, 1);
	assert_int_equal(destinations_family(&destinations), AF_INET6);
	at = destination_at(&destinations.items[0], 8000);
	assert_int_equal(((struct sockaddr_in6 *)&at.socket_address)->sin6_port, htons(8000));
	assert_null(destinations_resolve("127.0.0.1", AF_INET, &destinations));
	assert_int_equal(destinations_family(&destinations), AF_INET);
	assert_non_null(destinations_resolve("127.0.0.1", AF_INET6, &destinations));
}

static void test_what_a_server_sees_of_us(void **state)
{
	static const struct {
		const char *address;
		bool as_it_is;
	} cases[] = {
		{"198.51.100.7", true}, {"9.255.255.255", true},
		{"10.0.0.0", false},	{"10.255.255.255", false},
		{"11.0.0.0", true},	{"100.63.255.255", true},
		{"100.64.0.0", false},	{"100.127.255.255", false},
		{"100.128.0.0", true},	{"127.0.0.1", false},
		{"169.254.1.1", false}, {"172.15.255.255", true},
		{"172.16.0.1", false},	{"172.31.255.255", false},
		{"172.32.0.0", true},	{"192.168.178.20", false},
		{"192.169.0.0", true},	{"0.0.0.0", false},
		{"224.0.0.1", false},	{"255.255.255.255", false},
		{"2001:db8::1", true},	{"fe80::1", true},
		{"::1", true},
	};

	(void)state;
	for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
		struct address address;

		assert_int_equal(address_parse(cases[i].address, &address), 0);
		if (destination_sees(&address) != cases[i].as_it_is)
			fail_msg("%s", cases[i].address);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_all_of_the_first_ones_family),
		cmocka_unit_test(test_each_once),
		cmocka_unit_test(test_no_more_than_there_is_room_for),
		cmocka_unit_test(test_endpoints),
		cmocka_unit_test(test_an_address_resolves_to_itself),
		cmocka_unit_test(test_what_a_server_sees_of_us),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
