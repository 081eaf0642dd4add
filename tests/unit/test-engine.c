#include "core/engine/engine.h"

#include <errno.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "core/door.h"
#include "core/probe.h"

#include "allocations.h"
#include "cmocka-all.h"
#include "naive.h"

#define MS UINT64_C(1000)
#define S  UINT64_C(1000000)

enum { KNOCKS_MAX = 64, HUGE_PAGE = 1 << 21 };

static size_t n_huge; /* bytes for which large pages were asked */

/* Stands before libc's. */
int madvise(void *memory, size_t size, int advice)
{
	assert_int_equal(advice, MADV_HUGEPAGE);
	assert_int_equal((uintptr_t)memory % HUGE_PAGE, 0);
	n_huge += size;
	return 0;
}

/* An engine with its knocks, and the matches of the last probe. */
struct bench {
	struct knock knocks[KNOCKS_MAX];
	size_t n_knocks;
	struct engine_limits limits;
	struct engine *engine;
	uint64_t now_us;
	bool matched[KNOCKS_MAX];
	size_t n_matches;
	struct address matched_source;
};

static struct knock *add_knock(struct bench *bench, const char *sequence)
{
	struct knock *knock = &bench->knocks[bench->n_knocks++];
	size_t step;

	knock->filter = filter_default;
	knock->seq_timeout_us = 10 * S;
	assert_int_equal(sequence_parse(sequence, &knock->sequence, &step), 0);
	return knock;
}

static int compile(struct bench *bench)
{
	const struct knock *knocks[KNOCKS_MAX];

	for (size_t i = 0; i < bench->n_knocks; i++)
		knocks[i] = &bench->knocks[i];
	if (bench->limits.max_sources == 0)
		bench->limits.max_sources = 100;
	if (bench->limits.ipv6_prefix == 0)
		bench->limits.ipv6_prefix = 128;
	bench->now_us = 100 * S;
	return engine_new(&bench->limits, knocks, bench->n_knocks, &bench->engine);
}

static void start(struct bench *bench, const char *sequence)
{
	*bench = (struct bench){0};
	add_knock(bench, sequence);
	assert_int_equal(compile(bench), 0);
}

static void on_match(void *userdata, const struct engine_match *match)
{
	struct bench *bench = userdata;

	assert_false(bench->matched[match->knock]);
	bench->matched[match->knock] = true;
	bench->matched_source = match->source;
	bench->n_matches++;
}

static size_t feed(struct bench *bench, const struct probe *probe)
{
	memset(bench->matched, 0, sizeof bench->matched);
	bench->n_matches = 0;
	engine_feed(bench->engine, probe, on_match, bench);
	return bench->n_matches;
}

static struct probe make_probe(struct bench *bench, const char *source, const char *step_text)
{
	static uint16_t ephemeral = 32768;
	struct probe probe = {.tcp_flags = TCP_FLAG_SYN, .interface = "eth0"};
	struct step step;

	assert_int_equal(step_parse(step_text, &step), 0);
	assert_int_equal(address_parse(source, &probe.source), 0);
	assert_int_equal(address_parse("192.0.2.1", &probe.target), 0);
	probe.time_us = bench->now_us;
	probe.source_port = ephemeral++;
	probe.port = step.port;
	probe.protocol = step.protocol;
	return probe;
}

/* One probe, 10 ms after the one before. */
static size_t knock_from(struct bench *bench, const char *source, const char *step)
{
	struct probe probe;

	bench->now_us += 10 * MS;
	probe = make_probe(bench, source, step);
	return feed(bench, &probe);
}

static size_t knock(struct bench *bench, const char *step)
{
	return knock_from(bench, "203.0.113.9", step);
}

static void test_right_knock_matches(void **state)
{
	struct bench bench;
	struct address expected;

	(void)state;
	start(&bench, "7000, 8000/udp, 9000");
	assert_int_equal(knock(&bench, "7000"), 0);
	assert_int_equal(knock(&bench, "8000/udp"), 0);
	assert_int_equal(knock(&bench, "9000"), 1);
	address_parse("203.0.113.9", &expected);
	assert_true(address_equal(&bench.matched_source, &expected));
	/* And again. */
	assert_int_equal(knock(&bench, "7000"), 0);
	assert_int_equal(knock(&bench, "8000/udp"), 0);
	assert_int_equal(knock(&bench, "9000"), 1);
	engine_free(bench.engine);
}

static void on_progress(void *userdata, const struct engine_progress *progress)
{
	char *text = userdata;

	sprintf(text + strlen(text), "%zu:%zu/%zu ", progress->knock, progress->n_steps,
		progress->n_needed);
}

static void test_tells_who_is_underway(void **state)
{
	static const struct {
		const char *step;
		enum engine_state state;
	} cases[] = {
		{"22", ENGINE_QUIET}, {"7000", ENGINE_UNDERWAY},  {"8000/udp", ENGINE_UNDERWAY},
		{"22", ENGINE_QUIET}, {"8000/udp", ENGINE_QUIET}, {"7000", ENGINE_UNDERWAY},
	};
	struct bench bench;

	(void)state;
	start(&bench, "7000, 8000/udp, 9000");
	for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
		struct probe probe = make_probe(&bench, "203.0.113.9", cases[i].step);

		assert_int_equal(engine_feed(bench.engine, &probe, on_match, &bench),
				 cases[i].state);
	}
	engine_free(bench.engine);
}

