/* A matcher that is obviously right and slow: the oracle for the engine.
 *
 * It keeps every probe of one source that a door's filter lets through. A probe completes the
 * door's knock if the last probes are the sequence, none more and none less, within seq_timeout. A
 * probe with the ports, protocol and target of one of the last few, at most ten seconds after it,
 * was never sent. A probe to the port and target of the last one is that one, only later, unless
 * each of its port counts; it completes nothing, and when one of the last few such probes comes
 * again, it is as if that one did. */
#pragma once

#include <stdbool.h>
#include <stddef.h>

struct knock;
struct naive;
struct probe;

/* Repeats of a source that are remembered. */
enum { NAIVE_REPEATS = 8 };

/* What the doors with the same filter have in common. */
struct naive_limits {
	size_t n_remembered; /* packets that count for retransmissions */
	bool (*counts_each)(const void *userdata, const struct probe *probe);
	const void *userdata;
};

/* One matcher for one door. */
struct naive *naive_new(const struct knock *knock, const struct naive_limits *limits);
struct naive *naive_free(struct naive *naive);

/* Whether the probe completes the knock. */
bool naive_feed(struct naive *naive, const struct probe *probe);
