#include "util/worker.h"

#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <unistd.h>

#include "cmocka-all.h"

enum { N = 5, LONG_US = 60000000 };

/* What has been done, by number. */
struct account {
	int numbers[N];
	int n;
};

struct errand {
	struct worker_job job;
	struct account *account;
	int number;
	int gate; /* what it waits to read a byte from; -1: nothing */
	sigset_t mask;
	pthread_t thread;
};

static void run(struct worker_job *job)
{
	struct errand *errand = (struct errand *)job;
	char byte;

	if (errand->gate >= 0 && read(errand->gate, &byte, 1) != 1)
		abort();
	pthread_sigmask(SIG_BLOCK, NULL, &errand->mask);
	errand->thread = pthread_self();
}

static void on_done(struct worker_job *job)
{
	const struct errand *errand = (struct errand *)job;
	struct account *account = errand->account;

	account->numbers[account->n++] = errand->number;
}

static struct errand errand_of(struct account *account, int number, int gate)
{
	return (struct errand){
		.job = {.run = run, .done = on_done},
		.account = account,
		.number = number,
		.gate = gate,
	};
}

static void wait_readable(const struct worker *worker)
{
	struct pollfd readable = {.fd = worker_fd(worker), .events = POLLIN};

	assert_int_equal(poll(&readable, 1, -1), 1);
}

static void test_jobs_are_done_in_their_order(void **state)
{
	struct account account = {.n = 0};
	struct errand errands[N];
	struct worker *worker;

	(void)state;
	assert_int_equal(worker_new(&worker), 0);
	for (int i = 0; i < N; i++) {
		errands[i] = errand_of(&account, i, -1);
		worker_add(worker, &errands[i].job);
	}
	assert_int_equal(worker_free(worker, LONG_US), 0);
	assert_int_equal(account.n, N);
	for (int i = 0; i < N; i++)
		assert_int_equal(account.numbers[i], i);
}

/* In another thread, which hears no signal; and whoever has added it hears when it is run. */
static void test_a_job_that_waits_holds_nobody_up(void **state)
{
	struct account account = {.n = 0};
	struct errand errand;
	struct worker *worker;
	int gate[2];

	(void)state;
	assert_int_equal(pipe(gate), 0);
	assert_int_equal(worker_new(&worker), 0);
	errand = errand_of(&account, 1, gate[0]);
	worker_add(worker, &errand.job);
	worker_collect(worker);
	assert_int_equal(account.n, 0);
	assert_int_equal(write(gate[1], "", 1), 1);
	wait_readable(worker);
	assert_int_equal(account.n, 0);
	worker_collect(worker);
	assert_int_equal(account.n, 1);
	assert_false(pthread_equal(errand.thread, pthread_self()));
	assert_true(sigismember(&errand.mask, SIGTERM));
	assert_true(sigismember(&errand.mask, SIGHUP));
	assert_int_equal(worker_free(worker, LONG_US), 0);
	close(gate[0]);
	close(gate[1]);
}

/* A disk that hangs must not keep the process. What it has belongs to the thread then. */
static void test_an_end_that_does_not_wait_for_ever(void **state)
{
	static struct account account;
	static struct errand errands[2];
	struct worker *worker;
	int gate[2];

	(void)state;
	assert_int_equal(pipe(gate), 0);
	assert_int_equal(worker_new(&worker), 0);
	for (int i = 0; i < 2; i++) {
		errands[i] = errand_of(&account, i, gate[0]);
		worker_add(worker, &errands[i].job);
	}
	assert_int_equal(write(gate[1], "", 1), 1);
	wait_readable(worker);
	assert_int_equal(worker_free(worker, 1), 1);
	assert_int_equal(account.n, 1);
}

static void test_nobody(void **state)
{
	(void)state;
	assert_int_equal(worker_free(NULL, 0), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_jobs_are_done_in_their_order),
		cmocka_unit_test(test_a_job_that_waits_holds_nobody_up),
		cmocka_unit_test(test_an_end_that_does_not_wait_for_ever),
		cmocka_unit_test(test_nobody),
	};

	return cmocka_run_group_tests_name("worker", tests, NULL, NULL);
}