static void test_wrong_knocks_do_not(void **state)
{
	static const char *const cases[][6] = {
		{"9000", "8000/udp", "7000"},
		{"7000", "9000"},
		{"7000", "8000/udp"},
		{"8000/udp", "9000"},
		{"7000", "8000", "9000"},
		{"7000/udp", "8000/udp", "9000"},
		{"7000", "7001", "8000/udp", "9000"},
		{"7000", "8000/udp", "22", "9000"},
		{"7000", "8000/udp", "8000", "9000"},
		{"7000", "8000/udp", "7000", "9000"},
		{"7000", "8000/udp", "22", "8000/udp", "9000"},
	};

	(void)state;
	for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
		struct bench bench;

		start(&bench, "7000, 8000/udp, 9000");
		for (size_t j = 0; j < 6 && cases[i][j]; j++)
			assert_int_equal(knock(&bench, cases[i][j]), 0);
		engine_free(bench.engine);
	}
}

static void test_false_start_does_not_spoil_a_right_knock(void **state)
{
	struct bench bench;

	(void)state;
	start(&bench, "7000, 7000, 8000");
	assert_int_equal(knock(&bench, "7000"), 0);
	assert_int_equal(knock(&bench, "7000"), 0);
	assert_int_equal(knock(&bench, "7000"), 0);
	assert_int_equal(knock(&bench, "8000"), 1);
	engine_free(bench.engine);
}

static void test_scans_match_nothing(void **state)
{
	struct bench bench;
	char step[16];

	(void)state;
	start(&bench, "7000, 8000, 9000");
	for (int port = 1; port <= 65535; port++) {
		snprintf(step, sizeof step, "%d", port);
		assert_int_equal(knock(&bench, step), 0);
	}
	for (int port = 65535; port >= 1; port--) {
		snprintf(step, sizeof step, "%d", port);
		assert_int_equal(knock(&bench, step), 0);
	}
	engine_free(bench.engine);
}

static void test_sources_are_apart(void **state)
{
	struct bench bench;

	(void)state;
	start(&bench, "7000, 8000, 9000");
	assert_int_equal(knock_from(&bench, "203.0.113.9", "7000"), 0);
	assert_int_equal(knock_from(&bench, "2001:db8::9", "7000"), 0);
	assert_int_equal(knock_from(&bench, "203.0.113.9", "8000"), 0);
	assert_int_equal(knock_from(&bench, "203.0.113.10", "9000"), 0);
	assert_int_equal(knock_from(&bench, "2001:db8::9", "8000"), 0);
	assert_int_equal(knock_from(&bench, "2001:db8::a", "9000"), 0);
	assert_int_equal(knock_from(&bench, "2001:db8::9", "9000"), 1);
	assert_int_equal(knock_from(&bench, "203.0.113.9", "9000"), 1);
	assert_int_equal(engine_sources(bench.engine), 4);
	engine_forget(bench.engine);
	assert_int_equal(engine_sources(bench.engine), 0);
	engine_free(bench.engine);
}

static void test_ipv6_prefix_joins_sources(void **state)
{
	struct bench bench = {.limits.ipv6_prefix = 64};
	struct address expected;

	(void)state;
	add_knock(&bench, "7000, 8000");
	assert_int_equal(compile(&bench), 0);
	assert_int_equal(knock_from(&bench, "2001:db8::1", "7000"), 0);
	assert_int_equal(knock_from(&bench, "2001:db8::2", "8000"), 1);
	address_parse("2001:db8::2", &expected);
	assert_true(address_equal(&bench.matched_source, &expected));
	assert_int_equal(knock_from(&bench, "2001:db8:0:1::1", "7000"), 0);
	assert_int_equal(knock_from(&bench, "2001:db8:0:2::1", "8000"), 0);
	/* IPv4 is never joined. */
	assert_int_equal(knock_from(&bench, "203.0.113.9", "7000"), 0);
	assert_int_equal(knock_from(&bench, "203.0.113.10", "8000"), 0);
	engine_free(bench.engine);
}

static void test_seq_timeout_is_exact(void **state)
{
	struct bench bench;

	(void)state;
	for (uint64_t late_us = 0; late_us <= 1; late_us++) {
		struct probe probe;

		start(&bench, "7000, 8000, 9000");
		probe = make_probe(&bench, "203.0.113.9", "7000");
		feed(&bench, &probe);
		bench.now_us += 4 * S;
		probe = make_probe(&bench, "203.0.113.9", "8000");
		feed(&bench, &probe);
		bench.now_us += 6 * S + late_us;
		probe = make_probe(&bench, "203.0.113.9", "9000");
		assert_int_equal(feed(&bench, &probe), !late_us);
		engine_free(bench.engine);
	}
}

