/* What a probe costs, by doors and by sources: in the engine alone, and all the way from a record's
 * text to the verdict; one at a time, as the daemon has them, and several, as replay has them. And
 * what a source costs in memory.
 *
 * Three of four probes are the right next step of their source's knock, the others go to any port.
 * Sources come in random order, so that with many of them each is met out of the cache.
 *
 * Usage: bench-engine [PROBES] */
#include <malloc.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "config/config.h"
#include "config/load.h"
#include "core/door.h"
#include "core/engine/engine.h"
#include "core/probe.h"
#include "core/record.h"
#include "match/matcher.h"

enum { BATCH = ENGINE_EXPECTED_MAX };
enum { N_STEPS = 3, SOURCES_MAX = 1000000, DOORS_MAX = 10000, ROUNDS = 5, N_COUNTS = 3 };

static const unsigned door_counts[N_COUNTS] = {1, 100, DOORS_MAX};
static const unsigned input_counts[N_COUNTS] = {1, 1000, SOURCES_MAX};

/* What is fed, without what all probes have in common. */
struct shot {
	uint32_t source;
	uint16_t port;
};

static struct shot *shots;
static size_t n_shots = 2000000; /* a multiple of BATCH, or the last few are left out */
static uint64_t now_us, n_matches;
static uint16_t source_port;

/* xorshift64* (Vigna 2016): every run is the same. */
static uint64_t seed = 1;
static uint32_t roll(uint32_t n)
{
	seed ^= seed >> 12;
	seed ^= seed << 25;
	seed ^= seed >> 27;
	return (uint32_t)((seed * 0x2545f4914f6cdd1du >> 32) * n >> 32);
}

static void *allocate(size_t n, size_t size)
{
	void *memory = calloc(n, size);

	if (!memory)
		abort();
	return memory;
}

static double seconds_now(void)
{
	struct timespec now;

	clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &now);
	return (double)now.tv_sec + (double)now.tv_nsec / 1e9;
}

static void count_match(void *userdata, const struct match *match)
{
	(void)userdata;
	(void)match;
	n_matches++;
}

static void count_engine_match(void *userdata, const struct engine_match *match)
{
	(void)userdata;
	(void)match;
	n_matches++;
}

/* A hundred doors begin alike. All ports have five digits. */
static uint16_t port_of(unsigned door, unsigned step)
{
	static const unsigned factors[N_STEPS] = {37, 7919, 104729};

	return (uint16_t)(10000 + (step == 0 ? door / 100 : door) * factors[step] % 55000);
}

static void aim(unsigned n_doors, unsigned n_sources)
{
	uint8_t *steps = allocate(n_sources, sizeof *steps);
	uint16_t *doors = allocate(n_sources, sizeof *doors);

	for (size_t i = 0; i < n_shots; i++) {
		uint32_t source = roll(n_sources);
		struct shot *shot = &shots[i];

		shot->source = source;
		if (roll(4) == 0) {
			shot->port = (uint16_t)(10000 + roll(55000));
			steps[source] = 0;
			continue;
		}
		if (steps[source] == 0)
			doors[source] = (uint16_t)roll(n_doors);
		shot->port = port_of(doors[source], steps[source]);
		steps[source] = (uint8_t)((steps[source] + 1) % N_STEPS);
	}
	free(steps);
	free(doors);
}

/* Each of the three lower bytes has three digits, too. */
static void set_source(struct address *address, uint32_t source)
{
	address->bytes[13] = (uint8_t)(100 + source / 10000);
	address->bytes[14] = (uint8_t)(100 + source / 100 % 100);
	address->bytes[15] = (uint8_t)(100 + source % 100);
}

/* Feeds what these n shots (at most BATCH) say. */
typedef void (*feed_fn)(void *to, const struct shot *shots, size_t n);

