#include "match/matcher.h"

#include <errno.h>
#include <netinet/in.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "config/config.h"
#include "config/load.h"
#include "core/other-log.h"
#include "core/probe.h"
#include "core/record.h"
#include "keys/burn.h"
#include "keys/one-time.h"

#include "allocations.h"
#include "cmocka-all.h"
#include "support.h"

static const char text[] = "[options]\n"
			   "log_prefix = \"[knock] \"\n"
			   "[door ssh]\n"
			   "sequence = 7000, 9000, 8000\n"
			   "backend = ipset\n"
			   "set = ssh\n";

static bool sodium_is_broken;

int __real_sodium_init(void);
int __wrap_sodium_init(void);

int __wrap_sodium_init(void)
{
	return sodium_is_broken ? -1 : __real_sodium_init();
}

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

	assert_int_equal(match->door, 0);
	++*n_matches;
}

struct trial {
	struct matcher *matcher;
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

	matcher_feed(trial->matcher, &record, on_match, &trial->n_matches);
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

	assert_int_equal(matcher_new(config, MATCH_LIVE, NULL, &trial.matcher), 0);
	config_free(config); /* it is not kept */
	return trial;
}

static void test_records_become_matches(void **state)
{
	struct trial trial = begin();
	const struct matcher_counts *counts = matcher_counts(trial.matcher);

	(void)state;
	probe(&trial, 40000, 7000);
	feed(&trial, "eth0: link is up");
	feed(&trial, "[knock] IN=eth0 OUT= nonsense");
	assert_null(matcher_probe(trial.matcher));
	probe(&trial, 40001, 9000);
	assert_int_equal(matcher_probe(trial.matcher)->port, 9000);
	assert_int_equal(matcher_sources(trial.matcher), 1);
	assert_int_equal(trial.n_matches, 0);
	probe(&trial, 40002, 8000);
	assert_int_equal(trial.n_matches, 1);
	assert_int_equal(counts->records, 5);
	assert_int_equal(counts->probes, 3);
	assert_int_equal(counts->damaged, 1);
	matcher_free(trial.matcher);
}

static void test_full_tables_are_counted(void **state)
{
	static const char *const lines[] = {
		"xt_hashlimit: max count of 65536 reached",
		"xt_hashlimit: max count of 1 reached",
		"xt_hashlimit: max count of  reached",
		"xt_hashlimit: max count of x1 reached",
		"ip_hashlimit: max count of 1 reached",
		"xt_hashlimit: max count of 1 reached ",
		"xt_hashlimit: max count of 1 reach",
		"xt_hashlimit: max count of 12",
		"[knock] xt_hashlimit: max count of 65536 reached",
	};
	struct trial trial = begin();

	(void)state;
	for (size_t i = 0; i < sizeof lines / sizeof lines[0]; i++)
		feed(&trial, lines[i]);
	assert_int_equal(matcher_counts(trial.matcher)->full_tables, 2);
	assert_int_equal(matcher_counts(trial.matcher)->probes, 0);
	matcher_free(trial.matcher);
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
	matcher_free(trial.matcher);
}

/* What was said of which record. */
struct log {
	const struct matcher *matcher;
	uint64_t n, sum;
};

static void write_log(void *userdata, const struct match *match)
{
	struct log *log = userdata;

	log->n++;
	log->sum =
		log->sum * 31 + matcher_record(log->matcher)->kernel_us + match->source.bytes[15];
}

enum { LINE_BYTES = 200 };

static void write_random_line(char line[static LINE_BYTES])
{
	static const int ports[] = {7000, 9000, 8000};
	int die = rand() % 12;

	if (die < 10)
		snprintf(line, LINE_BYTES,
			 "[knock] IN=eth0 OUT= MAC= SRC=203.0.113.%d DST=192.0.2.1 LEN=60 TOS=0x00 "
			 "PREC=0x00 TTL=64 ID=1 DF PROTO=TCP SPT=%d DPT=%d WINDOW=64240 RES=0x00 "
			 "SYN URGP=0 ",
			 rand() % 4, 1024 + rand() % 60000, ports[rand() % 3]);
	else
		snprintf(line, LINE_BYTES, "%s",
			 die == 10 ? "[knock] IN=eth0 OUT= nonsense" : "eth0: link is up");
}

