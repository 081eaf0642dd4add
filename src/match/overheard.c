#include "match/overheard.h"

#include <errno.h>
#include <sodium.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "core/door.h"
#include "core/probe.h"

enum { N_BUCKETS = 512, WAYS = 8, N_PORTS = 1 << 16 };

/* How far a source is with a line. */
struct heard {
	struct address source;
	size_t line;
	uint64_t begun_us[SEQUENCE_STEPS_MAX]; /* by the steps that were seen: the last time that
						* the first of them came; 0: never */
	uint64_t last_us;		       /* 0: nobody has the place */
};

struct overheard {
	uint8_t key[crypto_shorthash_KEYBYTES];
	uint8_t ipv6_prefix;
	struct heard places[N_BUCKETS][WAYS];
	uint16_t wanted[N_PORTS]; /* how many steps of all lines have this port */
	struct knock *lines;	  /* without steps: there is none */
	size_t n_lines;
};

int overheard_new(size_t n_lines, uint8_t ipv6_prefix, struct overheard **ret)
{
	struct overheard *overheard = calloc(1, sizeof *overheard);

	if (!overheard)
		return -ENOMEM;
	overheard->lines = calloc(n_lines + 1, sizeof *overheard->lines);
	if (!overheard->lines) {
		free(overheard);
		return -ENOMEM;
	}
	overheard->n_lines = n_lines;
	overheard->ipv6_prefix = ipv6_prefix;
	randombytes_buf(overheard->key, sizeof overheard->key);
	*ret = overheard;
	return 0;
}

struct overheard *overheard_free(struct overheard *overheard)
{
	if (overheard)
		free(overheard->lines);
	free(overheard);
	return NULL;
}

void overheard_forget(struct overheard *overheard)
{
	memset(overheard->places, 0, sizeof overheard->places);
}

static void count_steps(struct overheard *overheard, const struct sequence *sequence, int n)
{
	for (size_t i = 0; i < sequence->n_steps; i++)
		overheard->wanted[sequence->steps[i].port] += (uint16_t)n;
}

void overheard_set(struct overheard *overheard, size_t i, const struct knock *knock)
{
	static const struct knock none;

	count_steps(overheard, &overheard->lines[i].sequence, -1);
	overheard->lines[i] = knock ? *knock : none;
	count_steps(overheard, &overheard->lines[i].sequence, 1);
	for (size_t bucket = 0; bucket < N_BUCKETS; bucket++)
		for (size_t j = 0; j < WAYS; j++)
			if (overheard->places[bucket][j].line == i)
				overheard->places[bucket][j].last_us = 0;
}

/* The place of the source and the line, or the one that they shall have. */
static struct heard *find_heard(struct overheard *overheard, const struct address *source,
				size_t line)
{
	struct {
		struct address source;
		uint64_t line;
	} name = {*source, line};
	uint8_t hash[crypto_shorthash_BYTES];
	struct heard *bucket, *oldest;
	uint64_t word;

	crypto_shorthash(hash, (const uint8_t *)&name, sizeof name, overheard->key);
	memcpy(&word, hash, sizeof word);
	bucket = oldest = overheard->places[word % N_BUCKETS];
	for (size_t i = 0; i < WAYS; i++) {
		if (bucket[i].last_us > 0 && bucket[i].line == line &&
		    address_equal(&bucket[i].source, source))
			return &bucket[i];
		if (bucket[i].last_us < oldest->last_us)
			oldest = &bucket[i];
	}
	*oldest = (struct heard){.source = *source, .line = line};
	return oldest;
}

static bool is_step(const struct step *step, const struct probe *probe)
{
	return step->port == probe->port && step->protocol == probe->protocol;
}

/* Whether the line is whole. The later the first of the steps that were seen came, the better. */
static bool heard_add(struct heard *heard, const struct knock *line, const struct probe *probe)
{
	size_t n = line->sequence.n_steps;
	uint64_t now = probe->time_us + 1; /* 0: never */
	bool is_whole = false;

	heard->last_us = now;
	for (size_t i = n; i-- > 0;) {
		if (!is_step(&line->sequence.steps[i], probe))
			continue;
		heard->begun_us[i] = i == 0 ? now : heard->begun_us[i - 1];
		if (i == n - 1 && heard->begun_us[i] > 0)
			is_whole = now <= heard->begun_us[i] + line->seq_timeout_us;
	}
	return is_whole;
}

static bool has_step(const struct sequence *sequence, const struct probe *probe)
{
	for (size_t i = 0; i < sequence->n_steps; i++)
		if (is_step(&sequence->steps[i], probe))
			return true;
	return false;
}

void overheard_feed(struct overheard *overheard, const struct probe *probe, overheard_fn fn,
		    void *userdata)
{
	struct address source;

	if (overheard->wanted[probe->port] == 0)
		return;
	source = address_source(&probe->source, overheard->ipv6_prefix);
	for (size_t i = 0; i < overheard->n_lines; i++) {
		const struct knock *line = &overheard->lines[i];

		if (has_step(&line->sequence, probe) && filter_passes(&line->filter, probe) &&
		    heard_add(find_heard(overheard, &source, i), line, probe))
			fn(userdata, i);
	}
}
