#include "daemon/keyed/expected-set.h"

#include <errno.h>
#include <stdlib.h>

#include "core/keyed/expected.h"
#include "firewall/firewall.h"
#include "util/log.h"

/* How often the set is looked at, and how many ports are put in at once: what is left waits for the
 * next second. */
enum { LOOK_S = 5, BATCH_MAX = 1024 };

enum { ANY_PORT = 1024 };

/* What `error` is before the set was looked at, and while it is not used. */
enum { NOT_LOOKED = 1, NOT_USED = 2 };

struct expected_set {
	struct firewall *firewall;
	const char *name;
	struct expected_ports *ports;
	int error;    /* 0: the set is as it should be; negative: what is wrong with it */
	int reported; /* what was reported last; 0: nothing wrong */
	uint64_t now_s, looked_s;
	uint16_t witness; /* the port that is good for longest */
	uint64_t witness_until_s;
	struct firewall_port batch[BATCH_MAX];
};

struct expected_set *expected_set_new(struct firewall *firewall)
{
	struct expected_set *set = calloc(1, sizeof *set);

	if (!set)
		return NULL;
	set->firewall = firewall;
	set->error = NOT_USED;
	return set;
}

struct expected_set *expected_set_free(struct expected_set *set)
{
	free(set);
	return NULL;
}

void expected_set_aim(struct expected_set *set, const char *name, struct expected_ports *ports)
{
	size_t n = expected_ports_count(ports);

	set->name = name;
	set->ports = ports;
	set->looked_s = 0;
	set->witness = ANY_PORT;
	set->witness_until_s = 0;
	set->error = NOT_LOOKED;
	set->reported = 0;
	if (n > EXPECTED_MAX)
		log_line(LOG_WARNING,
			 "expected ports: up to %zu, more than a tenth of all: the set %s is %s, "
			 "and the rules have to log knocks within their limits by source "
			 "(knocktail rules)",
			 n, name, n > EXPECTED_KEPT_MAX ? "not used" : "still kept up to a fifth");
	if (n == 0 || n > EXPECTED_KEPT_MAX)
		set->error = NOT_USED;
}

static void expected_set_fail(struct expected_set *set, int error)
{
	if (error != set->reported)
		log_line(LOG_WARNING,
			 "expected ports: %s; as long as that is so, keyed knocks are seen as far "
			 "as the rules log them without it (knocktail rules)",
			 firewall_problem(set->firewall));
	set->error = set->reported = error;
}

static void expected_set_succeed(struct expected_set *set)
{
	if (set->reported < 0)
		log_line(LOG_NOTICE, "expected ports: they are in the set %s now", set->name);
	set->reported = 0;
}

/* Others empty the set, or make it again: then what was put into it is not there any more. */
static void expected_set_look(struct expected_set *set)
{
	int r = 0;

	set->looked_s = set->now_s;
	if (set->error == 0) {
		r = firewall_has_port(set->firewall, set->name, set->witness);
		if (r == 0 || set->witness_until_s <= set->now_s + 1)
			return;
	}
	/* This costs more, and changes nothing in a set of another kind. */
	if (r != -ENOENT)
		r = firewall_check_ports(set->firewall, set->name);
	if (r < 0) {
		expected_set_fail(set, r);
		return;
	}
	set->error = 0;
	set->witness_until_s = 0;
	expected_ports_repeat(set->ports);
}

/* How many ports are in the batch; the port that is good for longest. */
static size_t expected_set_fill_batch(struct expected_set *set, uint16_t *ret_last,
				      uint64_t *ret_until_s)
{
	uint64_t until_s;
	uint16_t port;
	size_t n = 0;

	for (; n < BATCH_MAX && expected_ports_next(set->ports, &port, &until_s); n++) {
		set->batch[n] = (struct firewall_port){port, (uint32_t)(until_s - set->now_s)};
		if (n > 0 && until_s <= *ret_until_s)
			continue;
		*ret_last = port;
		*ret_until_s = until_s;
	}
	return n;
}

void expected_set_update(struct expected_set *set)
{
	uint64_t until_s = 0;
	uint16_t last = 0;
	size_t n;
	int r;

	/* Otherwise it all waits until the set is there. */
	n = set->error == 0 ? expected_set_fill_batch(set, &last, &until_s) : 0;
	if (n == 0)
		return;
	/* The witness is about to be another one: is it still there? */
	if (set->looked_s != set->now_s)
		expected_set_look(set);
	if (set->error < 0)
		return;
	r = firewall_put_ports(set->firewall, set->name, set->batch, n);
	if (r < 0) {
		expected_set_fail(set, r);
		return;
	}
	expected_set_succeed(set);
	if (until_s > set->witness_until_s) {
		set->witness = last;
		set->witness_until_s = until_s;
	}
}

void expected_set_tend(struct expected_set *set, uint64_t unix_s)
{
	if (set->error == NOT_USED)
		return;
	if (unix_s < set->now_s)
		set->looked_s = set->witness_until_s = 0;
	set->now_s = unix_s;
	expected_ports_move(set->ports, unix_s);
	if (unix_s >= set->looked_s + LOOK_S)
		expected_set_look(set);
	expected_set_update(set);
}