static void test_long_pause_is_not_forgotten(void **state)
{
	struct bench bench;

	(void)state;
	start(&bench, "7000, 8000");
	assert_int_equal(knock(&bench, "7000"), 0);
	bench.now_us += UINT64_C(0x100000000); /* would be nothing in 32 bits */
	assert_int_equal(knock(&bench, "8000"), 0);
	engine_free(bench.engine);
}

static void test_retransmissions_are_no_probes(void **state)
{
	struct probe first, second, third, other;
	struct bench bench;

	(void)state;
	start(&bench, "7000, 8000, 9000");
	other = make_probe(&bench, "203.0.113.9", "22");
	first = make_probe(&bench, "203.0.113.9", "7000");
	second = make_probe(&bench, "203.0.113.9", "8000");
	third = make_probe(&bench, "203.0.113.9", "9000");
	assert_int_equal(feed(&bench, &other), 0);
	assert_int_equal(feed(&bench, &first), 0);
	first.time_us += 1 * S;
	second.time_us += 1 * S;
	other.time_us += 1 * S;
	assert_int_equal(feed(&bench, &first), 0);
	assert_int_equal(feed(&bench, &second), 0);
	assert_int_equal(feed(&bench, &other), 0);
	third.time_us += 3 * S;
	first.time_us += 2 * S;
	assert_int_equal(feed(&bench, &first), 0);
	assert_int_equal(feed(&bench, &third), 1);
	/* Nor is the whole knock once more. */
	assert_int_equal(feed(&bench, &first), 0);
	assert_int_equal(feed(&bench, &second), 0);
	assert_int_equal(feed(&bench, &third), 0);
	engine_free(bench.engine);
}

static void test_repeated_port_needs_two_packets(void **state)
{
	struct bench bench;
	struct probe first, second;

	(void)state;
	start(&bench, "7000, 7000");
	first = make_probe(&bench, "203.0.113.9", "7000");
	assert_int_equal(feed(&bench, &first), 0);
	assert_int_equal(feed(&bench, &first), 0);
	second = make_probe(&bench, "203.0.113.9", "7000");
	assert_int_equal(feed(&bench, &second), 1);
	engine_free(bench.engine);
}

/* Ports as in "7000 7000' 8000", where each "'" is the next packet to that port, from another
 * socket; without, it is the first one (sent again). The matches of the last. */
static size_t knock_again(struct bench *bench, const char *ports, uint64_t pause_us)
{
	char text[128], *rest = NULL;
	size_t n_matches = 0;

	snprintf(text, sizeof text, "%s", ports);
	for (char *word = strtok_r(text, " ", &rest); word; word = strtok_r(NULL, " ", &rest)) {
		size_t socket = strlen(word) - strcspn(word, "'");
		struct probe probe;

		word[strlen(word) - socket] = '\0';
		bench->now_us += pause_us;
		probe = make_probe(bench, "203.0.113.9", word);
		probe.source_port = (uint16_t)(probe.port + 20000 * socket);
		n_matches = feed(bench, &probe);
	}
	return n_matches;
}

static void test_a_port_right_after_itself_breaks_nothing(void **state)
{
	static const struct {
		const char *sequence, *ports;
		size_t n_matches;
	} cases[] = {
		{"7000, 8000, 9000", "7000 7000' 8000 8000' 9000", 1},
		{"7000, 8000, 9000", "7000 7000' 7000'' 8000 8000' 8000'' 8000 9000", 1},
		/* Once only. */
		{"7000, 8000, 9000", "7000 8000 9000 9000'", 0},
		/* Both sockets send again. */
		{"7000, 8000, 9000", "7000 7000' 8000 7000 7000' 8000' 7000 9000", 1},
		{"7000, 8000, 9000", "7000 8000 8000' 9000 8000' 9000'", 0},
		{"7000, 8000, 9000, 6000", "7000 8000 8000' 9000 8000 8000' 6000", 1},
		/* After the next port's, too. */
		{"7000, 8000, 9000", "7000 7000' 8000 8000' 7000 7000' 9000", 1},
		{"7000, 8000, 9000", "7000 7000' 7000'' 8000 8000' 8000'' 7000' 8000' 7000'' 9000",
		 1},
		{"1, 2, 3, 4, 5, 6, 7, 8", "1 1' 2 2' 3 3' 4 4' 5 5' 6 6' 7 7' 1 1' 2' 6' 7' 8", 1},
		{"7000, 8000, 9000", "7000 7000' 8000 8000' 7000'' 9000", 0},
		/* Other ports in between. */
		{"7000, 8000, 9000", "7000 8000 22 8000' 9000", 0},
		{"7000, 8000, 9000", "7000 8000 7000' 9000", 0},
		{"7000, 8000, 9000", "7000 8000 8000' 22 9000", 0},
		/* A socket that stands for itself alone. */
		{"7000, 8000, 9000", "7000 8000 8000' 7000' 9000", 0},
		/* Where a sequence has it twice, or alone, each counts. */
		{"7000, 7000, 8000", "7000 8000", 0},
		{"7000, 7000, 8000", "7000 7000' 8000", 1},
		{"7000, 7000, 8000", "7000 7000' 7000'' 8000", 1},
		{"7000, 8000, 8000, 9000", "7000 8000 8000' 8000'' 9000", 0},
		{"7000, 8000, 8000, 9000", "7000 7000' 8000 8000' 9000", 1},
		{"7000", "7000 7000'", 1},
		/* Not in a row. */
		{"7000, 8000, 7000", "7000 7000' 8000 8000' 7000''", 1},
	};

	(void)state;
	for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
		struct bench bench;

		start(&bench, cases[i].sequence);
		if (knock_again(&bench, cases[i].ports, 10 * MS) != cases[i].n_matches)
			fail_msg("%s: %s", cases[i].sequence, cases[i].ports);
		engine_free(bench.engine);
	}
}

