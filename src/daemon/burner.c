#include "daemon/burner.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>

#include "core/visitor.h"
#include "keys/burn.h"
#include "keys/burnt.h"
#include "keys/one-time.h"
#include "util/cleanup.h"
#include "util/clock.h"
#include "util/log.h"
#include "util/worker.h"

/* Of each key, or file of one-time sequences: who has it must not have the others wait. */
enum { WAITING_MAX = 256, OF_ONE_MAX = 8 };

/* Of what was used at other hosts: those who knock here wait for as few of them. */
enum { FOREIGN_MAX = 16 };

/* How long an ending daemon waits for the disk. */
#define END_LIMIT_US UINT64_C(5000000)

struct burning {
	struct worker_job job; /* first, so that jobs are burnings */
	struct burner *burner;
	struct burning *next;
	struct burn burn;
	int error;
	bool outdated, is_closed, is_foreign;
	uint64_t since_us, age_us; /* CLOCK_BOOTTIME when it was added, and its age then */
	struct match match;
	char door[DOOR_NAME_MAX + 1], user[USER_NAME_MAX + 1], problem[BURN_REASON_SIZE];
};

struct burner {
	sd_event_source *source;
	struct worker *worker;
	struct burnt *burnt; /* the worker's */
	struct burning *waiting;
	size_t n_waiting, n_foreign; /* those of this host, and the others */
	burner_fn fn;
	void *userdata;
};

DEFINE_CLEANUP(struct burner *, burner_free)

static int on_burnt(sd_event_source *source, int fd, uint32_t events, void *userdata)
{
	const struct burner *burner = userdata;

	(void)source;
	(void)fd;
	(void)events;
	worker_collect(burner->worker);
	return 0;
}

int burner_new(sd_event *event, const char *directory, burner_fn fn, void *userdata,
	       struct burner **ret)
{
	CLEANUP(cleanup_burner_free) struct burner *burner = calloc(1, sizeof *burner);
	int r;

	if (!burner)
		return -ENOMEM;
	burner->fn = fn;
	burner->userdata = userdata;
	r = burnt_new(directory, 0, &burner->burnt);
	if (r == 0)
		r = worker_new(&burner->worker);
	if (r == 0)
		r = sd_event_add_io(event, &burner->source, worker_fd(burner->worker), EPOLLIN,
				    on_burnt, burner);
	if (r < 0)
		return r;
	*ret = TAKE_PTR(burner);
	return 0;
}

/* What the worker still has is left to it. */
struct burner *burner_free(struct burner *burner)
{
	size_t n_left;

	if (!burner)
		return NULL;
	sd_event_source_unref(burner->source);
	n_left = worker_free(burner->worker, END_LIMIT_US);
	if (n_left > 0) {
		log_line(LOG_ERR,
			 "the disk is too slow: %zu knocks that opened nothing could not be "
			 "recorded as used",
			 n_left);
		return NULL;
	}
	burnt_free(burner->burnt);
	free(burner);
	return NULL;
}

static void run_burning(struct worker_job *job)
{
	struct burning *burning = (struct burning *)job;

	burning->error = burn_run(burning->burner->burnt, &burning->burn);
}

static void burner_forget(struct burner *burner, const struct burning *burning)
{
	struct burning **at = &burner->waiting;

	while (*at != burning)
		at = &(*at)->next;
	*at = burning->next;
	if (burning->is_foreign)
		burner->n_foreign--;
	else
		burner->n_waiting--;
}

static void on_job_done(struct worker_job *job)
{
	struct burning *burning = (struct burning *)job;
	struct burner *burner = burning->burner;
	char text[BURN_REASON_SIZE];
	struct burner_result result = {
		.match = burning->match,
		.door = burning->door,
		.age_us = burning->age_us + clock_us(CLOCK_BOOTTIME) - burning->since_us,
		.outdated = burning->outdated,
		.is_burnt = burning->error == 0,
	};

	burner_forget(burner, burning);
	if (burning->is_foreign) {
		if (burn_refusal(&burning->burn, burning->error) == REFUSAL_DISK &&
		    burning->error < 0)
			log_line(LOG_ERR, "a knock that was used at another host: %s",
				 burn_explain(&burning->burn, burning->error, text));
		free(burning);
		return;
	}
	if (!result.match.problem) {
		result.match.problem = burn_explain(&burning->burn, burning->error, text);
		result.match.refusal = burn_refusal(&burning->burn, burning->error);
	}
	if (!result.match.problem && burning->is_closed) {
		result.match.problem = "the door was closed before it was recorded as used";
		result.match.refusal = REFUSAL_OTHER;
	}
	burner->fn(burner->userdata, &result);
	if (burning->burn.kind == BURN_LINE)
		one_time_free(burning->burn.file);
	free(burning);
}

