/* Strays: what stands in a door's set for a time, and is on nobody's record: somebody has put it
 * there, or a firewall that was saved with its elements was loaded with them. */
#pragma once

#include <stddef.h>
#include <stdint.h>

struct door;
struct firewall;
struct passage;

/* `door` is one of those that have the set. The passage is what closes it, and the function's to
 * free. */
typedef int (*stray_fn)(void *userdata, const struct door *door, struct passage *passage,
			uint64_t left_us);

/* Calls `fn`, as long as it returns 0, for each stray in the sets of the doors, but for sets that a
 * door shares with others. `known` is what is on record. Where an element of that stands in a set
 * by another name, the whole set is left out, for that could be any. Returns what `fn` did, or
 * -ENOMEM, or how many sets could not be listed. */
int firewall_each_stray(struct firewall *firewall, const struct door *doors, size_t n_doors,
			struct passage *const *known, size_t n_known, uint64_t now_us, stray_fn fn,
			void *userdata);
