/* A door: what one [door NAME] section of the configuration says. Plain data that the stages share.
 */
#pragma once

#include "core/address.h"
#include "core/filter.h"
#include "core/opening/forward.h"
#include "core/opening/ports.h"
#include "core/sequence.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* The backends. Another one is a row here, a file in firewall/, and its keys in config/key.c. */
#define BACKENDS(row)		 row(IPSET, ipset) row(NFT, nft) row(IPTABLES, iptables) row(COMMAND, command)
#define BACKEND_KIND(NAME, name) BACKEND_##NAME,
enum backend_kind { BACKENDS(BACKEND_KIND) N_BACKENDS };
#undef BACKEND_KIND

/* What completes a static knock. */
struct knock {
	struct filter filter;
	struct sequence sequence;
	uint64_t seq_timeout_us; /* from the first probe to the last */
};

/* What opens a door, and what closes it again. Pointers and commands as those of a door. */
struct opening {
	enum backend_kind backend;
	char *set[N_FAMILIES];	    /* ipset: the set's name; nft: "FAMILY TABLE SET" */
	unsigned set_shared;	    /* 1: others put elements into the set as well */
	char *entry;		    /* the element: "%IP%,tcp:22" for ipset, "%IP% . 22" for nft */
	uint8_t prefix[N_FAMILIES]; /* of the source: for what network it opens; 0: the address */
	struct port_set ports;	    /* what is open; nothing: not said (ipset, nft) */
	struct forward forward[N_FAMILIES]; /* where what comes to `ports` is sent on to */
	unsigned masquerade; /* 1: as if from this machine, so that answers come back here */
	unsigned docker;     /* 1: ipset, nft: the ports are those that Docker publishes */
	char *chain;	     /* iptables */
	char **start_command[N_FAMILIES];
	char **stop_command[N_FAMILIES];
};

enum { DOOR_NAME_MAX = 32, USER_NAME_MAX = 32 };

/* The longest that a door stays open: an ipset element lives 2^32 ms at most, and ipset refuses
 * more than half of that. */
enum { DOOR_TIMEOUT_MAX_S = 2147483 };

/* What counts as a knock: bits of door.auth. */
enum { AUTH_SEQUENCE = 1 << 0, AUTH_TOKEN = 1 << 1, AUTH_SPA = 1 << 2 };

/* Whether a token or an SPA knock must name the address that it comes from. What names one is of
 * use to nobody else; behind NAT, the client has to know the outer one. */
enum bind_source { BIND_NO, BIND_OPTIONAL, BIND_YES };

/* All pointers belong to the door and may be NULL. Commands are argument vectors that end in NULL
 * and still hold their placeholders (%IP% and the like). */
struct door {
	char name[DOOR_NAME_MAX + 1]; /* lower case: a-z 0-9 _ - */
	unsigned auth;		      /* AUTH_* */
	struct knock knock;	  /* its sequence and seq_timeout: AUTH_SEQUENCE; its filter: all */
	char *one_time_sequences; /* the file that has them, instead of knock.sequence */
	char **users; /* AUTH_TOKEN, AUTH_SPA: who may open it, ends in NULL; "*" is everybody */
	enum bind_source bind_source; /* AUTH_TOKEN, AUTH_SPA */
	uint64_t max_timeout_us; /* AUTH_SPA: how long a request may keep it open; 0: timeout_us */
	char *log;		 /* the [log NAME] whose lines count; none: the kernel's */
	struct network *allow;	 /* only these sources; none: all */
	size_t n_allow;
	uint64_t timeout_us; /* how long it stays open; whole seconds */
	uint32_t max_open;   /* grants at the same time */
	unsigned in_fleet;   /* 1: other hosts may have it open for their visitors */
	struct opening opening;
};

/* The keys of the configuration that say `prefix`. */
#define OPENING_PREFIX_KEY   "grant_prefix"
#define OPENING_PREFIX_KEY_6 "grant_prefix_6"

/* The one for this family. */
const char *opening_prefix_key(enum family family);

/* Whether it opens for one address at a time, of this family. */
bool opening_opens_address(const struct opening *opening, enum family family);

/* Whether it opens what is behind this machine, in any family. */
bool opening_forwards(const struct opening *opening);

/* Whether it opens anything for addresses of this family. */
bool opening_opens_for(const struct opening *opening, enum family family);

/* For what an opening opens when this address has knocked; a link-local one for itself alone. */
struct network opening_network(const struct opening *opening, const struct address *source);

/* Frees what the door owns, not the door itself. */
void door_done(struct door *door);

/* Whether the door's `users` include this one. */
bool door_has_user(const struct door *door, const char *user);

/* How long a request for so many seconds (0: none in particular) keeps it open. */
uint64_t door_timeout_us(const struct door *door, uint32_t seconds);

/* Whether something opens the door for addresses of this family. */
bool door_opens_for(const struct door *door, enum family family);

/* Whether the sources that may open the door include this one. */
bool door_allows(const struct door *door, const struct address *source);

/* Whether a user may have this name: 1 to USER_NAME_MAX of a-z 0-9 _ -, the first a letter or a
 * digit. So it is not a path, not an option, and needs no quoting. */
bool user_is_name(const char *text);

/* Whether it is a visitor's name: a user's, or "USER@HOST" or "@HOST" (core/visitor.h). */
bool visitor_is_name(const char *text);