/* Of few sources, each port of a knock, with nonsense and reboots in between. */
static void write_random_records(char (*lines)[LINE_BYTES], struct record *ret, size_t n)
{
	static uint64_t now_us;
	static uint32_t boot = 1;

	for (size_t i = 0; i < n; i++) {
		boot += rand() % 200 == 0;
		write_random_line(lines[i]);
		ret[i] = (struct record){
			.text = lines[i],
			.length = strlen(lines[i]),
			.kernel_us = now_us += 1000,
			.boot = boot,
		};
	}
}

/* Several at a time are judged as one after another. */
static void test_many_at_a_time(void **state)
{
	enum { N_MAX = 50, ROUNDS = 2000 };
	static char lines[N_MAX][LINE_BYTES];
	struct matcher *one = begin().matcher, *all = begin().matcher;
	struct log log_one = {.matcher = one}, log_all = {.matcher = all};
	struct record records[N_MAX];

	(void)state;
	srand(1);
	for (int round = 0; round < ROUNDS; round++) {
		size_t n = 1 + (size_t)rand() % N_MAX;
		enum engine_state state_one = ENGINE_QUIET;

		write_random_records(lines, records, n);
		for (size_t i = 0; i < n; i++)
			state_one = matcher_feed(one, &records[i], write_log, &log_one);
		if (round % 3 == 0)
			for (size_t i = 0; i < n; i++)
				matcher_feed(all, &records[i], write_log, &log_all);
		else
			assert_int_equal(matcher_feed_all(all, records, n, write_log, &log_all),
					 state_one);
		assert_true(log_all.n == log_one.n && log_all.sum == log_one.sum);
		assert_memory_equal(matcher_counts(all), matcher_counts(one),
				    sizeof(struct matcher_counts));
	}
	assert_true(log_one.n > 500);
	matcher_free(one);
	matcher_free(all);
}

static void test_knock_goes_on_with_another_configuration(void **state)
{
	struct trial trial = begin();
	struct config *config = load("[options]\nlog_prefix = \"[knock] \"\n"
				     "[door ssh]\nsequence = 7000, 9000, 8000\n"
				     "backend = ipset\nset = other\n"
				     "[door web]\nsequence = 7000, 9000, 8001\n"
				     "backend = ipset\nset = web\n");
	struct matcher *matcher;

	(void)state;
	probe(&trial, 40000, 7000);
	probe(&trial, 40001, 9000);
	assert_int_equal(matcher_new(config, MATCH_LIVE, trial.matcher, &matcher), 0);
	config_free(config);
	matcher_free(trial.matcher);
	trial.matcher = matcher;
	probe(&trial, 40002, 8000);
	assert_int_equal(trial.n_matches, 1);
	assert_int_equal(matcher_counts(matcher)->probes, 3);
	matcher_free(matcher);
}

/* Every kind of line: knocks, other probes, nonsense, and what makes the pattern work hardest. */
static void feed_many(struct trial *trial)
{
	char hostile[1100];

	for (int i = 0; i < 1000; i++) {
		probe(trial, 40000 + i % 1000, 9000 - i % 3 * 1000);
		feed(trial, "[knock] IN=eth0 OUT= nonsense");
		feed(trial, "eth0: link is up");
		memset(hostile, "0: F"[i % 4], sizeof hostile - 1);
		hostile[sizeof hostile - 1] = '\0';
		memcpy(hostile, "[knock] IN=eth0 OUT= MAC=", 25);
		feed(trial, hostile);
	}
}

