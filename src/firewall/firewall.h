/* The firewall: where a grant becomes state of the kernel, or of whatever a command drives.
 *
 * MUST: opening twice is as opening once. What is substituted into a command or an element is a
 * canonical address, a door's name or a number, never text from a record. No shell. Nothing
 * here waits for a child, but for firewall_check(). */
#pragma once

#include "core/address.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

struct visitor;
struct door;
struct firewall;
struct passage;

/* How long a command may run. */
#define FIREWALL_COMMAND_LIMIT_US UINT64_C(10000000)

/* The end of something that could not be done at once: 0 or a negative errno, with `problem` (NULL:
 * none) in words. -ETIMEDOUT: the command was killed, and nobody knows how far it came. */
typedef void (*firewall_done_fn)(void *owner, int error, const char *problem, uint64_t now_us);

enum firewall_progress {
	FIREWALL_DONE,
	FIREWALL_PENDING, /* a command runs; the done function will be called */
};

int firewall_new(firewall_done_fn done, struct firewall **ret);
struct firewall *firewall_free(struct firewall *firewall);

/* What is wrong, after a function below has returned an error. Valid until the next call. */
const char *firewall_problem(const struct firewall *firewall);

/* Whether what the door names is there and can do what it must: set, family, timeout. 0 or a
 * negative errno. For who has nothing else to do: it may run commands to their end. */
int firewall_check(struct firewall *firewall, const struct door *door);

/* The same without waiting; and what knocktail itself has to have for this door in the firewall is
 * made, if it is not there. `fn` is called for each problem, perhaps one a family, before this
 * returns or later. The door need not outlive the call. */
typedef void (*firewall_trouble_fn)(void *userdata, const char *door, const char *problem);
void firewall_make_ready(struct firewall *firewall, const struct door *door, uint64_t now_us,
			 firewall_trouble_fn fn, void *userdata);

/* What was asked of that before is not told any more. */
void firewall_forget_ready(struct firewall *firewall);

/* Opens and closes. `left_us` is how long the kernel shall keep it open, where it can, and no more
 * than a second longer. An owner has one of them under way at a time. A
 * firewall_progress, or a negative errno: nothing was changed. -EAGAIN: too many commands run, try
 * again. */
int firewall_open(struct firewall *firewall, const struct passage *passage, uint64_t left_us,
		  uint64_t now_us, void *owner);
int firewall_close(struct firewall *firewall, const struct passage *passage, uint64_t now_us,
		   void *owner);

/* Asks what is open in the place that the rule belongs to: its set, its chain. `fn` is called once,
 * before this returns or later, with a listing that is valid until it returns. 0; -ENOMEM;
 * -EOPNOTSUPP: nothing can be asked about such rules; another negative errno: try again. */
struct listing;
typedef void (*firewall_listed_fn)(void *userdata, struct listing *listing, uint64_t now_us);
int firewall_list(struct firewall *firewall, const struct passage *passage, uint64_t now_us,
		  firewall_listed_fn fn, void *userdata);

enum firewall_answer {
	FIREWALL_ABSENT,  /* the rule is not in the firewall */
	FIREWALL_PRESENT, /* it is there, for another *ret_left_us */
	FIREWALL_SPELLED, /* it is there, in a spelling that hides how long it will be */
	FIREWALL_SILENT,  /* the firewall could not be asked, or has been asked enough */
};

/* What the listing says of a rule, whose place it has to be the listing of. */
enum firewall_answer firewall_ask(struct firewall *firewall, struct listing *listing,
				  const struct passage *passage, uint64_t *ret_left_us);

/* How much it was to ask: how many things were shown. */
uint64_t listing_cost(const struct listing *listing);

/* Whether the listing is of the place that the rule belongs to. */
bool listing_covers(const struct listing *listing, const struct passage *passage);

/* Gives a running command of this owner only until then. */
void firewall_hurry(struct firewall *firewall, const void *owner, uint64_t kill_at_us);

/* For the event loop: call firewall_process() when the descriptor is readable or the time has come.
 */
int firewall_fd(const struct firewall *firewall);
uint64_t firewall_next_us(const struct firewall *firewall);
void firewall_process(struct firewall *firewall, uint64_t now_us);

/* A rule: what one door opens for one caller, spelled out, so that it can be closed without the
 * configuration that it came from. */

/* 0; -ENOMEM; -EAFNOSUPPORT: the door has nothing for the address's family. */
int passage_new(const struct door *door, const struct visitor *visitor, struct passage **ret);
struct passage *passage_free(struct passage *passage);

/* Whether the kernel itself ends it after the time given to firewall_open(). */
bool passage_expires(const struct passage *passage);

/* Whether both are closed in the same way. */
bool passage_equal(const struct passage *a, const struct passage *b);

/* Whether both belong to one set or chain, which one listing shows. */
bool passage_shares_place(const struct passage *a, const struct passage *b);

/* As lines of KEY=VALUE, for people and for passage_read_line(). */
void passage_write(const struct passage *passage, FILE *file);

/* Reads one such line into *rule, which starts as NULL. 0; -ENOENT: no key of a rule; -EINVAL: not
 * as passage_write() writes it. */
int passage_read_line(const char *key, const char *value, struct passage **passage);

/* Whether all has been read that the rule's backend needs to close it. */
bool passage_is_whole(const struct passage *passage);
