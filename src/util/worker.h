/* A worker: a thread for what may have to wait for a disk. It does one job after the other, in the
 * order in which they were added. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct worker;

/* A part of what belongs to the job. From worker_add() until `done` is called, what `run` uses is
 * the worker's. */
struct worker_job {
	struct worker_job *next;
	void (*run)(struct worker_job *job);  /* in the thread */
	void (*done)(struct worker_job *job); /* in worker_collect(); may free the job */
};

/* 0 or a negative errno. The thread takes no signals. */
int worker_new(struct worker **ret);

/* Waits for all jobs, but no longer than `limit_us`, and collects them. Those that are left have
 * the thread and their memory until the process ends, and are never done. Returns how many. */
size_t worker_free(struct worker *worker, uint64_t limit_us);

void worker_add(struct worker *worker, struct worker_job *job);

/* Readable when worker_collect() has something to do. */
int worker_fd(const struct worker *worker);

/* Calls `done` of each job that has been run, in their order. */
void worker_collect(struct worker *worker);
