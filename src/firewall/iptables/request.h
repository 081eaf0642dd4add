/* What is asked of iptables, and lists of it. */
#pragma once

#include "core/address.h"
#include "core/door.h"
#include "firewall/types.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct iptables;
struct iptables_request;
struct listing;

enum iptables_kind {
	IPTABLES_CHANGE, /* there shall be these rules for a door and a source, or none */
	IPTABLES_LOOK,	 /* what is in the chain; a jump to it is made if there is none */
	IPTABLES_TEST,	 /* could such rules be made? */
};

/* Where a chain is: in which table, and what leads to it. */
enum iptables_place { PLACE_INPUT, PLACE_FORWARD, PLACE_NAT, N_PLACES };

struct iptables_hook {
	const char *table, *chain;
};
extern const struct iptables_hook iptables_hooks[N_PLACES];

/* Called once, with `error` and `problem` filled in; it takes the request over. Not called if
 * `iptables` is freed before. */
typedef void (*iptables_end_fn)(struct iptables *iptables, struct iptables_request *request,
				uint64_t now_us);

struct iptables_request {
	struct iptables_request *next;
	struct iptables_request *then; /* what is to be asked when this one has ended well */
	enum iptables_kind kind;
	enum iptables_place place;
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

struct iptables_request *iptables_request_free(struct iptables_request *request);

/* A list owns its requests. */
struct request_list {
	struct iptables_request *first, **end;
	size_t n;
};

void request_list_init(struct request_list *list);
void request_list_done(struct request_list *list);
void request_list_append(struct request_list *list, struct iptables_request *request);

/* The one that the link, `first` or the `next` of one in the list, leads to: the caller's now. */
struct iptables_request *request_list_take(struct request_list *list,
					   struct iptables_request **link);

/* All of them, to the other's end. */
void request_list_move(struct request_list *from, struct request_list *to);

/* Sets the limit of this owner's request. Whether it is in the list. */
bool request_list_hurry(const struct request_list *list, const void *owner, uint64_t limit_us);

/* Drops the requests that are reported in this way. */
void request_list_forget(struct request_list *list, iptables_end_fn on_end);
