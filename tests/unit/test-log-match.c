/* Entries by their fields against the matches of logs, and what the journal's library is told of
 * these. */
#include "input/log-match.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "cmocka-all.h"
#include "core/other-log.h"
#include "input/entry.h"
#include "shortage.h"

/* Of the library: what it was told, a blank before each, and how many times more it agrees. */
static char told[256];
static size_t agreeing;

int __wrap_sd_journal_add_disjunction(sd_journal *journal);
int __wrap_sd_journal_add_match(sd_journal *journal, const void *data, size_t length);

static int tell(const char *text, size_t length)
{
	size_t n = strlen(told);

	if (agreeing == 0)
		return -EINVAL;
	agreeing--;
	snprintf(told + n, sizeof told - n, " %.*s", (int)length, text);
	return 0;
}

int __wrap_sd_journal_add_disjunction(sd_journal *journal)
{
	(void)journal;
	return tell("or", 2);
}

int __wrap_sd_journal_add_match(sd_journal *journal, const void *data, size_t length)
{
	(void)journal;
	return tell(data, length);
}

#define MATCHES(...) ((char *[]){__VA_ARGS__, NULL})
#define M(text)	     ((char *)(text))

static struct log_match *made_of(const struct other_log *logs, size_t n)
{
	struct log_match *log_match = NULL;

	assert_int_equal(log_match_new(logs, n, &log_match), 0);
	return log_match;
}

static uint32_t result_of(struct log_match *log_match, const char *const *fields)
{
	log_match_start(log_match);
	for (; *fields; fields++)
		log_match_show(log_match, *fields, strlen(*fields));
	return log_match_result(log_match);
}

static void test_whose_an_entry_is(void **state)
{
	const struct other_log logs[] = {
		{.matches = MATCHES(M("_UID=1"), M("TAG=x"), M("TAG=y"))},
		{.matches = MATCHES(M("TAG=x"))},
		{.matches = MATCHES(M("TAGS=x"), M("TAG=x"))},
	};
	static const struct {
		const char *fields[4];
		uint32_t logs;
	} cases[] = {
		{{NULL}, 0},
		{{"_UID=1"}, 0},
		{{"_UID=1", "TAG=y"}, 1},
		{{"TAG=y", "TAG=z", "_UID=1"}, 1},
		{{"_UID=1", "TAG=x"}, 1 | 2},
		{{"TAG=x"}, 2},
		{{"TAG=x", "TAG=x"}, 2},
		{{"TAGS=x"}, 0},
		{{"TAGS=x", "TAG=y"}, 0},
		{{"TAGS=x", "TAG=x"}, 2 | 4},
		{{"TAGS=x", "TAG=x", "_UID=1"}, 1 | 2 | 4},
		{{"_UID=11", "TAG=xx", "TAG="}, 0},
	};
	struct log_match *log_match = made_of(logs, 3);

	(void)state;
	for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++)
		if (result_of(log_match, cases[i].fields) != cases[i].logs)
			fail_msg("case %zu", i);
	log_match_free(log_match);
}

/* As many logs as there may be, each with many matches. */
static void test_many(void **state)
{
	enum { N_EACH = 100 };
	static char texts[OTHER_LOGS_MAX][N_EACH][16], *matches[OTHER_LOGS_MAX][N_EACH + 1];
	struct other_log logs[OTHER_LOGS_MAX];
	struct log_match *log_match;

	(void)state;
	for (size_t i = 0; i < OTHER_LOGS_MAX; i++) {
		for (size_t k = 0; k < N_EACH; k++) {
			snprintf(texts[i][k], sizeof texts[i][k], "TAG=%zu.%zu", i, k);
			matches[i][k] = texts[i][k];
		}
		logs[i].matches = matches[i];
	}
	log_match = made_of(logs, OTHER_LOGS_MAX);
	for (size_t i = 0; i < OTHER_LOGS_MAX; i++)
		for (size_t k = 0; k < N_EACH; k++)
			assert_int_equal(
				result_of(log_match, (const char *const[]){texts[i][k], NULL}),
				1 << i);
	log_match_free(log_match);
}

/* An entry of any log will do; and the first thing that the library refuses is the last. */
static void test_what_the_library_is_told(void **state)
{
	const struct other_log logs[] = {
		{.matches = MATCHES(M("TAG=x"))},
		{.matches = MATCHES(M("_UID=1"), M("TAG=y"))},
	};
	static const char *const expected[] = {
		"",
		" or",
		" or TAG=x",
		" or TAG=x or",
		" or TAG=x or _UID=1",
		" or TAG=x or _UID=1 TAG=y",
	};
	struct log_match *log_match = made_of(logs, 2);

	(void)state;
	for (size_t i = 0; i < 6; i++) {
		told[0] = '\0';
		agreeing = i;
		assert_int_equal(log_match_match(log_match, NULL), i < 5 ? -EINVAL : 0);
		assert_string_equal(told, expected[i]);
	}
	log_match_free(log_match);
}

static void test_no_memory(void **state)
{
	const struct other_log logs[] = {
		{.matches = MATCHES(M("TAG=x"))},
		{.matches = MATCHES(M("_UID=1"), M("TAG=y"))},
	};
	struct log_match *log_match = NULL;
	struct entry_reader reader = {0};

	(void)state;
	shortage_left = 0;
	assert_int_equal(entry_listen(&reader, logs, 2), -ENOMEM);
	for (size_t enough = 0; enough <= 4; enough++) {
		shortage_left = enough;
		assert_int_equal(log_match_new(logs, 2, &log_match), enough < 4 ? -ENOMEM : 0);
		shortage_left = SIZE_MAX;
		assert_true((log_match != NULL) == (enough == 4));
	}
	log_match_free(log_match);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_whose_an_entry_is),
		cmocka_unit_test(test_many),
		cmocka_unit_test(test_what_the_library_is_told),
		cmocka_unit_test(test_no_memory),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