static void feed_engine(void *engine, const struct shot *some, size_t n)
{
	static const struct probe form = {
		.source = {.bytes = {[10] = 0xff, [11] = 0xff, [12] = 10}},
		.target = {.bytes = {[10] = 0xff, [11] = 0xff, [12] = 192, [14] = 2, [15] = 1}},
		.protocol = IPPROTO_TCP,
		.tcp_flags = TCP_FLAG_SYN,
		.interface = "eth0",
	};
	static struct probe probes[BATCH];

	for (size_t i = 0; i < n; i++) {
		if (probes[i].protocol == 0)
			probes[i] = form;
		set_source(&probes[i].source, some[i].source);
		probes[i].time_us = now_us++;
		probes[i].source_port = source_port++;
		probes[i].port = some[i].port;
	}
	if (n > 1)
		engine_expect(engine, probes, n);
	for (size_t i = 0; i < n; i++)
		engine_feed(engine, &probes[i], count_engine_match, NULL);
}

static void write_digits(char *text, unsigned number, int n)
{
	while (n-- > 0) {
		text[n] = (char)('0' + number % 10);
		number /= 10;
	}
}

static const char form[] =
	"[knock] IN=eth0 OUT= MAC=52:54:00:12:34:56:52:54:00:65:43:21:08:00 "
	"SRC=10.100.100.100 DST=192.0.2.1 LEN=60 TOS=0x00 PREC=0x00 TTL=64 ID=1 DF "
	"PROTO=TCP SPT=10000 DPT=10000 WINDOW=64240 RES=0x00 SYN URGP=0 ";

static void write_line(char *line, const struct shot *shot)
{
	static size_t source, spt, dpt;

	if (!source) {
		source = (size_t)(strstr(form, "SRC=") - form) + strlen("SRC=10.");
		spt = (size_t)(strstr(form, "SPT=") - form) + strlen("SPT=");
		dpt = (size_t)(strstr(form, "DPT=") - form) + strlen("DPT=");
	}
	write_digits(line + source, 100 + shot->source / 10000, 3);
	write_digits(line + source + 4, 100 + shot->source / 100 % 100, 3);
	write_digits(line + source + 8, 100 + shot->source % 100, 3);
	write_digits(line + spt, 10000u + source_port++ % 50000u, 5);
	write_digits(line + dpt, shot->port, 5);
}

static void feed_matcher(void *matcher, const struct shot *some, size_t n)
{
	static char lines[BATCH][sizeof form];
	struct record records[BATCH];

	for (size_t i = 0; i < n; i++) {
		if (!lines[i][0])
			memcpy(lines[i], form, sizeof form);
		write_line(lines[i], &some[i]);
		records[i] = (struct record){
			.text = lines[i], .length = sizeof form - 1, .kernel_us = now_us++};
	}
	if (n > 1)
		matcher_feed_all(matcher, records, n, count_match, NULL);
	else
		matcher_feed(matcher, records, count_match, NULL);
}

static struct engine *make_engine(unsigned n_doors, unsigned n_steps, uint32_t max_sources)
{
	struct knock *knocks = allocate(n_doors, sizeof *knocks);
	const struct knock **list = allocate(n_doors, sizeof *list);
	struct engine_limits limits = {.max_sources = max_sources, .ipv6_prefix = 128};
	struct engine *engine;

	for (unsigned i = 0; i < n_doors; i++) {
		knocks[i] = (struct knock){.filter = filter_default, .seq_timeout_us = 10000000};
		knocks[i].sequence.n_steps = (uint8_t)n_steps;
		for (unsigned j = 0; j < n_steps; j++)
			knocks[i].sequence.steps[j] =
				(struct step){port_of(i, j % N_STEPS), IPPROTO_TCP};
		list[i] = &knocks[i];
	}
	if (engine_new(&limits, list, n_doors, &engine) < 0)
		abort();
	free(list);
	free(knocks);
	return engine;
}

static struct matcher *make_matcher(unsigned n_doors, uint32_t max_sources)
{
	struct complaints complaints;
	struct config *config;
	struct matcher *matcher;
	size_t size = 0;
	char *text = NULL;
	FILE *file = open_memstream(&text, &size);

