/* What the tests of the backends share that keep grants in a set of the kernel: a firewall, what it
 * is asked to do, and what ipset(8) and nft(8) show of it. Whatever goes wrong here fails the test.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "core/door.h"
#include "firewall/firewall.h"
#include "firewall/passage.h"

#define TEXT(literal) ((char *)(literal))

struct fixture {
	struct firewall *firewall;
	char *directory, *input, *listing;
};

/* A firewall, and a directory for what the tools say. */
int sets_begin(struct fixture *fixture);

/* Accepts NULL: the test was skipped. */
void sets_end(struct fixture *fixture);

/* Whether nft(8) works here; if not, the reason is printed. */
bool sets_have_nft(void);

/* What nft(8) makes of the commands. */
int run_nft(const struct fixture *fixture, const char *commands);

struct passage *sets_passage(enum backend_kind backend, const char *set, const char *entry,
			     const char *source);

int open_rule(struct fixture *fixture, const struct passage *passage, uint64_t seconds);
int close_rule(struct fixture *fixture, const struct passage *passage);

/* The answer about a passage, which is given at once, and the seconds that are left of it. The
 * stranger is in another set. */
enum firewall_answer sets_ask(struct fixture *fixture, const struct passage *passage,
			      const struct passage *stranger, unsigned *ret_seconds);

/* Puts ports into a set of them and gives some other times; `left` is how long the set has one. */
void sets_try_ports(struct fixture *fixture, const char *set,
		    long (*left)(struct fixture *fixture, const char *set, const char *element));

/* The seconds left of an element, by ipset(8) itself; -1: it is not in the set. */
long left_in_ipset(struct fixture *fixture, const char *set, const char *element);

/* The seconds left of an element, by nft(8) itself; -1: it is not in the set; 0: it is, for ever
 * (or for no longer than a second). */
long left_in_nft(struct fixture *fixture, const char *set, const char *element);
