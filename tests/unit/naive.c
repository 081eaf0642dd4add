#include "naive.h"

#include <stdlib.h>
#include <string.h>

#include "core/door.h"
#include "core/probe.h"

/* More than any sequence has steps; older probes are shifted out. */
enum { HISTORY = 64 };

/* Within which packets are sent again. */
enum { WINDOW_US = 10000000 };

struct naive {
	const struct knock *knock;
	struct naive_limits limits;
	size_t n_repeats;
	struct probe repeats[NAIVE_REPEATS]; /* oldest first */
	size_t n;
	struct probe history[HISTORY]; /* oldest first */
};

struct naive *naive_new(const struct knock *knock, const struct naive_limits *limits)
{
	struct naive *naive = calloc(1, sizeof *naive);

	if (!naive)
		abort();
	naive->knock = knock;
	naive->limits = *limits;
	return naive;
}

struct naive *naive_free(struct naive *naive)
{
	free(naive);
	return NULL;
}

static bool same_port(const struct probe *a, const struct probe *b)
{
	return a->port == b->port && a->protocol == b->protocol &&
	       address_equal(&a->target, &b->target);
}

static bool same_packet(const struct probe *a, const struct probe *b)
{
	return same_port(a, b) && a->source_port == b->source_port;
}

static bool is_repeat_again(const struct naive *naive, const struct probe *probe)
{
	for (size_t i = 0; i < naive->n_repeats; i++)
		if (same_packet(&naive->repeats[i], probe))
			return true;
	return false;
}

static bool seen(const struct naive *naive, const struct probe *probe)
{
	for (size_t i = 0; i < naive->n && i < naive->limits.n_remembered; i++) {
		const struct probe *past = &naive->history[naive->n - 1 - i];

		if (probe->time_us - past->time_us <= WINDOW_US && same_port(past, probe) &&
		    (same_packet(past, probe) || is_repeat_again(naive, probe)))
			return true;
	}
	return false;
}

static void remember_repeat(struct naive *naive, const struct probe *probe)
{
	if (naive->n_repeats == NAIVE_REPEATS)
		memmove(naive->repeats, naive->repeats + 1,
			--naive->n_repeats * sizeof *naive->repeats);
	naive->repeats[naive->n_repeats++] = *probe;
}

static bool repeats(struct naive *naive, const struct probe *probe)
{
	struct probe *last = naive->n > 0 ? &naive->history[naive->n - 1] : NULL;

	if (!last || !same_port(last, probe) ||
	    naive->limits.counts_each(naive->limits.userdata, probe))
		return false;
	if (probe->time_us - last->time_us > WINDOW_US) {
		*last = *probe;
		return true;
	}
	last->time_us = probe->time_us;
	remember_repeat(naive, probe);
	return true;
}

static void append(struct naive *naive, const struct probe *probe)
{
	if (naive->n == HISTORY)
		memmove(naive->history, naive->history + 1, --naive->n * sizeof *naive->history);
	naive->history[naive->n++] = *probe;
}

bool naive_feed(struct naive *naive, const struct probe *probe)
{
	const struct sequence *sequence = &naive->knock->sequence;
	const struct probe *tail;

	if (!filter_passes(&naive->knock->filter, probe))
		return false;
	if (naive->n > 0 && probe->time_us - naive->history[naive->n - 1].time_us > WINDOW_US)
		naive->n_repeats = 0;
	if (seen(naive, probe) || repeats(naive, probe))
		return false;
	append(naive, probe);
	if (naive->n < sequence->n_steps)
		return false;
	tail = &naive->history[naive->n - sequence->n_steps];
	for (size_t i = 0; i < sequence->n_steps; i++)
		if (tail[i].port != sequence->steps[i].port ||
		    tail[i].protocol != sequence->steps[i].protocol)
			return false;
	return probe->time_us - tail[0].time_us <= naive->knock->seq_timeout_us;
}
