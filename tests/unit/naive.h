/* A matcher that is obviously right and slow: the oracle for the engine.
 *
 * It keeps every probe of one source that a door's filter lets through. A probe completes the
 * door's knock if the last probes are the sequence, none more and none less, within seq_timeout. A
 * probe with the ports, protocol and target of one of the last few, at most ten seconds after it,
 * was never sent. */
#pragma once

#include <stdbool.h>
#include <stddef.h>

struct knock;
struct naive;
struct probe;

/* One matcher for one door; `n_remembered` packets count for retransmissions. */
struct naive *naive_new(const struct knock *knock, size_t n_remembered);
struct naive *naive_free(struct naive *naive);

/* Whether the probe completes the knock. */
bool naive_feed(struct naive *naive, const struct probe *probe);
