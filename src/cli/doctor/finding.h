/* What the doctor knows, and what it finds. */
#pragma once

#include "ruleset/packet.h"
#include "ruleset/port-cuts.h"
#include "ruleset/ruleset.h"

#include <net/if.h>
#include <stddef.h>
#include <stdint.h>

struct config;
struct door;
struct json_object;

/* Unknown: it could not be looked at, or what it depends on could not. */
enum finding { FINDING_OK, FINDING_UNKNOWN, FINDING_WARNING, FINDING_PROBLEM };

/* Where strangers' packets of a family are assumed to come in, and their destination. */
struct doctor_side {
	bool is_there;		     /* this machine has an address that others could reach */
	char interface[IF_NAMESIZE]; /* "": not known */
	struct address address;	     /* of it, if has_address */
	bool has_address;
	bool has_neighbours; /* who have to find it by the address */
};

struct doctor {
	const struct config *config;
	const char *config_path;
	const struct door *only; /* NULL: all doors */
	struct ruleset ruleset;
	struct port_cuts cuts; /* of the ruleset */
	struct doctor_side sides[N_FAMILIES];
	struct surroundings around; /* what forwarded packets meet */
	unsigned max_level;	    /* of what journald stores: 0 to JOURNALD_LEVEL_MAX */
	uint64_t journal_max;	    /* bytes that journald keeps at most; 0: not known */
	const char *journal_bound;  /* by which of its settings */
	uint64_t lines_per_hour;    /* that may be logged of all sources together; 0: not known */
	bool logs_nothing;	    /* the kernel, of this network namespace */
	size_t n_limits_judged;	    /* rules that log, of those that were looked at */
	bool is_blind;		    /* the firewall's rules could not be read */
	bool is_daemon_unseen;	    /* nor whether the daemon runs */
	bool expects;		    /* the set of the expected ports is as it should be */
	bool *lacks_target;	    /* by the doors' numbers; NULL: not known */
	const char *check;	    /* the one that runs */
	char *said;		    /* what it has said last; NULL: nothing */
	bool is_terse;		    /* leaves out what is all right */
	struct json_object
		*findings; /* where findings go instead of being printed; NULL: nowhere */
	size_t n_unknown, n_warnings, n_problems;
	size_t n_said; /* all but FINDING_OK, of the check that runs */
};

/* Says what has been found, with its evidence, and what to do about it (NULL: nothing). What was
 * said just before is not said again, as of tcp and udp. */
__attribute__((format(printf, 4, 5))) void doctor_say(struct doctor *doctor, enum finding finding,
						      const char *advice, const char *format, ...);

/* Whether the door is looked at: all are, unless one was named. */
bool doctor_looks_at(const struct doctor *doctor, const struct door *door);

/* Calls `fn` for each door that is looked at, and each family that it opens for and that this
 * machine has. */
typedef void (*doctor_door_fn)(struct doctor *doctor, const struct door *door, enum family family);
void doctor_each_door(struct doctor *doctor, doctor_door_fn fn);
