/* One grant's life, step by step, for the test that has each of its system calls fail.
 *
 *   grant-steps DIRECTORY BACKEND T0 STEP...
 *
 * DIRECTORY holds the records and whatever a command does. T0 is the time of the first knock, in
 * microseconds; the steps have fixed times after that. Each step is enclosed in two calls of
 * getppid(), and its news are printed, a word each. */
#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "core/address.h"
#include "core/door.h"
#include "core/visitor.h"
#include "firewall/firewall.h"
#include "grant/grants.h"

#define S UINT64_C(1000000)

enum { TIMEOUT_S = 60, ROUNDS_MAX = 1000 };

static struct door door = {
	.name = "ssh",
	.timeout_us = TIMEOUT_S * S,
	.max_open = 10,
	.opening.entry = (char *)"%IP%",
	.opening.ports = {.n_ranges = 1, .ranges = {{22, 22, 6}}},
	.opening.chain = (char *)"KNOCKTAIL",
};

static const struct address source = {
	{0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff, 192, 0, 2, 1},
};

static void on_news(void *userdata, const struct event *event)
{
	static const char *const words[] = {
		[EVENT_OPENED] = "opened",
		[EVENT_RENEWED] = "renewed",
		[EVENT_CLOSED] = "closed",
		[EVENT_REFUSED] = "refused",
		[EVENT_CLOSE_FAILED] = "close-failed",
		[EVENT_ADOPTED] = "adopted",
		[EVENT_RESTORED] = "restored",
		[EVENT_MISSING] = "missing",
		[EVENT_LOST] = "lost",
		[EVENT_STALE] = "stale",
		[EVENT_UNREADABLE] = "unreadable",
	};

	(void)userdata;
	printf("%s\n", words[event->kind]);
	fflush(stdout);
}

static const struct door *find_door(void *userdata, const char *name, const char *user,
				    const struct key_id *key)
{
	(void)userdata;
	(void)user;
	(void)key;
	return strcmp(name, door.name) == 0 ? &door : NULL;
}

/* Lets commands end. */
static void settle(struct grants *grants, uint64_t now_us)
{
	for (int i = 0; i < ROUNDS_MAX; i++) {
		grants_run(grants, now_us);
		if (firewall_next_us(grants_firewall(grants)) == UINT64_MAX)
			return;
		poll(&(struct pollfd){.fd = grants_fd(grants), .events = POLLIN}, 1, 100);
	}
}

/* Lets time pass until nothing is open, or for a few minutes. */
static void wait_empty(struct grants *grants, uint64_t now_us)
{
	uint64_t end_us = now_us + 300 * S;

	settle(grants, now_us);
	while (grants_count(grants) > 0 && now_us < end_us) {
		uint64_t next_us = grants_next_us(grants);

		now_us = next_us > now_us && next_us < end_us ? next_us : now_us + S;
		settle(grants, now_us);
	}
}

static void run_step(struct grants *grants, const char *step, uint64_t t0_us)
{
	const struct visitor visitor = {.source = source};
	static uint64_t deadline_us;

	if (deadline_us == 0)
		deadline_us = t0_us + door.timeout_us;
	if (strcmp(step, "open") == 0) {
		grants_open(grants, &door, &visitor, t0_us);
		settle(grants, t0_us);
	} else if (strcmp(step, "inherit") == 0) {
		grants_inherit(grants, find_door, NULL, t0_us + S);
		settle(grants, t0_us + S);
	} else if (strcmp(step, "renew") == 0) {
		grants_open(grants, &door, &visitor, t0_us + 2 * S);
		deadline_us += 2 * S;
		settle(grants, t0_us + 2 * S);
	} else if (strcmp(step, "survey") == 0) {
		settle(grants, t0_us + 4 * S);
		settle(grants, t0_us + 5 * S);
	} else if (strcmp(step, "suspend") == 0) {
		grants_suspend(grants, t0_us + 6 * S);
		settle(grants, t0_us + 6 * S);
	} else if (strcmp(step, "end") == 0) {
		wait_empty(grants, deadline_us);
	} else {
		fprintf(stderr, "unknown step %s\n", step);
		exit(2);
	}
}

static int set_backend(const char *name, char *mark)
{
	static char *start[] = {(char *)"/usr/bin/touch", NULL, NULL};
	static char *stop[] = {(char *)"/usr/bin/rm", (char *)"-f", NULL, NULL};

	start[1] = stop[2] = mark;
	door.opening.start_command[FAMILY_IPV4] = start;
	door.opening.stop_command[FAMILY_IPV4] = stop;
	door.opening.set[FAMILY_IPV4] = (char *)"knock";
	if (strcmp(name, "ipset") == 0)
		door.opening.backend = BACKEND_IPSET;
	else if (strcmp(name, "iptables") == 0)
		door.opening.backend = BACKEND_IPTABLES;
	else if (strcmp(name, "command") == 0)
		door.opening.backend = BACKEND_COMMAND;
	else if (strcmp(name, "nft") == 0)
		door.opening.backend = BACKEND_NFT;
	else
		return -1;
	if (door.opening.backend == BACKEND_NFT)
		door.opening.set[FAMILY_IPV4] = (char *)"ip lab knock";
	return 0;
}

int main(int argc, char *argv[])
{
	char records[512], mark[512];
	struct grants_options options = {
		.directory = records,
		.boot_id = "11111111111111111111111111111111",
		.on_event = on_news,
	};
	struct grants *grants;
	uint64_t t0_us;
	int r;

	if (argc < 5 || strlen(argv[1]) > 480)
		return 2;
	snprintf(records, sizeof records, "%s/grants", argv[1]);
	snprintf(mark, sizeof mark, "%s/mark", argv[1]);
	t0_us = strtoull(argv[3], NULL, 10);
	if (set_backend(argv[2], mark) < 0)
		return 2;
	getppid();
	r = grants_new(&options, &grants);
	getppid();
	if (r < 0)
		return 1;
	for (int i = 4; i < argc; i++) {
		getppid();
		run_step(grants, argv[i], t0_us);
		getppid();
	}
	return 0;
}
