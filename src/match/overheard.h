/* Lines of one-time sequences that were on the wire, though they opened nothing: all their steps
 * came from one source in their order and in time, with other ports in between.
 *
 * MUST: who has listened, and broken the knock with a port in the knocker's name, must not send the
 * line afterwards. Memory is taken at the start; a probe whose port is no step of a line costs one
 * look-up; when there is no room, the source seen longest ago of a few that nobody can choose gives
 * way. */
#pragma once

#include <stddef.h>
#include <stdint.h>

struct knock;
struct overheard;
struct probe;

/* Room for so many lines, none of which is there yet. Sources are told apart by their first
 * `ipv6_prefix` bits. 0 or -ENOMEM. */
int overheard_new(size_t n_lines, uint8_t ipv6_prefix, struct overheard **ret);
struct overheard *overheard_free(struct overheard *overheard);

/* This is line `i` from now on, which is copied; NULL: there is none. */
void overheard_set(struct overheard *overheard, size_t i, const struct knock *knock);

/* Feeds one probe. `fn` is called before it returns, for each line that is whole with it; it must
 * not call this module. */
typedef void (*overheard_fn)(void *userdata, size_t line);
void overheard_feed(struct overheard *overheard, const struct probe *probe, overheard_fn fn,
		    void *userdata);

/* Forgets every source. */
void overheard_forget(struct overheard *overheard);