/* The later packet's time counts. */
static void test_a_port_right_after_itself_takes_no_time(void **state)
{
	struct bench bench;

	(void)state;
	start(&bench, "7000, 8000, 9000");
	assert_int_equal(knock_again(&bench, "7000 7000' 8000 9000", 4 * S), 1);
	assert_int_equal(knock_again(&bench, "7000'' 8000' 8000'' 9000'", 4 * S), 0);
	engine_free(bench.engine);
}

/* Doors with the same filter know of each other. */
static void test_a_port_that_another_door_has_twice_counts(void **state)
{
	struct bench bench = {0};

	(void)state;
	add_knock(&bench, "7000, 8000, 9000");
	add_knock(&bench, "8000, 8000, 22");
	strcpy(add_knock(&bench, "7000, 7000")->filter.interface, "eth1");
	assert_int_equal(compile(&bench), 0);
	assert_int_equal(knock_again(&bench, "7000 7000' 8000 9000", 10 * MS), 1);
	assert_int_equal(knock_again(&bench, "7000'' 8000' 8000'' 9000'", 10 * MS), 0);
	engine_free(bench.engine);
}

static void test_one_millisecond_is_enough(void **state)
{
	struct bench bench;
	struct probe probe;

	(void)state;
	start(&bench, "7000, 8000, 9000");
	probe = make_probe(&bench, "203.0.113.9", "7000");
	assert_int_equal(feed(&bench, &probe), 0);
	probe = make_probe(&bench, "203.0.113.9", "8000");
	probe.time_us -= 500; /* stamped by another CPU */
	assert_int_equal(feed(&bench, &probe), 0);
	probe = make_probe(&bench, "203.0.113.9", "9000");
	assert_int_equal(feed(&bench, &probe), 1);
	engine_free(bench.engine);
}

static void test_clock_that_goes_back_begins_anew(void **state)
{
	struct bench bench;

	(void)state;
	start(&bench, "7000, 8000, 9000");
	assert_int_equal(knock(&bench, "7000"), 0);
	assert_int_equal(knock(&bench, "8000"), 0);
	bench.now_us = 1 * S;
	assert_int_equal(knock(&bench, "9000"), 0);
	assert_int_equal(knock(&bench, "7000"), 0);
	assert_int_equal(knock(&bench, "8000"), 0);
	assert_int_equal(knock(&bench, "9000"), 1);
	engine_free(bench.engine);
}

/* As far as what was remembered would be just now on the new clock. */
static void test_clock_that_goes_back_by_hours(void **state)
{
	struct bench bench;

	(void)state;
	start(&bench, "7000, 8000");
	bench.now_us = 10000 * S;
	assert_int_equal(knock(&bench, "7000"), 0);
	bench.now_us = 6000 * S;
	assert_int_equal(knock(&bench, "8000"), 0);
	assert_int_equal(knock(&bench, "7000"), 0);
	assert_int_equal(knock(&bench, "8000"), 1);
	engine_free(bench.engine);
}

/* The clock of a table with somebody in it has 48 bits: one that is full forgets them all, and the
 * next knock is as good as any. */
static void test_knocks_nine_years_after_the_first(void **state)
{
	struct bench bench;

	(void)state;
	for (uint64_t early_us = 0; early_us <= 3; early_us++) {
		start(&bench, "7000, 8000");
		knock_from(&bench, "203.0.113.6", "7000");
		knock_from(&bench, "203.0.113.7", "7000");
		knock_from(&bench, "203.0.113.8", "7000");
		bench.now_us = (UINT64_C(1) << 48) - 10 * MS - early_us;
		assert_int_equal(knock(&bench, "7000"), 0);
		assert_int_equal(knock(&bench, "8000"), early_us < 2);
		assert_int_equal(knock(&bench, "7000"), 0);
		assert_int_equal(knock(&bench, "8000"), 1);
		engine_free(bench.engine);
	}
}

/* Lines of two CPUs, up to a second apart. */
static void test_out_of_order_is_no_other_clock(void **state)
{
	(void)state;
	for (uint64_t further_us = 0; further_us <= 1; further_us++) {
		struct bench bench;

		start(&bench, "7000, 8000");
		bench.now_us = 10000 * S;
		assert_int_equal(knock(&bench, "7000"), 0);
		bench.now_us -= 10 * MS + 1 * S + further_us;
		assert_int_equal(knock(&bench, "8000"), !further_us);
		engine_free(bench.engine);
	}
}