/* Also where memory may not be both written and executed, as in the daemon's unit. */
static void test_records_allocate_nothing(void **state)
{
	(void)state;
	for (int strict = 0; strict <= 1; strict++) {
		pid_t child = fork();
		int status;

		assert_true(child >= 0);
		if (child == 0) {
			struct trial trial;
			size_t before;

#ifndef PR_SET_MDWE
#define PR_SET_MDWE 65
#endif
			if (strict && prctl(PR_SET_MDWE, 1, 0, 0, 0) < 0)
				_exit(77);
			trial = begin();
			before = allocations_blocks();
			feed_many(&trial);
			_exit(trial.n_matches == 0 || allocations_blocks() != before);
		}
		assert_int_equal(waitpid(child, &status, 0), child);
		assert_true(WIFEXITED(status));
		if (WEXITSTATUS(status) == 77)
			print_message("no PR_SET_MDWE: the interpreter is not tried\n");
		else
			assert_int_equal(WEXITSTATUS(status), 0);
	}
}

/* Doors whose sequences are in files. */

struct told {
	size_t n;
	size_t door;
	bool problem;
	char reason[BURN_REASON_SIZE]; /* of the last problem */
};

static void on_told(void *userdata, const struct match *match)
{
	struct told *told = userdata;

	told->n++;
	told->door = match->door;
	told->problem = match->problem != NULL;
	if (told->problem)
		snprintf(told->reason, sizeof told->reason, "%s", match->problem);
	if (match->burn) {
		int r = burn_run(NULL, match->burn);

		told->problem |= r < 0;
		if (r < 0)
			burn_explain(match->burn, r, told->reason);
	}
}

struct stock {
	char *directory, *path;
	struct matcher *matcher;
	match_fn fn;
	struct told told;
	uint64_t now_us;
	int source_port;
};

/* One or two doors that have the file; the second one wants probes that came in at eth1. */
static void stock_compile(struct stock *stock, int n_doors, enum matcher_mode mode)
{
	struct matcher *matcher;
	struct config *config;
	char *written;

	assert_true(asprintf(&written,
			     "[options]\nlog_prefix = '[knock] '\n"
			     "[door a]\nbackend = ipset\nset = a\none_time_sequences = %s\n"
			     "%s[door b]\n%sbackend = ipset\n%sset = b\n"
			     "%sone_time_sequences = %s/../%s/sequences\n%sinterface = eth1\n",
			     stock->path, n_doors > 1 ? "" : ";", n_doors > 1 ? "" : ";",
			     n_doors > 1 ? "" : ";", n_doors > 1 ? "" : ";", stock->directory,
			     strrchr(stock->directory, '/') + 1, n_doors > 1 ? "" : ";") > 0);
	config = load(written);
	assert_non_null(config);
	assert_int_equal(matcher_new(config, mode, stock->matcher, &matcher), 0);
	matcher_free(stock->matcher);
	stock->matcher = matcher;
	config_free(config);
	free(written);
}

static struct stock stock_begin(int n_doors, const char *lines, enum matcher_mode mode)
{
	struct stock stock = {
		.directory = support_directory(),
		.fn = on_told,
		.source_port = 40000,
	};

	stock.path = support_path(stock.directory, "sequences");
	support_write(stock.path, lines, strlen(lines));
	assert_int_equal(chmod(stock.path, 0600), 0);
	stock_compile(&stock, n_doors, mode);
	return stock;
}

static void stock_end(struct stock *stock)
{
	matcher_free(stock->matcher);
	support_remove(stock->directory);
	free(stock->path);
}

/* How many doors the knock is for. */
static size_t stock_knock(struct stock *stock, const char *interface, int a, int b)
{
	char line[300];
	size_t before = stock->told.n;

	for (int i = 0; i < 2; i++) {
		struct record record = {
			.text = line,
			.kernel_us = stock->now_us += 1000,
			.realtime_us = UINT64_C(1795384800000000),
		};

		snprintf(line, sizeof line,
			 "[knock] IN=%s OUT= MAC= SRC=203.0.113.9 DST=192.0.2.1 LEN=60 TOS=0x00 "
			 "PREC=0x00 TTL=64 ID=1 DF PROTO=TCP SPT=%d DPT=%d WINDOW=64240 RES=0x00 "
			 "SYN URGP=0 ",
			 interface, stock->source_port++, i == 0 ? a : b);
		record.length = strlen(line);
		matcher_feed(stock->matcher, &record, stock->fn, &stock->told);
	}
	return stock->told.n - before;
}

