/* The engine: probes in, matches out.
 *
 * MUST: a knock is its sequence and nothing else. Any other probe from that source in between
 * breaks it; a retransmission of a packet already seen is not another probe, nor is one to the same
 * port right after it. The cost of a probe does not grow with the doors or the sources, and no
 * probe makes the engine allocate.
 *
 * Doors with the same filter share a lane: an automaton over their sequences and a table of
 * trackers. A probe that a filter holds back is not seen by that lane: it neither advances nor
 * breaks a knock. */
#pragma once

#include "core/address.h"

#include <stddef.h>
#include <stdint.h>

struct engine;
struct knock;
struct probe;

enum { ENGINE_LANES_MAX = 32, ENGINE_SOURCES_MAX = 16000000 };

/* A packet from the same port to the same port and target is taken for a retransmission if it is
 * among the last few of its source (as many as the longest sequence has steps, four at least) and
 * follows the first copy within this time. TCP sends a SYN again after 1, 3 and 7 seconds (RFC
 * 6298). */
#define ENGINE_RETRANSMISSION_US UINT64_C(10000000)

/* A packet to the port and target of the source's last one, from another port, counts as that one:
 * at the later time, and without completing anything. Of ports that some sequence of the lane has
 * twice in a row, or that are all of one, each packet counts. What follows from where the last such
 * packet came, to a port of the last few, is a retransmission like those of the first copies; lanes
 * whose longest sequence has eight steps have no room to know it. */

struct engine_limits {
	uint32_t max_sources; /* trackers in each lane: 1 to ENGINE_SOURCES_MAX */
	uint8_t ipv6_prefix;  /* leading bits of an IPv6 address that make one source: 1 to 128 */
	uint8_t hash_key[16]; /* random */
};

/* The source has completed knock number `knock`; its address is that of the last probe. */
struct engine_match {
	size_t knock;
	struct address source;
};
typedef void (*engine_match_fn)(void *userdata, const struct engine_match *match);

/* Compiles the knocks, which are not kept; their positions are their numbers. 0; -ENOMEM; -E2BIG:
 * more than ENGINE_LANES_MAX different filters, or millions of steps. */
int engine_new(const struct engine_limits *limits, const struct knock *const *knocks, size_t n,
	       struct engine **ret);
struct engine *engine_free(struct engine *engine);

/* Takes over what another engine remembers of each source, as far as it matters to knocks that both
 * have: a knock begun with the one can be finished with the other. */
void engine_inherit(struct engine *engine, const struct engine *other);

enum engine_state {
	ENGINE_QUIET,
	ENGINE_UNDERWAY, /* the probe's source is inside some knock */
};

/* Feeds one probe. `fn` is called before it returns, once for each knock that the probe completes;
 * it must not call the engine. */
enum engine_state engine_feed(struct engine *engine, const struct probe *probe, engine_match_fn fn,
			      void *userdata);

enum { ENGINE_EXPECTED_MAX = 16 };

/* Announces that these probes, at most ENGINE_EXPECTED_MAX, will be fed next, so that what is known
 * of their sources is on its way into the cache: with very many sources, feeding takes half as
 * long. Has no other effect, whatever comes. */
void engine_expect(struct engine *engine, const struct probe *probes, size_t n);

/* Forgets every source: after a reboot the kernel's clock starts again. */
void engine_forget(struct engine *engine);

/* Trackers in use, over all lanes. */
size_t engine_sources(const struct engine *engine);

/* All memory that the trackers have taken, used or not, over all lanes. */
size_t engine_bytes(const struct engine *engine);

/* How far a source is: the first `n_steps` of the `n_needed` of knock number `knock` were its last
 * probes. */
struct engine_progress {
	size_t knock;
	size_t n_steps, n_needed;
	struct address source;
};
typedef void (*engine_progress_fn)(void *userdata, const struct engine_progress *progress);

/* Reports how far the source of a probe is after that probe, and changes nothing: in each lane that
 * the probe passes, the knock that it is furthest in, one of them where several begin alike;
 * nothing where it is in none, or in one whose time is up. `fn` is called before it returns; it
 * must not call the engine. */
void engine_progress(const struct engine *engine, const struct probe *probe, engine_progress_fn fn,
		     void *userdata);
