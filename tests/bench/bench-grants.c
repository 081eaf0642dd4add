/* How many grants a second: opens, renews and closes as many as asked for, each with its record on
 * disk, through the real ipset and nft of a network namespace of its own. Needs root.
 *
 * Usage: bench-grants [GRANTS] */
#include <sched.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "core/caller.h"
#include "core/door.h"
#include "grant/grant.h"
#include "support.h"

#define US_PER_S UINT64_C(1000000)

static const char boot_id[] = "00000000000000000000000000000000";

static void ignore_news(void *userdata, const struct grant_news *news)
{
	(void)userdata;
	(void)news;
}

static double seconds_now(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (double)now.tv_sec + (double)now.tv_nsec / 1e9;
}

static void knock_all(struct grants *grants, const struct door *door, unsigned n, uint64_t now_us)
{
	for (unsigned i = 0; i < n; i++) {
		struct address source;
		char text[ADDRESS_TEXT_MAX];

		snprintf(text, sizeof text, "10.%u.%u.%u", i >> 16, i >> 8 & 255, i & 255);
		if (address_parse(text, &source) == 0)
			grants_open(grants, door, &(struct caller){.source = source}, now_us);
	}
}

static void print_rate(const char *backend, const char *what, unsigned n, double start)
{
	printf("%-8s %-8s %8u grants %10.0f a second\n", backend, what, n,
	       n / (seconds_now() - start));
}

static void run(const char *backend, const struct door *door, unsigned n)
{
	char *directory = support_directory();
	struct grants *grants;
	double start;

	if (grants_new(&(struct grants_options){directory, boot_id, ignore_news, NULL}, &grants) <
	    0)
		abort();
	start = seconds_now();
	knock_all(grants, door, n, 0);
	if (grants_count(grants) != n)
		printf("%s: only %zu opened\n", backend, grants_count(grants));
	print_rate(backend, "open", n, start);
	start = seconds_now();
	knock_all(grants, door, n, US_PER_S);
	print_rate(backend, "renew", n, start);
	start = seconds_now();
	grants_run(grants, 2 * US_PER_S); /* twice a second the firewall is asked for all */
	print_rate(backend, "ask", n, start);
	start = seconds_now();
	while (grants_count(grants) > 0)
		grants_run(grants, 3600 * US_PER_S);
	print_rate(backend, "close", n, start);
	grants_free(grants);
	support_remove(directory);
}

static bool make_sets(void)
{
	char *const table[] = {(char *)"/usr/sbin/nft", (char *)"add",	 (char *)"table",
			       (char *)"inet",		(char *)"bench", NULL};
	char *const set[] = {(char *)"/usr/sbin/nft",
			     (char *)"add set inet bench bench { type ipv4_addr; flags timeout; }",
			     NULL};

	return support_ipset("create bench hash:ip timeout 0") == 0 &&
	       support_run(table, NULL, NULL) == 0 && support_run(set, NULL, NULL) == 0;
}

int main(int argc, char *argv[])
{
	unsigned n = argc > 1 ? (unsigned)strtoul(argv[1], NULL, 10) : 10000;
	struct door door = {
		.name = "bench",
		.timeout_us = 600 * US_PER_S,
		.max_open = UINT32_MAX,
		.entry = (char *)"%IP%",
	};

	if (n == 0 || n > 60000 || unshare(CLONE_NEWNET) < 0 || !make_sets()) {
		fputs("bench-grants: needs root, ipset and nft, and 1 to 60000 grants\n", stderr);
		return EXIT_FAILURE;
	}
	door.backend = BACKEND_IPSET;
	door.set[FAMILY_IPV4] = (char *)"bench";
	run("ipset", &door, n);
	door.backend = BACKEND_NFT;
	door.set[FAMILY_IPV4] = (char *)"inet bench bench";
	run("nft", &door, n);
	return EXIT_SUCCESS;
}
