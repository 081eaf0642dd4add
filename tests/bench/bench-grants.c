/* How many grants a second: opens, renews and closes as many as asked for, each with its record on
 * disk, and puts them back after a flush, through the real ipset and nft of a network namespace of
 * its own; and what it costs to ask the firewall for them now and then. Needs root.
 *
 * Usage: bench-grants [GRANTS] */
#include <sched.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "core/door.h"
#include "core/visitor.h"
#include "grant/grants.h"
#include "support.h"

#define US_PER_S UINT64_C(1000000)

enum { SURVEY_S = 15 };

static const char boot_id[] = "00000000000000000000000000000000";

static void ignore_news(void *userdata, const struct event *event)
{
	(void)userdata;
	(void)event;
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
			grants_open(grants, door, &(struct visitor){.source = source}, now_us);
	}
}

static void print_rate(const char *backend, const char *what, unsigned n, double start)
{
	printf("%-8s %-8s %8u grants %10.0f a second\n", backend, what, n,
	       n / (seconds_now() - start));
}

/* One round after the other, without a pause, for as long as there is something to do now. */
static void restore(const char *backend, struct grants *grants, unsigned n, uint64_t now_us)
{
	double start = seconds_now(), longest = 0;

	do {
		double round = seconds_now();

		grants_run(grants, now_us);
		round = seconds_now() - round;
		longest = round > longest ? round : longest;
	} while (grants_next_us(grants) <= now_us);
	print_rate(backend, "restore", n, start);
	printf("%-8s the longest round took %.1f ms\n", backend, longest * 1e3);
}

/* A while in which nothing happens. The kernel counts the time as well, so it is real. */
static void survey(const char *backend, struct grants *grants, uint64_t now_us)
{
	double start = seconds_now(), elapsed;
	clock_t used = clock();

	while ((elapsed = seconds_now() - start) < SURVEY_S) {
		uint64_t at_us = now_us + (uint64_t)(elapsed * 1e6);
		uint64_t next_us;

		grants_run(grants, at_us);
		next_us = grants_next_us(grants);
		usleep(next_us <= at_us		  ? 1
		       : next_us < at_us + 500000 ? (unsigned)(next_us - at_us)
						  : 500000);
	}
	printf("%-8s asking takes %.2f %% of a processor\n", backend,
	       100.0 * (double)(clock() - used) / CLOCKS_PER_SEC / SURVEY_S);
}

static struct grants *new_grants(const char *directory)
{
	struct grants *grants;

	if (grants_new(&(struct grants_options){directory, boot_id, ignore_news, NULL}, &grants) <
	    0)
		abort();
	return grants;
}

static void run(const char *backend, const struct door *door, unsigned n, int (*flush)(void))
{
	char *directory = support_directory();
	struct grants *grants = new_grants(directory);
	double start = seconds_now();

	knock_all(grants, door, n, 0);
	if (grants_count(grants) != n)
		printf("%s: only %zu opened\n", backend, grants_count(grants));
	print_rate(backend, "open", n, start);
	start = seconds_now();
	knock_all(grants, door, n, US_PER_S);
	print_rate(backend, "renew", n, start);
	start = seconds_now();
	grants_run(grants, 2 * US_PER_S);
	print_rate(backend, "ask", n, start);
	survey(backend, grants, 2 * US_PER_S);
	if (flush() == 0)
		restore(backend, grants, n, 100 * US_PER_S);
	start = seconds_now();
	while (grants_count(grants) > 0)
		grants_run(grants, 3600 * US_PER_S);
	print_rate(backend, "close", n, start);
	grants_free(grants);
	support_remove(directory);
}

/* One grant in a set that others have filled. */
static void run_crowded(const char *backend, const struct door *door)
{
	char *directory = support_directory();
	struct grants *grants = new_grants(directory);

	knock_all(grants, door, 1, 0);
	survey(backend, grants, 0);
	while (grants_count(grants) > 0)
		grants_run(grants, 3600 * US_PER_S);
	grants_free(grants);
	support_remove(directory);
}