static void test_line_is_good_for_one_knock(void **state)
{
	struct stock stock = stock_begin(1, "9, 7\n8, 6\n9, 5\n", MATCH_LIVE);
	char *left;

	(void)state;
	assert_int_equal(stock_knock(&stock, "eth0", 8, 6), 0); /* not in force yet */
	assert_int_equal(stock_knock(&stock, "eth0", 9, 7), 1);
	assert_false(stock.told.problem);
	assert_int_equal(stock_knock(&stock, "eth0", 9, 7), 0);
	assert_int_equal(stock_knock(&stock, "eth0", 9, 5), 0);
	assert_int_equal(stock_knock(&stock, "eth0", 8, 6), 1);
	stock_compile(&stock, 1, MATCH_LIVE);
	assert_int_equal(stock_knock(&stock, "eth0", 8, 6), 0);
	assert_int_equal(stock_knock(&stock, "eth0", 9, 5), 1);
	assert_int_equal(stock_knock(&stock, "eth0", 9, 5), 0);
	assert_int_equal(one_time_count(matcher_one_time(stock.matcher, 0)),
			 one_time_current(matcher_one_time(stock.matcher, 0)));
	left = support_read(stock.path, NULL);
	assert_non_null(strstr(left, "# used 2026-11-22 22:00:00 UTC by 203.0.113.9"));
	free(left);
	stock_end(&stock);
}

/* Whoever listens breaks a knock with a port in the knocker's name, and must not send its line. */
static void test_a_broken_line_is_used_up(void **state)
{
	struct stock stock = stock_begin(1, "9, 7\n8, 6\n5, 4\n", MATCH_LIVE);

	(void)state;
	assert_int_equal(stock_knock(&stock, "eth0", 9, 1), 0);
	assert_int_equal(stock_knock(&stock, "eth0", 7, 1), 1);
	assert_true(stock.told.problem);
	assert_non_null(strstr(stock.told.reason, "it is used up"));
	assert_int_equal(stock_knock(&stock, "eth0", 9, 7), 0);
	assert_int_equal(stock_knock(&stock, "eth0", 8, 6), 1);
	assert_false(stock.told.problem);
	assert_int_equal(stock_knock(&stock, "eth0", 5, 1), 0);
	assert_int_equal(stock_knock(&stock, "eth0", 4, 1), 1);
	assert_true(stock.told.problem);
	stock_end(&stock);
}

static void test_doors_share_a_file(void **state)
{
	struct stock stock = stock_begin(2, "9, 7\n8, 6\n", MATCH_LIVE);

	(void)state;
	assert_int_equal(stock_knock(&stock, "eth1", 9, 7), 1);
	assert_int_equal(stock.told.door, 0);
	assert_int_equal(stock_knock(&stock, "eth1", 9, 7), 0);
	assert_int_equal(stock_knock(&stock, "eth0", 8, 6), 1);
	assert_int_equal(stock_knock(&stock, "eth1", 8, 6), 0);
	stock_end(&stock);
}

/* A door beside it keeps the sequence of its own. */
static void test_a_file_is_of_the_doors_that_name_it(void **state)
{
	struct stock stock = stock_begin(1, "9, 7\n8, 6\n", MATCH_LIVE);
	struct matcher *matcher;
	struct config *config;
	char *written;

	(void)state;
	assert_true(asprintf(&written,
			     "[options]\nlog_prefix = '[knock] '\n"
			     "[door a]\nbackend = ipset\nset = a\nsequence = 7, 9, 8\n"
			     "[door b]\nbackend = ipset\nset = b\none_time_sequences = %s\n",
			     stock.path) > 0);
	config = load(written);
	assert_int_equal(matcher_new(config, MATCH_LIVE, NULL, &matcher), 0);
	assert_null(matcher_one_time(matcher, 0));
	assert_non_null(matcher_one_time(matcher, 1));
	matcher_free(matcher);
	config_free(config);
	free(written);
	stock_end(&stock);
}

