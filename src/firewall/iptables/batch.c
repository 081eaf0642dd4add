/* Requests for one chain of one family are queued while a child works on it; the next batch then
 * does all of one kind with one listing and one transaction. If that fails, half of them are tried,
 * and so on down to the one that is to blame.
 *
 * MUST: a chain has one child at a time. Two that create the chain at the same time would both add
 * the jump to it: the kernel takes the second transaction too, because it is checked against a
 * listing that is too old. */
#include "firewall/iptables/batch.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "firewall/backend.h"
#include "firewall/iptables/child.h"
#include "firewall/iptables/restore.h"
#include "firewall/iptables/table.h"
#include "firewall/listing.h"
#include "util/children.h"
#include "util/cleanup.h"
#include "util/clock.h"

/* How soon to try again when there is no room for another child. */
#define BUSY_US UINT64_C(20000)

/* Children at the same time: commands need room as well. */
enum { BUSY_MAX = 16 };

/* How many are reported in one go: other work is done in between. */
enum { REPORT_MAX = 256 };

struct chain_queue {
	struct chain_queue *next;
	enum family family;
	enum iptables_place place;
	char *chain;
	enum { QUEUE_IDLE, QUEUE_LISTING, QUEUE_CHANGING } doing;
	bool again;		      /* the batch has failed once */
	char *absent;		      /* what the listing said that found no chain; or NULL */
	int listing_fd;		      /* or -1 */
	size_t n_most;		      /* requests in one batch */
	uint64_t limit_us;	      /* no request has an earlier one */
	uint64_t retry_us;	      /* no batch before */
	struct request_list waiting;  /* in the order that they came in */
	struct request_list underway; /* in this batch */
};

struct iptables {
	struct children *children;
	void *userdata;
	char problem[PROBLEM_MAX];
	struct chain_queue *chains;
	struct request_list ended; /* not reported yet */
};

struct iptables *iptables_new(struct children *children, void *userdata)
{
	struct iptables *iptables = calloc(1, sizeof *iptables);

	if (!iptables)
		return NULL;
	iptables->children = children;
	iptables->userdata = userdata;
	iptables->ended.end = &iptables->ended.first;
	return iptables;
}

void *iptables_userdata(const struct iptables *iptables)
{
	return iptables->userdata;
}

const char *iptables_problem(const struct iptables *iptables)
{
	return iptables->problem;
}

/* Writes the problem and returns `error`. */
__attribute__((format(printf, 3, 4))) static int iptables_fail(struct iptables *iptables, int error,
							       const char *format, ...)
{
	va_list arguments;

	va_start(arguments, format);
	vsnprintf(iptables->problem, sizeof iptables->problem, format, arguments);
	va_end(arguments);
	return error;
}

static void chain_queue_reset(struct chain_queue *queue)
{
	cleanup_close(&queue->listing_fd);
	queue->listing_fd = -1;
	free(queue->absent);
	queue->absent = NULL;
}

static void chain_queue_free(struct chain_queue *queue)
{
	chain_queue_reset(queue);
	request_list_done(&queue->waiting);
	request_list_done(&queue->underway);
	free(queue->chain);
	free(queue);
}

struct iptables *iptables_free(struct iptables *iptables)
{
	if (!iptables)
		return NULL;
	while (iptables->chains) {
		struct chain_queue *queue = iptables->chains;

		iptables->chains = queue->next;
		chain_queue_free(queue);
	}
	request_list_done(&iptables->ended);
	free(iptables);
	return NULL;
}

static struct chain_queue *chain_queue_new(const struct iptables_request *request)
{
	struct chain_queue *queue = calloc(1, sizeof *queue);

	if (!queue)
		return NULL;
	queue->family = request->family;
	queue->place = request->place;
	queue->listing_fd = -1;
	queue->n_most = SIZE_MAX;
	queue->limit_us = UINT64_MAX;
	request_list_init(&queue->waiting);
	request_list_init(&queue->underway);
	queue->chain = strdup(request->chain);
	if (!queue->chain) {
		free(queue);
		return NULL;
	}
	return queue;
}

/* The last of them is the last to be served. */
static struct chain_queue *chain_queue_find(struct iptables *iptables,
					    const struct iptables_request *request)
{
	struct chain_queue **link = &iptables->chains;

	while (*link && ((*link)->family != request->family || (*link)->place != request->place ||
			 strcmp((*link)->chain, request->chain) != 0))
		link = &(*link)->next;
	if (!*link)
		*link = chain_queue_new(request);
	return *link;
}