/* Whether both are of one key, or of one file. */
static bool is_of_same(const struct burn *a, const struct burn *b)
{
	if (a->kind == BURN_LINE || b->kind == BURN_LINE)
		return a->kind == b->kind && one_time_same(a->file, b->file);
	return memcmp(&a->key, &b->key, sizeof a->key) == 0;
}

static bool burner_has(const struct burner *burner, const struct burn *burn)
{
	for (const struct burning *other = burner->waiting; other; other = other->next)
		if (burn_equal(&other->burn, burn))
			return true;
	return false;
}

/* Why it may not wait with the others; NULL: it may. */
static const char *burner_refuse(const struct burner *burner, const struct burn *burn,
				 enum refusal *ret)
{
	size_t n_of_one = 0;

	*ret = REFUSAL_REPLAYED;
	if (burner_has(burner, burn))
		return "replayed: it was used before";
	for (const struct burning *other = burner->waiting; other; other = other->next)
		n_of_one += !other->is_foreign && is_of_same(&other->burn, burn);
	*ret = REFUSAL_DISK;
	if (n_of_one >= OF_ONE_MAX || burner->n_waiting >= WAITING_MAX)
		return "the disk is too slow: too many knocks wait to be recorded as used";
	return NULL;
}

static struct burning *burning_new(struct burner *burner, const struct match *match,
				   const char *door, uint64_t age_us)
{
	struct burning *burning = calloc(1, sizeof *burning);

	if (!burning)
		return NULL;
	burning->job.run = run_burning;
	burning->job.done = on_job_done;
	burning->burner = burner;
	burning->burn = *match->burn;
	burning->since_us = clock_us(CLOCK_BOOTTIME);
	burning->age_us = age_us;
	burning->match = *match;
	burning->match.burn = &burning->burn;
	snprintf(burning->door, sizeof burning->door, "%s", door);
	if (match->user) {
		snprintf(burning->user, sizeof burning->user, "%s", match->user);
		burning->match.user = burning->user;
	}
	if (match->problem) {
		snprintf(burning->problem, sizeof burning->problem, "%s", match->problem);
		burning->match.problem = burning->problem;
	}
	if (burning->burn.kind == BURN_LINE)
		one_time_ref(burning->burn.file);
	return burning;
}

static void burner_queue(struct burner *burner, struct burning *burning)
{
	burning->next = burner->waiting;
	burner->waiting = burning;
	if (burning->is_foreign)
		burner->n_foreign++;
	else
		burner->n_waiting++;
	worker_add(burner->worker, &burning->job);
}

int burner_add_foreign(struct burner *burner, const struct burn *burn)
{
	const struct match match = {.burn = burn};
	struct burning *burning;

	if (burner_has(burner, burn))
		return -EALREADY;
	if (burner->n_foreign >= FOREIGN_MAX)
		return -EAGAIN;
	burning = burning_new(burner, &match, "", 0);
	if (!burning)
		return -ENOMEM;
	burning->is_foreign = true;
	burner_queue(burner, burning);
	return 0;
}

bool burner_add(struct burner *burner, const struct match *match, const char *door, uint64_t age_us,
		const char **ret_problem, enum refusal *ret_refusal)
{
	enum refusal refusal;
	const char *problem = burner_refuse(burner, match->burn, &refusal);
	struct burning *burning = problem ? NULL : burning_new(burner, match, door, age_us);

	if (!burning) {
		*ret_problem = problem ? problem : strerror(ENOMEM);
		*ret_refusal = refusal;
		return false;
	}
	burner_queue(burner, burning);
	return true;
}

void burner_outdate(struct burner *burner)
{
	for (struct burning *burning = burner->waiting; burning; burning = burning->next)
		burning->outdated = true;
}

void burner_close(struct burner *burner, const char *door, const struct address *source)
{
	for (struct burning *burning = burner->waiting; burning; burning = burning->next)
		if (strcmp(burning->door, door) == 0 &&
		    (!source || address_equal(source, &burning->match.source)))
			burning->is_closed = true;
}