static void test_filtered_probes_neither_help_nor_hinder(void **state)
{
	struct bench bench;
	struct probe probe;

	(void)state;
	start(&bench, "7000, 8000");
	assert_int_equal(knock(&bench, "7000"), 0);
	probe = make_probe(&bench, "203.0.113.9", "8000");
	probe.tcp_flags = TCP_FLAG_ACK;
	assert_int_equal(feed(&bench, &probe), 0);
	probe = make_probe(&bench, "203.0.113.9", "9999");
	probe.tcp_flags = TCP_FLAG_RST;
	assert_int_equal(feed(&bench, &probe), 0);
	assert_int_equal(knock(&bench, "8000"), 1);
	engine_free(bench.engine);
}

static void test_doors_share_steps(void **state)
{
	struct bench bench = {0};

	(void)state;
	add_knock(&bench, "1, 2, 3");
	add_knock(&bench, "2, 3");
	add_knock(&bench, "1, 2, 3, 4");
	add_knock(&bench, "3");
	add_knock(&bench, "1, 2, 3");
	strcpy(add_knock(&bench, "2, 3")->filter.interface, "eth1");
	assert_int_equal(compile(&bench), 0);
	assert_int_equal(knock(&bench, "1"), 0);
	assert_int_equal(knock(&bench, "2"), 0);
	assert_int_equal(knock(&bench, "3"), 4);
	assert_true(bench.matched[0] && bench.matched[1] && bench.matched[3] && bench.matched[4]);
	assert_int_equal(knock(&bench, "4"), 1);
	assert_true(bench.matched[2]);
	engine_free(bench.engine);
}

static void test_least_recently_seen_gives_way(void **state)
{
	struct bench bench = {.limits.max_sources = 3};

	(void)state;
	add_knock(&bench, "7000, 8000, 9000");
	assert_int_equal(compile(&bench), 0);
	knock_from(&bench, "203.0.113.1", "7000");
	knock_from(&bench, "203.0.113.2", "7000");
	knock_from(&bench, "203.0.113.3", "7000");
	knock_from(&bench, "203.0.113.1", "8000");
	knock_from(&bench, "203.0.113.4", "7000"); /* instead of .2 */
	assert_int_equal(engine_sources(bench.engine), 3);
	knock_from(&bench, "203.0.113.3", "8000");
	assert_int_equal(knock_from(&bench, "203.0.113.1", "9000"), 1);
	assert_int_equal(knock_from(&bench, "203.0.113.3", "9000"), 1);
	knock_from(&bench, "203.0.113.2", "8000");
	assert_int_equal(knock_from(&bench, "203.0.113.2", "9000"), 0);
	engine_free(bench.engine);
}

/* However many strangers come and go, and wherever in the table they were. */
static void test_recently_seen_stays(void **state)
{
	struct bench bench = {.limits.max_sources = 6};

	(void)state;
	add_knock(&bench, "7000, 8000");
	assert_int_equal(compile(&bench), 0);
	for (int i = 0; i < 4 * 255; i++) {
		char stranger[32];

		snprintf(stranger, sizeof stranger, "198.51.%d.%d", i / 255, i % 255);
		assert_int_equal(knock_from(&bench, stranger, "7000"), 0);
		assert_int_equal(knock_from(&bench, "203.0.113.9", i % 2 ? "8000" : "7000"), i % 2);
		assert_int_equal(knock_from(&bench, "203.0.113.8", i % 2 ? "7000" : "8000"),
				 i > 0 && i % 2 == 0);
	}
	assert_int_equal(engine_sources(bench.engine), 6);
	engine_free(bench.engine);
}

static void test_idle_sources_are_dropped(void **state)
{
	struct bench bench;

	(void)state;
	start(&bench, "7000, 8000");
	for (int i = 0; i < 50; i++) {
		char source[32];

		snprintf(source, sizeof source, "198.51.100.%d", i);
		knock_from(&bench, source, "7000");
	}
	assert_int_equal(engine_sources(bench.engine), 50);
	bench.now_us += 3600 * S;
	knock(&bench, "22");
	assert_int_equal(engine_sources(bench.engine), 49); /* two a probe, and its own source */
	for (int i = 0; i < 24; i++)
		knock(&bench, "22");
	assert_int_equal(engine_sources(bench.engine), 1);
	engine_free(bench.engine);
}

/* As soon as nothing of them can matter, and no sooner. */
static void test_sources_are_kept_for_as_long_as_they_matter(void **state)
{
	(void)state;
	for (uint64_t late_us = 0; late_us <= 1; late_us++) {
		struct bench bench = {0};

		add_knock(&bench, "7000, 8000");
		add_knock(&bench, "7000, 9000")->seq_timeout_us = 20 * S;
		assert_int_equal(compile(&bench), 0);
		knock_from(&bench, "203.0.113.8", "7000");
		bench.now_us += 20 * S - 10 * MS + late_us;
		knock_from(&bench, "203.0.113.9", "7000");
		assert_int_equal(engine_sources(bench.engine), 2 - late_us);
		engine_free(bench.engine);
	}
}

/* Puts a new engine in the place of the old one, in mid-stream. */
static void inherit(struct bench *bench)
{
	struct engine *old = bench->engine;
	uint64_t now_us = bench->now_us;

	assert_int_equal(compile(bench), 0);
	bench->now_us = now_us;
	engine_inherit(bench->engine, old);
	engine_free(old);
}

