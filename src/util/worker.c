#include "util/worker.h"

#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <time.h>
#include <unistd.h>

#include "util/cleanup.h"
#include "util/clock.h"

struct job_list {
	struct worker_job *first, **end;
};

struct worker {
	pthread_t thread;
	pthread_mutex_t lock; /* of the lists and of `ending` */
	pthread_cond_t added;
	struct job_list waiting, run;
	bool ending;
	size_t n; /* those that are not done; of the one who adds them */
	int fd;
};

static void job_list_init(struct job_list *list)
{
	list->first = NULL;
	list->end = &list->first;
}

static void job_list_add(struct job_list *list, struct worker_job *job)
{
	job->next = NULL;
	*list->end = job;
	list->end = &job->next;
}

static struct worker_job *job_list_take(struct job_list *list)
{
	struct worker_job *job = list->first;

	if (job) {
		list->first = job->next;
		if (!list->first)
			list->end = &list->first;
	}
	return job;
}

/* NULL: there will be none any more. */
static struct worker_job *worker_next(struct worker *worker)
{
	struct worker_job *job;

	pthread_mutex_lock(&worker->lock);
	while (!(job = job_list_take(&worker->waiting)) && !worker->ending)
		pthread_cond_wait(&worker->added, &worker->lock);
	pthread_mutex_unlock(&worker->lock);
	return job;
}

static void *worker_main(void *userdata)
{
	static const uint64_t one = 1;
	struct worker *worker = userdata;
	struct worker_job *job;

	while ((job = worker_next(worker))) {
		job->run(job);
		pthread_mutex_lock(&worker->lock);
		job_list_add(&worker->run, job);
		/* Cannot fail: the counter is far from full. */
		(void)!write(worker->fd, &one, sizeof one);
		pthread_mutex_unlock(&worker->lock);
	}
	return NULL;
}

static int worker_start(struct worker *worker)
{
	sigset_t all, old;
	int r;

	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &old);
	r = pthread_create(&worker->thread, NULL, worker_main, worker);
	pthread_sigmask(SIG_SETMASK, &old, NULL);
	return -r;
}

static void worker_destroy(struct worker *worker)
{
	pthread_cond_destroy(&worker->added);
	pthread_mutex_destroy(&worker->lock);
	cleanup_close(&worker->fd);
	free(worker);
}

int worker_new(struct worker **ret)
{
	struct worker *worker = calloc(1, sizeof *worker);
	int r;

	if (!worker)
		return -ENOMEM;
	pthread_mutex_init(&worker->lock, NULL);
	pthread_cond_init(&worker->added, NULL);
	job_list_init(&worker->waiting);
	job_list_init(&worker->run);
	worker->fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	r = worker->fd < 0 ? -errno : worker_start(worker);
	if (r < 0)
		worker_destroy(worker);
	else
		*ret = worker;
	return r;
}

void worker_add(struct worker *worker, struct worker_job *job)
{
	worker->n++;
	pthread_mutex_lock(&worker->lock);
	job_list_add(&worker->waiting, job);
	pthread_cond_signal(&worker->added);
	pthread_mutex_unlock(&worker->lock);
}

int worker_fd(const struct worker *worker)
{
	return worker->fd;
}

void worker_collect(struct worker *worker)
{
	struct worker_job *job, *next;
	uint64_t count;

	pthread_mutex_lock(&worker->lock);
	(void)!read(worker->fd, &count, sizeof count);
	job = worker->run.first;
	job_list_init(&worker->run);
	pthread_mutex_unlock(&worker->lock);
	for (; job; job = next) {
		next = job->next;
		worker->n--;
		job->done(job);
	}
}

static void worker_wait(struct worker *worker, uint64_t limit_us)
{
	uint64_t now_us = clock_us(CLOCK_MONOTONIC), end_us = now_us + limit_us;

	while (worker->n > 0 && now_us < end_us) {
		struct pollfd readable = {.fd = worker->fd, .events = POLLIN};

		poll(&readable, 1, (int)((end_us - now_us + 999) / 1000));
		worker_collect(worker);
		now_us = clock_us(CLOCK_MONOTONIC);
	}
}

size_t worker_free(struct worker *worker, uint64_t limit_us)
{
	if (!worker)
		return 0;
	worker_wait(worker, limit_us);
	if (worker->n > 0) {
		pthread_detach(worker->thread);
		return worker->n;
	}
	pthread_mutex_lock(&worker->lock);
	worker->ending = true;
	pthread_cond_signal(&worker->added);
	pthread_mutex_unlock(&worker->lock);
	pthread_join(worker->thread, NULL);
	worker_destroy(worker);
	return 0;
}