/* Writes the whole problem. */
static int chain_queue_fail(struct iptables *iptables, const struct chain_queue *queue, int error,
			    const char *what)
{
	CLEANUP(cleanup_free) char *problem = strdup(what);

	return iptables_fail(iptables, error, "%s %s: %s", iptables_name(queue->family),
			     queue->chain, problem ? problem : "out of memory");
}

static void request_end(struct iptables *iptables, struct iptables_request *request, int error)
{
	request->error = error;
	request->problem = error < 0 ? strdup(iptables->problem) : NULL;
	request_list_append(&iptables->ended, request);
}

/* For a new batch: all of the first one's kind, up to n_most. */
static void batch_gather(struct chain_queue *queue)
{
	enum iptables_kind kind = queue->waiting.first->kind;
	struct iptables_request **link = &queue->waiting.first;

	queue->again = false;
	queue->retry_us = 0;
	while (*link && queue->underway.n < queue->n_most)
		if ((*link)->kind == kind)
			request_list_append(&queue->underway,
					    request_list_take(&queue->waiting, link));
		else
			link = &(*link)->next;
}

static void batch_put_back(struct chain_queue *queue)
{
	request_list_move(&queue->waiting, &queue->underway);
	request_list_move(&queue->underway, &queue->waiting);
}

static int batch_restore(struct iptables *iptables, struct chain_queue *queue, const char *option,
			 const char *text)
{
	queue->doing = QUEUE_CHANGING;
	return iptables_start_restore(iptables->children, queue->family, option, text, queue,
				      iptables->problem);
}

static int batch_test(struct iptables *iptables, struct chain_queue *queue)
{
	CLEANUP(cleanup_free)
	char *text = iptables_compile_test(queue->chain, queue->underway.first);

	if (!text)
		return iptables_fail(iptables, -ENOMEM, "out of memory");
	return batch_restore(iptables, queue, "--test", text);
}

/* What is there is listed as rules, to delete some of them; or as a table, which says whether any
 * chain jumps here. The chains of others are not looked at: rules with `-m set` cannot be listed
 * without CAP_NET_RAW. FIREWALL_PENDING or a negative errno. */
static int batch_begin(struct iptables *iptables, struct chain_queue *queue)
{
	enum iptables_kind kind = queue->underway.first->kind;

	chain_queue_reset(queue);
	if (kind == IPTABLES_TEST)
		return batch_test(iptables, queue);
	queue->doing = QUEUE_LISTING;
	return iptables_start_list(iptables->children, queue->family,
				   iptables_hooks[queue->place].table,
				   kind == IPTABLES_CHANGE ? "-S" : "-nL", queue->chain, queue,
				   iptables->problem, &queue->listing_fd);
}

static int batch_change(struct iptables *iptables, struct chain_queue *queue, char *listing)
{
	CLEANUP(cleanup_free) char *text = NULL;
	int r = iptables_compile(queue->chain, queue->underway.first, listing, &text);

	if (r < 0)
		return iptables_fail(iptables, r, "out of memory");
	return text ? batch_restore(iptables, queue, NULL, text) : FIREWALL_DONE;
}

/* "Chain KNOCKTAIL (1 references)". */
static bool table_has_jump(const char *table)
{
	const char *end = strchr(table, '\n'), *none = strstr(table, " (0 references)");

	return !none || none > end;
}

/* Rules in a chain that nothing jumps to open nothing: they count as gone. Whether the chain has to
 * be made if there is none. */
static bool batch_fill_in(const struct chain_queue *queue, const char *table)
{
	bool creates_chain = false;

	for (struct iptables_request *request = queue->underway.first; request;
	     request = request->next) {
		CLEANUP(cleanup_free) char *copy = NULL;

		creates_chain = creates_chain || request->creates_chain;
		if (!request->shown)
			continue;
		request->shown->error = -ENOENT;
		if (!table || !table_has_jump(table))
			continue;
		copy = strdup(table);
		request->shown->error =
			copy ? iptables_read_table(request->shown, copy, clock_us(CLOCK_REALTIME))
			     : -ENOMEM;
	}
	return creates_chain;
}

/* Makes the jump again, or the chain. */
static int batch_look(struct iptables *iptables, struct chain_queue *queue, const char *table)
{
	CLEANUP(cleanup_free) char *text = NULL;
	const struct iptables_hook *hook = &iptables_hooks[queue->place];
	const char *chain = queue->chain;
	bool creates_chain = batch_fill_in(queue, table);
	int n;

	if (table ? table_has_jump(table) : !creates_chain)
		return FIREWALL_DONE;
	if (table)
		n = asprintf(&text, "*%s\n-I %s 1 -j %s\nCOMMIT\n", hook->table, hook->chain,
			     chain);
	else
		n = asprintf(&text, "*%s\n-N %s\n-I %s 1 -j %s\nCOMMIT\n", hook->table, chain,
			     hook->chain, chain);
	if (n < 0) {
		text = NULL;
		return iptables_fail(iptables, -ENOMEM, "out of memory");
	}
	return batch_restore(iptables, queue, NULL, text);
}