static void test_knock_goes_on_in_another_engine(void **state)
{
	struct bench bench;

	(void)state;
	start(&bench, "7000, 8000, 9000");
	knock_from(&bench, "203.0.113.1", "7000");
	knock_from(&bench, "203.0.113.1", "8000");
	knock_from(&bench, "203.0.113.2", "7000");
	add_knock(&bench, "1, 2, 3, 4, 5, 6");
	add_knock(&bench, "8000, 9000");
	inherit(&bench);
	assert_int_equal(engine_sources(bench.engine), 2);
	assert_int_equal(knock_from(&bench, "203.0.113.1", "9000"), 2);
	assert_true(bench.matched[0]);
	assert_int_equal(knock_from(&bench, "203.0.113.2", "9000"), 0);
	engine_free(bench.engine);
}

static void test_other_sources_are_not_inherited(void **state)
{
	struct bench bench;

	(void)state;
	start(&bench, "7000, 8000");
	knock_from(&bench, "2001:db8::1", "7000");
	bench.limits.ipv6_prefix = 64;
	inherit(&bench);
	assert_int_equal(engine_sources(bench.engine), 0);
	engine_free(bench.engine);
}

static void test_too_many_filters_are_refused(void **state)
{
	struct bench bench = {0};

	(void)state;
	for (int i = 0; i < ENGINE_LANES_MAX; i++)
		snprintf(add_knock(&bench, "7000")->filter.interface, IF_NAMESIZE, "eth%d", i);
	assert_int_equal(compile(&bench), 0);
	engine_free(bench.engine);
	add_knock(&bench, "7000");
	assert_int_equal(compile(&bench), -E2BIG);
}

static void add_random_steps(struct knock *knock, size_t n_steps);

/* Trackers, the hash table and the rest of the engine: all that it ever asked for. */
static void test_source_costs_at_most_96_bytes(void **state)
{
	enum { SOURCES = 65536 };

	(void)state;
	for (size_t n_steps = 1; n_steps <= 8; n_steps++) {
		struct bench bench = {.limits.max_sources = SOURCES};
		size_t before = allocations_bytes(), bytes;

		add_random_steps(add_knock(&bench, "1"), n_steps);
		assert_int_equal(compile(&bench), 0);
		bytes = allocations_bytes() - before;
		assert_true(bytes >= engine_bytes(bench.engine));
		assert_true(bytes <= (n_steps <= 4 ? 68 : 96) * SOURCES);
		engine_free(bench.engine);
	}
}

/* As far as they fit. */
static void test_a_large_table_has_large_pages(void **state)
{
	struct bench bench = {.limits.max_sources = 200000};

	(void)state;
	add_knock(&bench, "7000");
	n_huge = 0;
	assert_int_equal(compile(&bench), 0);
	assert_in_range(n_huge, 64 * 200000 - HUGE_PAGE, 67 * 200000);
	engine_free(bench.engine);
}

static void test_probes_allocate_nothing(void **state)
{
	struct bench bench = {.limits.max_sources = 1000};
	struct probe probe;
	size_t before;

	(void)state;
	add_knock(&bench, "7000, 8000, 9000");
	add_knock(&bench, "8000, 9000");
	strcpy(add_knock(&bench, "9000")->filter.interface, "eth0");
	assert_int_equal(compile(&bench), 0);
	probe = make_probe(&bench, "2001:db8::1", "7000");
	before = allocations_blocks();
	for (int i = 0; i < 100000; i++) {
		probe.time_us += 100 * MS;
		probe.source_port++;
		probe.port = (uint16_t)(7000 + i % 3 * 1000);
		probe.source.bytes[15] = (uint8_t)(i / 3);
		probe.source.bytes[14] = (uint8_t)(i / 768);
		assert_int_equal(feed(&bench, &probe), i % 3 == 2 ? 3 : 0);
	}
	assert_int_equal(allocations_blocks(), before);
	engine_free(bench.engine);
}

/* How far a source is, as "KNOCK:STEPS/NEEDED" and a blank for each lane. */
static const char *progress_of(struct bench *bench, const char *source)
{
	static char text[100];
	struct probe probe = make_probe(bench, source, "1");

	text[0] = '\0';
	engine_progress(bench->engine, &probe, on_progress, text);
	return text;
}

static void test_tells_how_far_a_source_is(void **state)
{
	struct bench bench = {0};

	(void)state;
	add_knock(&bench, "7000, 8000, 9000");
	add_knock(&bench, "8000, 9001");
	strcpy(add_knock(&bench, "8000, 9000, 9002")->filter.interface, "eth0");
	strcpy(add_knock(&bench, "8000")->filter.interface, "eth1");
	assert_int_equal(compile(&bench), 0);
	assert_string_equal(progress_of(&bench, "203.0.113.9"), "");
	knock(&bench, "7000");
	assert_string_equal(progress_of(&bench, "203.0.113.9"), "0:1/3 ");
	assert_string_equal(progress_of(&bench, "203.0.113.8"), "");
	knock(&bench, "8000");
	assert_string_equal(progress_of(&bench, "203.0.113.9"), "0:2/3 2:1/3 ");
	knock(&bench, "9001");
	assert_string_equal(progress_of(&bench, "203.0.113.9"), "1:2/2 ");
	knock(&bench, "8000");
	bench.now_us += 10 * S;
	assert_string_equal(progress_of(&bench, "203.0.113.9"), "1:1/2 2:1/3 ");
	bench.now_us += 1;
	assert_string_equal(progress_of(&bench, "203.0.113.9"), "");
	assert_int_equal(engine_sources(bench.engine), 2);
	engine_free(bench.engine);
}