	if (!file)
		abort();
	fprintf(file, "[options]\nlog_prefix = '[knock] '\nmax_sources = %u\n", max_sources);
	for (unsigned i = 0; i < n_doors; i++)
		fprintf(file, "[door d%u]\nsequence = %u, %u, %u\nbackend = ipset\nset = s\n", i,
			port_of(i, 0), port_of(i, 1), port_of(i, 2));
	if (fclose(file) != 0 || config_load_bytes(text, size, NULL, &config, &complaints) < 0 ||
	    matcher_new(config, MATCH_LIVE, NULL, &matcher) < 0)
		abort();
	complaints_done(&complaints);
	config_free(config);
	free(text);
	return matcher;
}

/* Every source is there before the clock starts. */
static double measure(feed_fn feed, void *to, unsigned n_sources, size_t batch)
{
	double best = 1e9;

	for (uint32_t i = 0; i < n_sources; i++)
		feed(to, &(struct shot){.source = i, .port = 9999}, 1);
	for (int round = 0; round < ROUNDS; round++) {
		double start = seconds_now(), seconds;

		for (size_t i = 0; i + batch <= n_shots; i += batch)
			feed(to, &shots[i], batch);
		seconds = seconds_now() - start;
		best = seconds < best ? seconds : best;
	}
	return best / (double)n_shots * 1e9;
}

struct way {
	const char *name;
	bool from_text;
	size_t batch;
};

static double measure_one(const struct way *way, unsigned n_doors, unsigned n_sources)
{
	uint32_t max_sources = n_sources < 65536 ? 65536 : n_sources;
	double nanoseconds;

	aim(n_doors, n_sources);
	if (way->from_text) {
		struct matcher *matcher = make_matcher(n_doors, max_sources);

		nanoseconds = measure(feed_matcher, matcher, n_sources, way->batch);
		matcher_free(matcher);
	} else {
		struct engine *engine = make_engine(n_doors, N_STEPS, max_sources);

		nanoseconds = measure(feed_engine, engine, n_sources, way->batch);
		engine_free(engine);
	}
	return nanoseconds;
}

static void print_times(const struct way *way)
{
	double least = 1e9, most = 0;

	printf("nanoseconds a probe, %s:\n\n%16s", way->name, "");
	for (int j = 0; j < N_COUNTS; j++)
		printf("%9u sources", input_counts[j]);
	for (int i = 0; i < N_COUNTS; i++) {
		printf("\n%10u doors", door_counts[i]);
		for (int j = 0; j < N_COUNTS; j++) {
			double time = measure_one(way, door_counts[i], input_counts[j]);

			printf("%17.0f", time);
			fflush(stdout);
			least = time < least ? time : least;
			most = time > most ? time : most;
		}
	}
	printf("\n\nthe most is %.2f times the least\n\n", most / least);
}

static size_t allocated(void)
{
	struct mallinfo2 info = mallinfo2();

	return info.uordblks + info.hblkhd;
}

static void print_bytes(void)
{
	static const unsigned lengths[] = {1, 3, 4, 5, 6, 8, 16, SEQUENCE_STEPS_MAX};

	puts("bytes a source, all that malloc() gave for an engine of 65536 sources and one door "
	     "included:\n");
	for (size_t i = 0; i < sizeof lengths / sizeof lengths[0]; i++) {
		size_t before = allocated();
		struct engine *engine = make_engine(1, lengths[i], 65536);

		printf("%10u steps %8.1f\n", lengths[i], (double)(allocated() - before) / 65536);
		engine_free(engine);
	}
}

int main(int argc, char *argv[])
{
	static const struct way ways[] = {
		{"the engine alone, as replay feeds it", false, BATCH},
		{"the engine alone, as the daemon feeds it", false, 1},
		{"from a record's text to the verdict, in replay", true, BATCH},
		{"from a record's text to the verdict, in the daemon", true, 1},
	};

	if (argc > 1)
		n_shots = strtoul(argv[1], NULL, 10);
	if (n_shots < BATCH)
		return EXIT_FAILURE;
	shots = allocate(n_shots, sizeof *shots);
	now_us = UINT64_C(100000000);
	for (size_t i = 0; i < sizeof ways / sizeof ways[0]; i++)
		print_times(&ways[i]);
	print_bytes();
	free(shots);
	return n_matches > 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
