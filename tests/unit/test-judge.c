#include "judge/judge.h"

#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "config/config.h"
#include "core/record.h"

#include "cmocka-all.h"

static const char text[] = "[options]\n"
			   "log_prefix = \"[knock] \"\n"
			   "[door ssh]\n"
			   "sequence = 7000, 9000, 8000\n"
			   "backend = ipset\n"
			   "set = ssh\n";

static struct config *load(const char *configuration)
{
	struct complaints complaints = {0};
	struct config *config = NULL;

	assert_int_equal(
		config_load_bytes(configuration, strlen(configuration), NULL, &config, &complaints),
		0);
	complaints_done(&complaints);
	return config;
}

static void on_match(void *userdata, const struct match *match)
{
	size_t *n_matches = userdata;

	assert_int_equal(match->knock, 0);
	++*n_matches;
}

struct trial {
	struct judge *judge;
	uint64_t now_us;
	uint32_t boot;
	size_t n_matches;
};

static void feed(struct trial *trial, const char *line)
{
	struct record record = {
		.text = line,
		.length = strlen(line),
		.kernel_us = trial->now_us += 1000,
		.boot = trial->boot,
	};

	judge_feed(trial->judge, &record, on_match, &trial->n_matches);
}

static void probe(struct trial *trial, int source_port, int port)
{
	char line[300];

	snprintf(
		line, sizeof line,
		"[knock] IN=eth0 OUT= MAC= SRC=203.0.113.9 DST=192.0.2.1 LEN=60 TOS=0x00 PREC=0x00 "
		"TTL=64 ID=1 DF PROTO=TCP SPT=%d DPT=%d WINDOW=64240 RES=0x00 SYN URGP=0 ",
		source_port, port);
	feed(trial, line);
}

static struct trial begin(void)
{
	struct config *config = load(text);
	struct trial trial = {.boot = 1};

	assert_int_equal(judge_new(config, NULL, &trial.judge), 0);
	config_free(config); /* it is not kept */
	return trial;
}

static void test_records_become_matches(void **state)
{
	struct trial trial = begin();
	const struct judge_counts *counts = judge_counts(trial.judge);

	(void)state;
	probe(&trial, 40000, 7000);
	feed(&trial, "eth0: link is up");
	feed(&trial, "[knock] IN=eth0 OUT= nonsense");
	probe(&trial, 40001, 9000);
	assert_int_equal(trial.n_matches, 0);
	probe(&trial, 40002, 8000);
	assert_int_equal(trial.n_matches, 1);
	assert_int_equal(counts->records, 5);
	assert_int_equal(counts->probes, 3);
	assert_int_equal(counts->damaged, 1);
	judge_free(trial.judge);
}

static void test_reboot_ends_a_knock(void **state)
{
	struct trial trial = begin();

	(void)state;
	probe(&trial, 40000, 7000);
	probe(&trial, 40001, 9000);
	trial.boot = 2;
	probe(&trial, 40002, 8000);
	assert_int_equal(trial.n_matches, 0);
	judge_free(trial.judge);
}

static void test_knock_goes_on_with_another_configuration(void **state)
{
	struct trial trial = begin();
	struct config *config = load("[options]\nlog_prefix = \"[knock] \"\n"
				     "[door ssh]\nsequence = 7000, 9000, 8000\n"
				     "backend = ipset\nset = other\n"
				     "[door web]\nsequence = 7000, 9000, 8001\n"
				     "backend = ipset\nset = web\n");
	struct judge *judge;

	(void)state;
	probe(&trial, 40000, 7000);
	probe(&trial, 40001, 9000);
	assert_int_equal(judge_new(config, trial.judge, &judge), 0);
	config_free(config);
	judge_free(trial.judge);
	trial.judge = judge;
	probe(&trial, 40002, 8000);
	assert_int_equal(trial.n_matches, 1);
	assert_int_equal(judge_counts(judge)->probes, 3);
	judge_free(judge);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_records_become_matches),
		cmocka_unit_test(test_reboot_ends_a_knock),
		cmocka_unit_test(test_knock_goes_on_with_another_configuration),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