static int batch_retry(struct iptables *iptables, struct chain_queue *queue)
{
	queue->again = true;
	return batch_begin(iptables, queue);
}

static int batch_on_listed(struct iptables *iptables, struct chain_queue *queue, int error)
{
	CLEANUP(cleanup_free) char *listing = NULL;
	int r;

	if (error < 0 && iptables_says_absent(iptables->problem)) {
		queue->absent = strdup(iptables->problem);
		if (!queue->absent)
			return iptables_fail(iptables, -ENOMEM, "out of memory");
	} else if (error < 0) {
		return queue->again || error == -ETIMEDOUT ? error : batch_retry(iptables, queue);
	} else {
		r = iptables_read_list(queue->listing_fd, &listing);
		if (r < 0)
			return iptables_fail(iptables, r, "its rules cannot be read: %s",
					     strerror(-r));
	}
	return queue->underway.first->kind == IPTABLES_CHANGE
		       ? batch_change(iptables, queue, listing)
		       : batch_look(iptables, queue, listing);
}

/* The next batches are smaller, or may be larger again. */
static int batch_split(struct chain_queue *queue)
{
	queue->n_most = queue->underway.n / 2;
	batch_put_back(queue);
	return FIREWALL_DONE;
}

/* What the listing said, if it found no chain, is said if there is one after all. */
static int batch_on_restored(struct iptables *iptables, struct chain_queue *queue, int error)
{
	enum iptables_kind kind = queue->underway.first->kind;

	if (error == 0) {
		queue->n_most = queue->n_most > SIZE_MAX / 2 ? SIZE_MAX : queue->n_most * 2;
		return FIREWALL_DONE;
	}
	if (kind != IPTABLES_LOOK && queue->underway.n > 1)
		return batch_split(queue);
	/* Somebody else may have changed the table in between. */
	if (kind == IPTABLES_CHANGE && !queue->again && error != -ETIMEDOUT)
		return batch_retry(iptables, queue);
	return queue->absent ? iptables_fail(iptables, error, "%s", queue->absent) : error;
}

/* FIREWALL_PENDING: a child works. FIREWALL_DONE or a negative errno: what is still under way has
 * come to this end; but what found no room for a child waits. */
static void batch_conclude(struct iptables *iptables, struct chain_queue *queue, int r,
			   uint64_t now_us)
{
	if (r == FIREWALL_PENDING)
		return;
	queue->doing = QUEUE_IDLE;
	chain_queue_reset(queue);
	if (r == -EAGAIN) {
		batch_put_back(queue);
		queue->retry_us = now_us + BUSY_US;
		return;
	}
	if (r < 0)
		chain_queue_fail(iptables, queue, r, iptables->problem);
	while (queue->underway.first)
		request_end(iptables, request_list_take(&queue->underway, &queue->underway.first),
			    r);
}

static bool iptables_has_room(const struct iptables *iptables)
{
	size_t n = 0;

	for (const struct chain_queue *queue = iptables->chains; queue; queue = queue->next)
		n += queue->doing != QUEUE_IDLE;
	return n < BUSY_MAX;
}

static void chain_queue_run(struct iptables *iptables, struct chain_queue *queue, uint64_t now_us)
{
	while (queue->doing == QUEUE_IDLE && queue->waiting.first && queue->retry_us <= now_us &&
	       iptables_has_room(iptables)) {
		batch_gather(queue);
		batch_conclude(iptables, queue, batch_begin(iptables, queue), now_us);
	}
}

/* What cannot even begin is reported at once. */
static int chain_queue_begin_alone(struct iptables *iptables, struct chain_queue *queue,
				   uint64_t now_us)
{
	int r;

	batch_gather(queue);
	r = batch_begin(iptables, queue);
	if (r < 0 && r != -EAGAIN) {
		queue->doing = QUEUE_IDLE;
		request_list_take(&queue->underway, &queue->underway.first);
		return chain_queue_fail(iptables, queue, r, iptables->problem);
	}
	batch_conclude(iptables, queue, r, now_us);
	return FIREWALL_PENDING;
}