/* Lines of two files, and a file whose doors look at different interfaces. */
static void test_two_files(void **state)
{
	struct stock stock = stock_begin(1, "9, 7\n9, 6\n", MATCH_LIVE);
	char *path = support_path(stock.directory, "others"), *written;
	struct config *config;

	(void)state;
	support_write(path, "8, 6\n8, 5\n", 10);
	assert_int_equal(chmod(path, 0600), 0);
	assert_true(asprintf(&written,
			     "[options]\nlog_prefix = '[knock] '\n"
			     "[door a]\nbackend = ipset\nset = a\none_time_sequences = %s\n"
			     "[door b]\nbackend = ipset\nset = b\none_time_sequences = %s\n"
			     "interface = eth1\n"
			     "[door c]\nbackend = ipset\nset = c\none_time_sequences = %s\n"
			     "interface = eth0\n"
			     "[door d]\nbackend = ipset\nset = d\nsequence = 4000\n",
			     stock.path, path, path) > 0);
	config = load(written);
	assert_non_null(config);
	matcher_free(stock.matcher);
	assert_int_equal(matcher_new(config, MATCH_LIVE, NULL, &stock.matcher), 0);
	config_free(config);
	assert_int_equal(stock_knock(&stock, "eth0", 8, 6), 1);
	assert_int_equal(stock.told.door, 2);
	assert_int_equal(stock_knock(&stock, "eth0", 9, 1), 0);
	assert_int_equal(stock_knock(&stock, "eth0", 7, 1), 1);
	assert_int_equal(stock.told.door, 0);
	assert_true(stock.told.problem);
	assert_int_equal(stock_knock(&stock, "eth1", 8, 5), 1);
	assert_int_equal(stock.told.door, 1);
	assert_int_equal(stock_knock(&stock, "eth1", 4000, 1), 1);
	assert_int_equal(stock.told.door, 3);
	free(written);
	free(path);
	stock_end(&stock);
}

static void test_rehearsal_uses_nothing_up(void **state)
{
	struct stock stock = stock_begin(1, "9, 7\n8, 6\n", MATCH_DRY_RUN);
	char *left;

	(void)state;
	assert_int_equal(stock_knock(&stock, "eth0", 9, 7), 1);
	assert_int_equal(stock_knock(&stock, "eth0", 9, 7), 0);
	assert_int_equal(stock_knock(&stock, "eth0", 8, 6), 1);
	left = support_read(stock.path, NULL);
	assert_string_equal(left, "9, 7\n8, 6\n");
	free(left);
	stock_end(&stock);
}

/* Nor does it later: it was on the wire, and whoever reads the file again knows that. */
static void test_unmarked_line_opens_nothing(void **state)
{
	struct stock stock = stock_begin(2, "9, 7\n8, 6\n7, 5\n", MATCH_LIVE);
	char *left;

	(void)state;
	assert_int_equal(chmod(stock.path, 0604), 0);
	assert_int_equal(stock_knock(&stock, "eth0", 9, 7), 1);
	assert_true(stock.told.problem);
	assert_int_equal(chmod(stock.path, 0600), 0);
	assert_int_equal(stock_knock(&stock, "eth0", 9, 7), 0);
	stock_compile(&stock, 1, MATCH_LIVE);
	stock_compile(&stock, 2, MATCH_LIVE);
	assert_int_equal(stock_knock(&stock, "eth0", 9, 7), 0);
	assert_int_equal(stock_knock(&stock, "eth0", 8, 6), 1);
	assert_false(stock.told.problem);
	left = support_read(stock.path, NULL);
	assert_non_null(strstr(left, "# used before, but could not be marked then: 9, 7\n# used "));
	free(left);
	stock_end(&stock);
}

