/* A passage: what a grant puts into the firewall for one visitor (an element, rules, a command),
 * spelled out, so that it can be closed without the configuration that it came from. */
#pragma once

#include "core/address.h"

#include <stdbool.h>
#include <stdio.h>

struct backend;

/* All but `backend` may be NULL, and belongs to the passage. */
struct passage {
	const struct backend *backend;
	char *set;     /* ipset, nft */
	char *element; /* ipset, nft; iptables: the address */
	char *chain;   /* iptables */
	char *comment; /* iptables: "knocktail:DOOR" */
	char *forward; /* iptables: where it is sent on to; NULL: it is for this machine */
	char **ports;  /* iptables: "tcp 22,60000:61000" and the like, for a rule each */
	char **start;  /* command: argument vectors without placeholders; NULL: nothing to run */
	char **stop;
};

/* One that has no more than what says its place: its set or chain. 0 or -ENOMEM. */
int passage_new_place(const struct passage *passage, struct passage **ret);
struct passage *passage_free(struct passage *passage);

/* The network that it is open for, if it is for more than an address; else false. */
bool passage_find_network(const struct passage *passage, struct network *ret);

/* Whether the kernel itself ends it after the time given to firewall_open(). */
bool passage_expires(const struct passage *passage);

/* Whether both are closed in the same way. */
bool passage_equal(const struct passage *a, const struct passage *b);

/* Whether both belong to one set or chain, which one listing shows. */
bool passage_shares_place(const struct passage *a, const struct passage *b);

/* One of `ports` that asks for none, and whether another does. */
#define PASSAGE_ALL_PORTS "all ports"
bool passage_names_ports(const char *ports);

/* As lines of KEY=VALUE, for people and for passage_read_line(). */
void passage_write(const struct passage *passage, FILE *file);

/* Reads such a line, other than the backend's, into the passage; NULL: no backend has been read.
 * 0; -ENOENT: not a key of a passage; -EINVAL: not as passage_write() writes it. */
int passage_read_field(const char *key, const char *value, struct passage *passage);

/* Whether all has been read that the passage's backend needs to close it. */
bool passage_is_whole(const struct passage *passage);