int iptables_ask(struct iptables *iptables, struct iptables_request *request, uint64_t now_us)
{
	struct chain_queue *queue = chain_queue_find(iptables, request);
	bool is_first;

	if (!queue)
		return iptables_fail(iptables, -ENOMEM, "out of memory");
	is_first = queue->doing == QUEUE_IDLE && !queue->waiting.first;
	if (request->limit_us < queue->limit_us)
		queue->limit_us = request->limit_us;
	request_list_append(&queue->waiting, request);
	if (!is_first || !iptables_has_room(iptables))
		return FIREWALL_PENDING;
	return chain_queue_begin_alone(iptables, queue, now_us);
}

bool iptables_continue(struct iptables *iptables, const struct child_exit *exit, uint64_t now_us)
{
	struct chain_queue *queue = iptables->chains;
	int error, r = FIREWALL_DONE;

	while (queue && queue != exit->owner)
		queue = queue->next;
	if (!queue)
		return false;
	error = backend_explain_exit(exit, iptables->problem);
	if (queue->underway.first)
		r = queue->doing == QUEUE_LISTING ? batch_on_listed(iptables, queue, error)
						  : batch_on_restored(iptables, queue, error);
	batch_conclude(iptables, queue, r, now_us);
	return true;
}

/* Ends those whose time is up; *least_us becomes what the others have at least. */
static void request_list_expire(struct iptables *iptables, struct request_list *list,
				uint64_t now_us, uint64_t *least_us)
{
	struct iptables_request **link = &list->first;

	while (*link)
		if ((*link)->limit_us <= now_us) {
			request_end(iptables, request_list_take(list, link), -ETIMEDOUT);
		} else {
			*least_us = (*link)->limit_us < *least_us ? (*link)->limit_us : *least_us;
			link = &(*link)->next;
		}
}

/* A child that nobody waits for any more is killed. */
static void chain_queue_expire(struct iptables *iptables, struct chain_queue *queue,
			       uint64_t now_us)
{
	if (queue->limit_us <= now_us) {
		queue->limit_us = UINT64_MAX;
		chain_queue_fail(iptables, queue, -ETIMEDOUT, "it took too long");
		request_list_expire(iptables, &queue->underway, now_us, &queue->limit_us);
		request_list_expire(iptables, &queue->waiting, now_us, &queue->limit_us);
	}
	if (queue->doing != QUEUE_IDLE && !queue->underway.first)
		children_limit(iptables->children, queue, now_us);
}

static void iptables_drop_idle(struct iptables *iptables)
{
	struct chain_queue **link = &iptables->chains;

	while (*link) {
		struct chain_queue *queue = *link;

		if (queue->doing != QUEUE_IDLE || queue->waiting.first) {
			link = &queue->next;
			continue;
		}
		*link = queue->next;
		chain_queue_free(queue);
	}
}

void iptables_process(struct iptables *iptables, uint64_t now_us)
{
	for (struct chain_queue *queue = iptables->chains; queue; queue = queue->next) {
		chain_queue_expire(iptables, queue, now_us);
		chain_queue_run(iptables, queue, now_us);
	}
	iptables_drop_idle(iptables);
	for (size_t i = 0; i < REPORT_MAX && iptables->ended.first; i++) {
		struct iptables_request *request =
			request_list_take(&iptables->ended, &iptables->ended.first);

		request->on_end(iptables, request, now_us);
	}
}

uint64_t iptables_next_us(const struct iptables *iptables)
{
	uint64_t next_us = UINT64_MAX;

	if (iptables->ended.first)
		return 0;
	for (const struct chain_queue *queue = iptables->chains; queue; queue = queue->next) {
		if (queue->limit_us < next_us)
			next_us = queue->limit_us;
		if (queue->doing == QUEUE_IDLE && queue->waiting.first && queue->retry_us > 0 &&
		    queue->retry_us < next_us)
			next_us = queue->retry_us;
	}
	return next_us;
}

void iptables_hurry(struct iptables *iptables, const void *owner, uint64_t limit_us)
{
	struct chain_queue *queue = iptables->chains;

	for (; queue; queue = queue->next) {
		if (!request_list_hurry(&queue->underway, owner, limit_us) &&
		    !request_list_hurry(&queue->waiting, owner, limit_us))
			continue;
		if (limit_us < queue->limit_us)
			queue->limit_us = limit_us;
		return;
	}
}

void iptables_forget(struct iptables *iptables, iptables_end_fn on_end)
{
	for (struct chain_queue *queue = iptables->chains; queue; queue = queue->next) {
		request_list_forget(&queue->waiting, on_end);
		request_list_forget(&queue->underway, on_end);
	}
	request_list_forget(&iptables->ended, on_end);
}
