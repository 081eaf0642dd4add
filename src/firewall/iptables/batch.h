/* What iptables has under way: requests, gathered into one batch for each chain. */
#pragma once

#include "core/address.h"
#include "core/door.h"
#include "firewall/types.h"

#include <stdbool.h>
#include <stdint.h>

struct child_exit;
struct children;
struct iptables;
struct iptables_request;
struct listing;

enum iptables_kind {
	IPTABLES_CHANGE, /* there shall be these rules for a door and a source, or none */
	IPTABLES_LOOK,	 /* what is in the chain; a jump to it is made if there is none */
	IPTABLES_TEST,	 /* could such rules be made? */
};

/* Called once, with `error` and `problem` filled in; it takes the request over. Not called if
 * `iptables` is freed before. */
typedef void (*iptables_end_fn)(struct iptables *iptables, struct iptables_request *request,
				uint64_t now_us);

struct iptables_request {
	struct iptables_request *next;
	enum iptables_kind kind;
	enum family family;
	char *chain;
	struct address source; /* changes */
	char *comment;	    /* changes: what the comments of the rules to be replaced begin with */
	char *rules;	    /* changes (NULL: none) and tests */
	bool creates_chain; /* looks: the chain is made if there is none */
	struct listing *shown; /* looks: what is there, to be filled in; or NULL */
	uint64_t limit_us;     /* then it ends with -ETIMEDOUT */
	iptables_end_fn on_end;
	void *owner;
	firewall_trouble_fn report; /* for a door that is made ready */
	char door[DOOR_NAME_MAX + 1];
	int error;
	char *problem; /* NULL: none, or no memory to say it */
};

/* Uses these children. NULL: no memory. */
struct iptables *iptables_new(struct children *children, void *userdata);
struct iptables *iptables_free(struct iptables *iptables);
void *iptables_userdata(const struct iptables *iptables);

/* What is wrong, after iptables_ask() has returned an error. Valid until the next call. */
const char *iptables_problem(const struct iptables *iptables);

struct iptables_request *iptables_request_free(struct iptables_request *request);

/* Takes the request, unless this fails. FIREWALL_PENDING, or a negative errno with the problem
 * written. */
int iptables_ask(struct iptables *iptables, struct iptables_request *request, uint64_t now_us);

/* Ends this owner's request at that time. */
void iptables_hurry(struct iptables *iptables, const void *owner, uint64_t limit_us);

/* Drops the requests that are reported in this way. */
void iptables_forget(struct iptables *iptables, iptables_end_fn on_end);

/* A child has ended. Whether it belonged to iptables. */
bool iptables_continue(struct iptables *iptables, const struct child_exit *exit, uint64_t now_us);

/* Reports what has ended, and goes on with what waits. */
void iptables_process(struct iptables *iptables, uint64_t now_us);

/* When that has to be called at the latest; UINT64_MAX: never. */
uint64_t iptables_next_us(const struct iptables *iptables);