static int run_nft(const char *command)
{
	char *const argv[] = {(char *)"/usr/sbin/nft", (char *)command, NULL};

	return support_run(argv, NULL, NULL);
}

static int flush_ipset(void)
{
	return support_ipset("flush");
}

static int flush_nft(void)
{
	return run_nft("flush set inet bench bench") != 0 ? -1
							  : run_nft("flush set inet bench port");
}

static bool make_sets(void)
{
	return support_ipset("create bench hash:ip timeout 0") == 0 &&
	       support_ipset("create port hash:ip,port timeout 0") == 0 &&
	       run_nft("add table inet bench") == 0 &&
	       run_nft("add set inet bench bench { type ipv4_addr; flags timeout; }") == 0 &&
	       run_nft("add set inet bench port { type ipv4_addr . inet_service; "
		       "flags timeout; }") == 0;
}

/* With many elements that are none of ours. */
static bool door_count_sets(const char *directory)
{
	enum { N = 60000 };
	char *path = support_path(directory, "commands");
	char *const nft[] = {(char *)"/usr/sbin/nft", (char *)"-f", (char *)"-", NULL};
	char *const ipset[] = {(char *)"/usr/sbin/ipset", (char *)"restore", NULL};
	FILE *file = fopen(path, "we");
	bool done;

	if (!file)
		return false;
	for (unsigned i = 0; i < N; i++)
		fprintf(file, "add bench 172.16.%u.%u\n", i >> 8, i & 255);
	fclose(file);
	done = support_run(ipset, path, NULL) == 0;
	file = fopen(path, "we");
	if (!file)
		return false;
	fputs("add element inet bench bench { 172.16.0.0", file);
	for (unsigned i = 1; i < N; i++)
		fprintf(file, ", 172.16.%u.%u", i >> 8, i & 255);
	fputs(" }\n", file);
	fclose(file);
	done = done && support_run(nft, path, NULL) == 0;
	free(path);
	return done;
}

int main(int argc, char *argv[])
{
	static const struct {
		const char *name;
		enum backend_kind backend;
		const char *set, *entry;
		int (*flush)(void);
	} cases[] = {
		{"ipset", BACKEND_IPSET, "bench", "%IP%", flush_ipset},
		{"ipset", BACKEND_IPSET, "port", "%IP%,tcp:ssh", flush_ipset},
		{"nft", BACKEND_NFT, "inet bench bench", "%IP%", flush_nft},
		{"nft", BACKEND_NFT, "inet bench port", "%IP% . ssh", flush_nft},
	};
	unsigned n = argc > 1 ? (unsigned)strtoul(argv[1], NULL, 10) : 10000;
	struct door door = {
		.name = "bench",
		.timeout_us = 600 * US_PER_S,
		.max_open = UINT32_MAX,
	};
	char *directory;

	if (n == 0 || n > 60000 || unshare(CLONE_NEWNET) < 0 || !make_sets()) {
		fputs("bench-grants: needs root, ipset and nft, and 1 to 60000 grants\n", stderr);
		return EXIT_FAILURE;
	}
	for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
		door.opening.backend = cases[i].backend;
		door.opening.set[FAMILY_IPV4] = (char *)cases[i].set;
		door.opening.entry = (char *)cases[i].entry;
		printf("%s, entry = %s\n", cases[i].name, cases[i].entry);
		run(cases[i].name, &door, n, cases[i].flush);
	}
	directory = support_directory();
	if (!door_count_sets(directory))
		fputs("bench-grants: cannot fill the sets\n", stderr);
	puts("one grant among 60000 other elements");
	for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i += 2) {
		door.opening.backend = cases[i].backend;
		door.opening.set[FAMILY_IPV4] = (char *)cases[i].set;
		door.opening.entry = (char *)cases[i].entry;
		run_crowded(cases[i].name, &door);
	}
	support_remove(directory);
	return EXIT_SUCCESS;
}