/* xorshift64* (Vigna 2016), so that a failure can be repeated. */
static uint64_t seed = 1;
static uint64_t roll(uint64_t n)
{
	seed ^= seed >> 12;
	seed ^= seed << 25;
	seed ^= seed >> 27;
	return seed * 0x2545f4914f6cdd1du % n;
}

static void add_random_steps(struct knock *knock, size_t n_steps)
{
	knock->sequence.n_steps = (uint8_t)n_steps;
	for (size_t i = 0; i < n_steps; i++)
		knock->sequence.steps[i] = (struct step){
			.port = (uint16_t)(1 + roll(3)),
			.protocol = roll(4) ? IPPROTO_TCP : IPPROTO_UDP,
		};
}

enum { ORACLE_SOURCES = 3 };

static void random_doors(struct bench *bench)
{
	size_t n = 1 + roll(8);

	*bench = (struct bench){0};
	for (size_t i = 0; i < n; i++) {
		struct knock *knock = &bench->knocks[bench->n_knocks++];

		knock->filter = filter_default;
		if (roll(4) == 0)
			strcpy(knock->filter.interface, "eth1");
		knock->filter.has_target = roll(6) == 0;
		if (knock->filter.has_target)
			address_parse("192.0.2.2", &knock->filter.target);
		if (roll(6) == 0)
			filter_parse_flags("ack", &knock->filter);
		knock->seq_timeout_us = (1 + roll(12)) * S / (1 + roll(3));
		add_random_steps(knock, 1 + roll(roll(2) ? 4 : 12));
	}
	assert_int_equal(compile(bench), 0);
}

/* As many packets as the engine remembers for doors with this filter. */
static size_t remembered(const struct bench *bench, const struct filter *filter)
{
	size_t n = 4;

	for (size_t i = 0; i < bench->n_knocks; i++)
		if (filter_equal(&bench->knocks[i].filter, filter) &&
		    bench->knocks[i].sequence.n_steps > n)
			n = bench->knocks[i].sequence.n_steps;
	return n;
}

/* The engine and one of its doors. */
struct member {
	const struct bench *bench;
	const struct knock *knock;
};

static bool on_counts_each(const void *userdata, const struct probe *probe)
{
	const struct member *member = userdata;

	for (size_t i = 0; i < member->bench->n_knocks; i++) {
		const struct knock *knock = &member->bench->knocks[i];
		const struct step *steps = knock->sequence.steps;

		if (!filter_equal(&knock->filter, &member->knock->filter))
			continue;
		for (size_t j = 0; j < knock->sequence.n_steps; j++)
			if (steps[j].port == probe->port && steps[j].protocol == probe->protocol &&
			    (knock->sequence.n_steps == 1 ||
			     (j > 0 && steps[j - 1].port == steps[j].port &&
			      steps[j - 1].protocol == steps[j].protocol)))
				return true;
	}
	return false;
}

/* What a source is up to: most of its probes are the next step of some door's sequence, which it
 * may take up in the middle, so that knocks overlap, break off and begin anew. */
struct plan {
	size_t knock, step;
};

static struct step planned_step(const struct bench *bench, struct plan *plan)
{
	const struct sequence *sequence = &bench->knocks[plan->knock].sequence;

	if (plan->step >= sequence->n_steps || roll(16) == 0) {
		plan->knock = roll(bench->n_knocks);
		sequence = &bench->knocks[plan->knock].sequence;
		plan->step = roll(4) ? 0 : roll(sequence->n_steps);
	}
	return sequence->steps[plan->step++];
}

static struct probe random_probe(struct bench *bench, struct plan *plans, size_t *ret_source)
{
	static const char *const sources[ORACLE_SOURCES] = {"203.0.113.1", "203.0.113.2",
							    "2001:db8::1"};
	static const uint64_t pauses_us[] = {0, 1, 999, 300 * MS, S, 2 * S, 5 * S, 10 * S, 11 * S};
	struct probe probe = {.tcp_flags = TCP_FLAG_SYN};
	struct step step = {(uint16_t)(1 + roll(3)), roll(4) ? IPPROTO_TCP : IPPROTO_UDP};

	*ret_source = roll(ORACLE_SOURCES);
	if (roll(8))
		step = planned_step(bench, &plans[*ret_source]);
	/* Bursts within a millisecond, and pauses about as long as a knock may take. */
	bench->now_us += pauses_us[roll(roll(4) ? 3 : roll(8) ? 5 : 9)];
	address_parse(sources[*ret_source], &probe.source);
	address_parse(roll(8) ? "192.0.2.1" : "192.0.2.2", &probe.target);
	probe.time_us = bench->now_us;
	probe.source_port = (uint16_t)(roll(8) == 0 ? 1 + roll(4) : 1 + roll(60000));
	probe.port = step.port;
	probe.protocol = step.protocol;
	if (roll(20) == 0)
		probe.tcp_flags |= TCP_FLAG_ACK;
	strcpy(probe.interface, roll(3) ? "eth1" : "eth0");
	return probe;
}