/* What the administrator reads is what has to be done about it. */
static void test_reason_why_a_line_is_not_marked(void **state)
{
	struct stock stock = stock_begin(1, "9, 7\n8, 6\n7, 5\n", MATCH_LIVE);

	(void)state;
	support_write(stock.path, "8, 6\n", 5);
	assert_int_equal(stock_knock(&stock, "eth0", 9, 7), 1);
	assert_string_equal(stock.told.reason,
			    "its sequence is used up, but cannot be marked as used: the file has "
			    "changed; reload");
	assert_int_equal(chmod(stock.path, 0604), 0);
	stock.told.reason[0] = '\0';
	assert_int_equal(stock_knock(&stock, "eth0", 8, 6), 1);
	assert_string_equal(stock.told.reason,
			    "its sequence is used up, but cannot be marked as used: the file has "
			    "changed; reload");
	assert_int_equal(unlink(stock.path), 0);
	assert_int_equal(stock_knock(&stock, "eth0", 7, 5), 1);
	assert_string_equal(
		stock.told.reason,
		"its sequence is used up, but cannot be marked as used: No such file or "
		"directory");
	stock_end(&stock);
}

static void die(void *userdata, const struct match *match)
{
	(void)userdata;
	burn_run(NULL, match->burn);
	raise(SIGKILL);
}

/* Killed between the mark and the door: the knock is lost, and stays so. */
static void test_crash_before_the_door_loses_the_knock(void **state)
{
	struct stock stock = stock_begin(1, "9, 7\n8, 6\n", MATCH_LIVE);
	pid_t child = fork();
	int status;

	(void)state;
	assert_true(child >= 0);
	if (child == 0) {
		stock.fn = die;
		stock_knock(&stock, "eth0", 9, 7);
		_exit(0);
	}
	assert_int_equal(waitpid(child, &status, 0), child);
	assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
	stock_compile(&stock, 1, MATCH_LIVE);
	assert_int_equal(stock_knock(&stock, "eth0", 9, 7), 0);
	assert_int_equal(stock_knock(&stock, "eth0", 8, 6), 1);
	stock_end(&stock);
}

/* Other logs. */

static void on_progress(void *userdata, const struct match_progress *progress)
{
	struct match_progress *last = userdata;

	*last = *progress;
}

static const char two_logs[] =
	"[options]\nlog_prefix = '[knock] '\n"
	"[door kernel]\nsequence = 7000, 9000, 8000\nbackend = ipset\nset = a\n"
	"[log edge]\nmatch = _UID=0\n"
	"pattern = DROP (?<SRC>[0-9.]+) (?<DPT>[0-9]+)(?: (?<SPT>[0-9]+))?\n"
	"[door edge]\nsequence = 7000, 9000, 8000\nlog = edge\nbackend = ipset\nset = a\n";

static void feed_from(struct matcher *matcher, uint32_t log, uint64_t now_us, const char *line,
		      struct told *told)
{
	struct record record = {
		.text = line,
		.length = strlen(line),
		.kernel_us = now_us,
		.log = log,
	};

	matcher_feed(matcher, &record, on_told, told);
}

static void test_logs_are_never_mixed(void **state)
{
	static const char *const lines[] = {"DROP 203.0.113.9 7000 1", "DROP 203.0.113.9 9000 2",
					    "DROP 203.0.113.9 8000 3"};
	struct config *config = load(two_logs);
	struct match_progress progress = {.n_steps = 99};
	struct told told = {0};
	struct matcher *matcher;
	char line[300];

	(void)state;
	assert_non_null(config);
	assert_int_equal(matcher_new(config, MATCH_LIVE, NULL, &matcher), 0);
	config_free(config);
	for (uint64_t i = 0; i < 3; i++) {
		assert_int_equal(told.n, 0);
		feed_from(matcher, 0, i, lines[i], &told); /* as the kernel's it is nothing */
		feed_from(matcher, 2, i, lines[i],
			  &told); /* nor as that of a log that does not exist */
		assert_null(matcher_probe(matcher));
		assert_int_equal(told.n, 0);
		feed_from(matcher, 1, i, lines[i], &told);
		matcher_progress(matcher, on_progress, &progress);
		assert_int_equal(progress.n_steps, i + 1);
		assert_int_equal(progress.n_needed, 3);
		assert_int_equal(progress.door, 1);
	}
	assert_int_equal(told.n, 1);
	assert_int_equal(told.door, 1);
	/* The kernel's own words, in a program's mouth. */
	for (int i = 0; i < 3; i++) {
		snprintf(line, sizeof line,
			 "[knock] IN=eth0 OUT= MAC= SRC=203.0.113.9 DST=192.0.2.1 LEN=60 TOS=0x00 "
			 "PREC=0x00 TTL=64 ID=1 DF PROTO=TCP SPT=%d DPT=%d WINDOW=64240 RES=0x00 "
			 "SYN URGP=0 ",
			 i + 1,
			 7000 + (i == 1	  ? 2000
				 : i == 2 ? 1000
					  : 0));
		feed_from(matcher, 1, 10, line, &told);
	}
	feed_from(matcher, 1, 10, "xt_hashlimit: max count of 1 reached", &told);
	assert_int_equal(matcher_counts(matcher)->full_tables, 0);
	assert_int_equal(told.n, 1);
	matcher_free(matcher);
}

