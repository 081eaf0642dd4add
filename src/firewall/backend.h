/* What each backend implements, and what a rule holds for it. */
#pragma once

#include "firewall/firewall.h"

#include <stdbool.h>
#include <stdint.h>

struct children;
struct visitor;
struct door;
struct ipset_client;
struct iptables;
struct listing;
struct nft_client;

enum { PROBLEM_MAX = 384 };

/* Commands at the same time; more wait for their turn. Some places are kept for closing. */
enum { FIREWALL_COMMANDS_MAX = 128, FIREWALL_OPENING_MAX = 96 };

struct firewall {
	firewall_done_fn done;
	struct children *children;
	struct ipset_client *ipset; /* each made when first needed */
	struct nft_client *nft;
	struct iptables *iptables;
	char problem[PROBLEM_MAX];
};

struct passage {
	const struct backend *backend;
	char *set;     /* ipset, nft */
	char *element; /* ipset, nft; iptables: the address */
	char *chain;   /* iptables */
	char *comment; /* iptables: "knocktail:DOOR" */
	char **ports;  /* iptables: "tcp 22,443" and the like */
	char **start;  /* command: argument vectors without tokens; NULL: nothing to run */
	char **stop;
};

struct backend {
	const char *name;
	bool expires; /* the kernel keeps the deadline */
	/* Fills in the rule's fields. 0, -ENOMEM, -EAFNOSUPPORT. */
	int (*spell)(const struct door *door, const struct visitor *visitor,
		     struct passage *passage);
	/* As firewall.h has it, with what comes before check(). 0 or a negative errno: `fn` will
	 * not be called for what that says. NULL: check() will do, which waits for nobody. */
	int (*ready)(struct firewall *firewall, const struct door *door, uint64_t now_us,
		     firewall_trouble_fn fn, void *userdata);
	/* As firewall.h has them; `problem` is written on error. One family is checked at a time.
	 */
	int (*check)(struct firewall *firewall, const struct door *door, enum family family);
	int (*open)(struct firewall *firewall, const struct passage *passage, uint64_t left_us,
		    uint64_t now_us, void *owner);
	int (*close)(struct firewall *firewall, const struct passage *passage, uint64_t now_us,
		     void *owner);
	/* Fills in the listing of the rule's place, whose error is -ENOENT if there is no such
	 * place, and sorts it. FIREWALL_DONE, or FIREWALL_PENDING: the backend has taken the
	 * listing over; or a negative errno. NULL: what is open cannot be asked. */
	int (*list)(struct firewall *firewall, const struct passage *passage,
		    struct listing *listing, uint64_t now_us);
	/* What the listing says; PRESENT, SPELLED or ABSENT. */
	enum firewall_answer (*find)(const struct listing *listing, const struct passage *passage,
				     uint64_t *ret_left_us);
	/* Whether a listing that lacks the rule tells that it is not there: it would be shown by
	 * that name. NULL: always. */
	bool (*knows)(const struct listing *listing, const struct passage *passage);
	/* Whether it is in the firewall after all, though no listing shows it by that name. NULL: a
	 * listing tells all. */
	bool (*holds)(struct firewall *firewall, const struct passage *passage);
	bool (*is_whole)(const struct passage *passage);
};

/* A rule that has no more than what tells its place. 0 or -ENOMEM. */
int passage_new_place(const struct passage *passage, struct passage **ret);

extern const struct backend backend_ipset, backend_nft, backend_iptables, backend_command;

const struct backend *backend_of(const struct door *door);

/* Writes the problem and returns `error`. */
__attribute__((format(printf, 3, 4))) int firewall_fail(struct firewall *firewall, int error,
							const char *format, ...);