/* What is expected comes, or something else does. */
static void expect(struct bench *bench, const struct probe *probe)
{
	struct probe probes[ENGINE_EXPECTED_MAX] = {*probe};
	size_t n = 1 + roll(ENGINE_EXPECTED_MAX);

	for (size_t i = roll(2); i < n; i++) {
		probes[i] = *probe;
		probes[i].source.bytes[15] = (uint8_t)roll(4);
	}
	engine_expect(bench->engine, probes, n);
}

static void compare_with_oracle(uint64_t round, size_t *n_matches)
{
	struct naive *oracles[KNOCKS_MAX][ORACLE_SOURCES];
	struct member members[KNOCKS_MAX];
	struct plan plans[ORACLE_SOURCES] = {0};
	struct bench bench;
	size_t source;

	seed = round * 0x9e3779b97f4a7c15u + 1;
	random_doors(&bench);
	for (size_t i = 0; i < bench.n_knocks; i++) {
		size_t n_remembered = remembered(&bench, &bench.knocks[i].filter);

		members[i] = (struct member){&bench, &bench.knocks[i]};
		for (size_t j = 0; j < ORACLE_SOURCES; j++)
			oracles[i][j] =
				naive_new(&bench.knocks[i], &(struct naive_limits){
								    .n_remembered = n_remembered,
								    .counts_each = on_counts_each,
								    .userdata = &members[i],
							    });
	}
	for (int n = 0; n < 2000; n++) {
		struct probe probe = random_probe(&bench, plans, &source);

		if (roll(100) == 0)
			inherit(&bench);
		if (roll(8) == 0)
			expect(&bench, &probe);
		*n_matches += feed(&bench, &probe) > 0;
		for (size_t i = 0; i < bench.n_knocks; i++)
			if (naive_feed(oracles[i][source], &probe) != bench.matched[i])
				fail_msg("round %ju, probe %d: the oracle says %s of knock %zu",
					 (uintmax_t)round, n, bench.matched[i] ? "no" : "yes", i);
	}
	for (size_t i = 0; i < bench.n_knocks; i++)
		for (size_t j = 0; j < ORACLE_SOURCES; j++)
			naive_free(oracles[i][j]);
	engine_free(bench.engine);
}

static void test_agrees_with_the_oracle(void **state)
{
	size_t n_matches = 0;

	(void)state;
	for (uint64_t round = 1; round <= 1500; round++)
		compare_with_oracle(round, &n_matches);
	assert_true(n_matches > 600000); /* of three million: the streams are worth something */
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_right_knock_matches),
		cmocka_unit_test(test_tells_who_is_underway),
		cmocka_unit_test(test_wrong_knocks_do_not),
		cmocka_unit_test(test_false_start_does_not_spoil_a_right_knock),
		cmocka_unit_test(test_scans_match_nothing),
		cmocka_unit_test(test_sources_are_apart),
		cmocka_unit_test(test_ipv6_prefix_joins_sources),
		cmocka_unit_test(test_seq_timeout_is_exact),
		cmocka_unit_test(test_long_pause_is_not_forgotten),
		cmocka_unit_test(test_retransmissions_are_no_probes),
		cmocka_unit_test(test_repeated_port_needs_two_packets),
		cmocka_unit_test(test_a_port_right_after_itself_breaks_nothing),
		cmocka_unit_test(test_a_port_right_after_itself_takes_no_time),
		cmocka_unit_test(test_a_port_that_another_door_has_twice_counts),
		cmocka_unit_test(test_one_millisecond_is_enough),
		cmocka_unit_test(test_clock_that_goes_back_begins_anew),
		cmocka_unit_test(test_clock_that_goes_back_by_hours),
		cmocka_unit_test(test_knocks_nine_years_after_the_first),
		cmocka_unit_test(test_out_of_order_is_no_other_clock),
		cmocka_unit_test(test_filtered_probes_neither_help_nor_hinder),
		cmocka_unit_test(test_doors_share_steps),
		cmocka_unit_test(test_least_recently_seen_gives_way),
		cmocka_unit_test(test_recently_seen_stays),
		cmocka_unit_test(test_idle_sources_are_dropped),
		cmocka_unit_test(test_sources_are_kept_for_as_long_as_they_matter),
		cmocka_unit_test(test_knock_goes_on_in_another_engine),
		cmocka_unit_test(test_other_sources_are_not_inherited),
		cmocka_unit_test(test_too_many_filters_are_refused),
		cmocka_unit_test(test_source_costs_at_most_96_bytes),
		cmocka_unit_test(test_a_large_table_has_large_pages),
		cmocka_unit_test(test_probes_allocate_nothing),
		cmocka_unit_test(test_tells_how_far_a_source_is),
		cmocka_unit_test(test_agrees_with_the_oracle),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