/* What configurations are checked for before may be asked for all the same. */
static void test_what_cannot_be_compiled(void **state)
{
	struct config *config = load(two_logs);
	struct matcher *matcher = NULL;

	(void)state;
	free(config->logs[0].pattern);
	config->logs[0].pattern = strdup("(");
	assert_int_equal(matcher_new(config, MATCH_LIVE, NULL, &matcher), -EBADMSG);
	config_free(config);
	config = load(text);
	sodium_is_broken = true;
	assert_int_equal(matcher_new(config, MATCH_LIVE, NULL, &matcher), -EIO);
	sodium_is_broken = false;
	config_free(config);
	assert_null(matcher);
}

/* Of as many logs as there may be, each has a pattern of its own. */
static void test_as_many_logs_as_there_may_be(void **state)
{
	char written[4096] = "[options]\nlog_prefix = '[knock] '\n", line[20];
	struct config *config;
	struct matcher *matcher;

	(void)state;
	for (int i = 1; i <= OTHER_LOGS_MAX; i++)
		sprintf(written + strlen(written),
			"[log l%d]\nmatch = _UID=0\npattern = L%d (?<SRC>[0-9.]+) (?<DPT>[0-9]+)\n"
			"[door d%d]\nsequence = 7, 9\nlog = l%d\nbackend = ipset\nset = a\n",
			i, i, i, i);
	config = load(written);
	assert_int_equal(matcher_new(config, MATCH_LIVE, NULL, &matcher), 0);
	config_free(config);
	for (uint32_t i = 1; i <= OTHER_LOGS_MAX; i++) {
		int n = sprintf(line, "L%u 192.0.2.1 7", i);

		for (uint32_t log = 0; log <= OTHER_LOGS_MAX + 1; log++)
			assert_int_equal(matcher_begins(matcher, log, line, (size_t)n), log == i);
	}
	matcher_free(matcher);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_records_allocate_nothing),
		cmocka_unit_test(test_line_is_good_for_one_knock),
		cmocka_unit_test(test_a_broken_line_is_used_up),
		cmocka_unit_test(test_doors_share_a_file),
		cmocka_unit_test(test_a_file_is_of_the_doors_that_name_it),
		cmocka_unit_test(test_two_files),
		cmocka_unit_test(test_rehearsal_uses_nothing_up),
		cmocka_unit_test(test_unmarked_line_opens_nothing),
		cmocka_unit_test(test_reason_why_a_line_is_not_marked),
		cmocka_unit_test(test_crash_before_the_door_loses_the_knock),
		cmocka_unit_test(test_logs_are_never_mixed),
		cmocka_unit_test(test_what_cannot_be_compiled),
		cmocka_unit_test(test_as_many_logs_as_there_may_be),
		cmocka_unit_test(test_records_become_matches),
		cmocka_unit_test(test_full_tables_are_counted),
		cmocka_unit_test(test_reboot_ends_a_knock),
		cmocka_unit_test(test_many_at_a_time),
		cmocka_unit_test(test_knock_goes_on_with_another_configuration),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
