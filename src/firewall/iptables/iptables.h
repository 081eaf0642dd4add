/* What backend iptables has under way: requests, gathered for each chain. */
#pragma once

#include "core/address.h"
#include "core/door.h"
#include "firewall/firewall.h"

#include <stdbool.h>
#include <stdint.h>

struct iptables;
struct iptables_request;
struct listing;

enum iptables_kind {
	IPTABLES_CHANGE, /* there shall be these rules for a door and a source, or none */
	IPTABLES_LOOK,	 /* what is in the chain; a jump to it is made if there is none */
	IPTABLES_TEST,	 /* could such rules be made? */
};

/* Called once, with `error` and `problem` filled in; it takes the request over. Not called if the
 * firewall is freed before. */
typedef void (*iptables_tell_fn)(struct firewall *firewall, struct iptables_request *request,
				 uint64_t now_us);

struct iptables_request {
	struct iptables_request *next;
	enum iptables_kind kind;
	enum family family;
	char *chain;
	struct address source; /* changes */
	char *comment;	/* changes: what the comments of the rules to be replaced begin with */
	char *passages; /* changes: NULL: none; tests */
	bool founds;	/* looks: the chain is made if there is none */
	struct listing *shown; /* looks: what is there, to be filled in; or NULL */
	uint64_t limit_us;     /* then it is told -ETIMEDOUT */
	iptables_tell_fn tell;
	void *owner;
	firewall_trouble_fn report; /* for a door that is made ready */
	char door[DOOR_NAME_MAX + 1];
	int error;
	char *problem; /* NULL: none, or no memory to say it */
};

struct iptables_request *iptables_request_free(struct iptables_request *request);

/* Takes the request, unless this fails. FIREWALL_PENDING, or a negative errno with the problem
 * written. */
int iptables_ask(struct firewall *firewall, struct iptables_request *request, uint64_t now_us);

/* Gives this owner's request only until then. */
void iptables_hurry(struct firewall *firewall, const void *owner, uint64_t limit_us);

/* As firewall.h has it. */
void iptables_forget_ready(struct firewall *firewall);

/* Drops the requests that are told in this way. */
void iptables_forget(struct firewall *firewall, iptables_tell_fn tell);

/* A child has ended, with 0 or with a negative errno and its problem written. Whether it was one of
 * iptables'. */
bool iptables_continue(struct firewall *firewall, const void *owner, int error, uint64_t now_us);

/* Tells what has come to its end, and goes on with what waits. */
void iptables_process(struct firewall *firewall, uint64_t now_us);

/* When that has to be called at the latest; UINT64_MAX: never. */
uint64_t iptables_next_us(const struct firewall *firewall);

struct iptables *iptables_free(struct iptables *iptables);
