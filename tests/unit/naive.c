#include "naive.h"

#include <stdlib.h>
#include <string.h>

#include "core/door.h"
#include "core/probe.h"

/* More than any sequence has steps; older probes are shifted out. */
enum { HISTORY = 64 };

struct naive {
	const struct knock *knock;
	size_t n_remembered;
	size_t n;
	struct probe history[HISTORY]; /* oldest first */
};

struct naive *naive_new(const struct knock *knock, size_t n_remembered)
{
	struct naive *naive = calloc(1, sizeof *naive);

	if (!naive)
		abort();
	naive->knock = knock;
	naive->n_remembered = n_remembered;
	return naive;
}

struct naive *naive_free(struct naive *naive)
{
	free(naive);
	return NULL;
}

static bool same_packet(const struct probe *a, const struct probe *b)
{
	return a->source_port == b->source_port && a->port == b->port &&
	       a->protocol == b->protocol && address_equal(&a->target, &b->target);
}

static bool seen(const struct naive *naive, const struct probe *probe)
{
	for (size_t i = 0; i < naive->n && i < naive->n_remembered; i++) {
		const struct probe *past = &naive->history[naive->n - 1 - i];

		if (same_packet(past, probe) && probe->time_us - past->time_us <= 10000000)
			return true;
	}
	return false;
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

	if (!filter_passes(&naive->knock->filter, probe) || seen(naive, probe))
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
