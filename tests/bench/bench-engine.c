/* What a probe costs, by doors and by sources: in the engine alone, and all the way from a record's
 * text to the verdict. And what a source costs in memory.
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
#include "core/door.h"
#include "core/engine.h"
#include "core/probe.h"
#include "core/record.h"
#include "judge/judge.h"

enum { N_STEPS = 3, SOURCES_MAX = 1000000, DOORS_MAX = 10000, ROUNDS = 5, N_COUNTS = 3 };

static const unsigned door_counts[N_COUNTS] = {1, 100, DOORS_MAX};
static const unsigned source_counts[N_COUNTS] = {1, 1000, SOURCES_MAX};

/* What is fed, without what all probes have in common. */
struct shot {
	uint32_t source;
	uint16_t port;
};

static struct shot *shots;
static size_t n_shots = 2000000;
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

static void feed_engine(struct engine *engine, const struct shot *shot)
{
	static struct probe probe = {
		.source = {.bytes = {[10] = 0xff, [11] = 0xff, [12] = 10}},
		.target = {.bytes = {[10] = 0xff, [11] = 0xff, [12] = 192, [14] = 2, [15] = 1}},
		.protocol = IPPROTO_TCP,
		.tcp_flags = TCP_FLAG_SYN,
		.interface = "eth0",
	};

	set_source(&probe.source, shot->source);
	probe.time_us = now_us++;
	probe.source_port = source_port++;
	probe.port = shot->port;
	engine_feed(engine, &probe, count_match, NULL);
}

static void write_digits(char *text, unsigned number, int n)
{
	while (n-- > 0) {
		text[n] = (char)('0' + number % 10);
		number /= 10;
	}
}

static void feed_judge(struct judge *judge, const struct shot *shot)
{
	static char line[] =
		"[knock] IN=eth0 OUT= MAC=52:54:00:12:34:56:52:54:00:65:43:21:08:00 "
		"SRC=10.100.100.100 DST=192.0.2.1 LEN=60 TOS=0x00 PREC=0x00 TTL=64 ID=1 DF "
		"PROTO=TCP SPT=10000 DPT=10000 WINDOW=64240 RES=0x00 SYN URGP=0 ";
	static char *source, *spt, *dpt;
	struct record record = {.text = line, .length = sizeof line - 1, .kernel_us = now_us++};

	if (!source) {
		source = strstr(line, "SRC=") + strlen("SRC=10.");
		spt = strstr(line, "SPT=") + strlen("SPT=");
		dpt = strstr(line, "DPT=") + strlen("DPT=");
	}
	write_digits(source, 100 + shot->source / 10000, 3);
	write_digits(source + 4, 100 + shot->source / 100 % 100, 3);
	write_digits(source + 8, 100 + shot->source % 100, 3);
	write_digits(spt, 10000u + source_port++ % 50000u, 5);
	write_digits(dpt, shot->port, 5);
	judge_feed(judge, &record, count_match, NULL);
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

static struct judge *make_judge(unsigned n_doors, uint32_t max_sources)
{
	struct complaints complaints;
	struct config *config;
	struct judge *judge;
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
	    judge_new(config, JUDGE_IN_EARNEST, NULL, &judge) < 0)
		abort();
	complaints_done(&complaints);
	config_free(config);
	free(text);
	return judge;
}

/* Every source is there before the clock starts. */
static double measure(struct engine *engine, struct judge *judge, unsigned n_sources)
{
	double best = 1e9;

	for (uint32_t i = 0; i < n_sources; i++) {
		struct shot first = {.source = i, .port = 9999};

		if (engine)
			feed_engine(engine, &first);
		else
			feed_judge(judge, &first);
	}
	for (int round = 0; round < ROUNDS; round++) {
		double start = seconds_now(), seconds;

		for (size_t i = 0; engine && i < n_shots; i++)
			feed_engine(engine, &shots[i]);
		for (size_t i = 0; judge && i < n_shots; i++)
			feed_judge(judge, &shots[i]);
		seconds = seconds_now() - start;
		best = seconds < best ? seconds : best;
	}
	return best / (double)n_shots * 1e9;
}

static double measure_one(unsigned n_doors, unsigned n_sources, bool whole_way)
{
	uint32_t max_sources = n_sources < 65536 ? 65536 : n_sources;
	struct engine *engine = whole_way ? NULL : make_engine(n_doors, N_STEPS, max_sources);
	struct judge *judge = whole_way ? make_judge(n_doors, max_sources) : NULL;
	double nanoseconds;

	aim(n_doors, n_sources);
	nanoseconds = measure(engine, judge, n_sources);
	engine_free(engine);
	judge_free(judge);
	return nanoseconds;
}

static void print_times(const char *what, bool whole_way)
{
	double least = 1e9, most = 0;

	printf("nanoseconds a probe, %s:\n\n%16s", what, "");
	for (int j = 0; j < N_COUNTS; j++)
		printf("%9u sources", source_counts[j]);
	for (int i = 0; i < N_COUNTS; i++) {
		printf("\n%10u doors", door_counts[i]);
		for (int j = 0; j < N_COUNTS; j++) {
			double time = measure_one(door_counts[i], source_counts[j], whole_way);

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
	if (argc > 1)
		n_shots = strtoul(argv[1], NULL, 10);
	if (n_shots == 0)
		return EXIT_FAILURE;
	shots = allocate(n_shots, sizeof *shots);
	now_us = UINT64_C(100000000);
	print_times("the engine alone", false);
	print_times("from a record's text to the verdict", true);
	print_bytes();
	free(shots);
	return n_matches > 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
