/* The firewall: where a grant becomes state of the kernel, or of whatever a command drives.
 *
 * MUST: opening twice is like opening once. What is substituted into a command or an element is a
 * canonical address, a door's name or a number, never text from a record. No shell. Nothing
 * here waits for a child, except firewall_check(). */
#pragma once

#include "firewall/types.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct firewall;
struct listing;
struct opening;
struct passage;

/* `done` (NULL: nobody waits) is told of what could not be done at once. 0 or a negative errno. */
int firewall_new(firewall_done_fn done, struct firewall **ret);
struct firewall *firewall_free(struct firewall *firewall);

/* What is wrong, after a function below has returned an error. Valid until the next call. */
const char *firewall_problem(const struct firewall *firewall);

/* Whether what the opening names exists and fits: set, family, timeout. 0 or a negative errno.
 * Blocks: may wait for commands to finish. */
int firewall_check(struct firewall *firewall, const struct opening *opening);

/* The same without waiting; and creates what knocktail itself needs in the firewall for this door.
 * `fn` is called for each problem, perhaps one a family, before this returns or later. Neither the
 * name nor the opening need outlive the call. */
void firewall_make_ready(struct firewall *firewall, const char *door, const struct opening *opening,
			 uint64_t now_us, firewall_trouble_fn fn, void *userdata);

/* Drops pending reports of firewall_make_ready(). */
void firewall_forget_ready(struct firewall *firewall);

/* Opens and closes. `left_us` is how long the kernel shall keep it open, where it can, and no more
 * than a second longer. An owner has one of them under way at a time. A
 * firewall_progress, or a negative errno: nothing was changed. -EAGAIN: too many commands run, try
 * again. */
int firewall_open(struct firewall *firewall, const struct passage *passage, uint64_t left_us,
		  uint64_t now_us, void *owner);
int firewall_close(struct firewall *firewall, const struct passage *passage, uint64_t now_us,
		   void *owner);

/* Lists what is open in the passage's place: its set, its chain. `fn` is called once, before this
 * returns or later. 0; -ENOMEM; -EOPNOTSUPP: such passages cannot be listed; another negative
 * errno: try again. */
int firewall_list(struct firewall *firewall, const struct passage *passage, uint64_t now_us,
		  firewall_listed_fn fn, void *userdata);

/* What the listing, which has to be of its place, says of a passage. */
enum firewall_answer firewall_ask(struct firewall *firewall, struct listing *listing,
				  const struct passage *passage, uint64_t *ret_left_us);

/* How much work it was: how many things were listed. */
uint64_t listing_cost(const struct listing *listing);

/* Whether the listing is of the passage's place. */
bool listing_covers(const struct listing *listing, const struct passage *passage);

/* A set of ports, of ipset by its name, or of nft as "FAMILY TABLE SET". These change no more than
 * that, and wait for no command. */

/* Whether it is there and fits: ports from 1024 on, each with a timeout. 0; -ENOENT: there is no
 * such set; another negative errno. */
int firewall_check_ports(struct firewall *firewall, const char *set);

/* Puts n ports into it; those that are there get the new timeout. 0, or a negative errno: some may
 * be in it. */
int firewall_put_ports(struct firewall *firewall, const char *set,
		       const struct firewall_port *ports, size_t n);

/* Whether the port is in it. 0: it is; -ENOENT: there is no such set; -ENODATA: it is not, or was
 * not and is for a second now; another negative errno. */
int firewall_has_port(struct firewall *firewall, const char *set, uint16_t port);

/* Kills a running command of this owner at that time. */
void firewall_hurry(struct firewall *firewall, const void *owner, uint64_t kill_at_us);

/* For the event loop: call firewall_process() when the descriptor is readable or the time has come.
 */
int firewall_fd(const struct firewall *firewall);
uint64_t firewall_next_us(const struct firewall *firewall);
void firewall_process(struct firewall *firewall, uint64_t now_us);
