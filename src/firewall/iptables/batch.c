/* Requests for one chain of one family, its place, are gathered while a child works on it; the next
 * round then does all of one kind with one listing and one transaction. If that fails, half of them
 * are tried, and so on down to the one that is to blame.
 *
 * MUST: a place has one child at a time. Two that create the chain at the same time would both add
 * the jump to it: the kernel takes the second transaction too, because it is checked against a
 * listing that is too old. */
#include "firewall/iptables/iptables.h"

#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "firewall/backend.h"
#include "firewall/iptables/child.h"
#include "firewall/iptables/restore.h"
#include "firewall/iptables/table.h"
#include "firewall/listing.h"
#include "util/children.h"
#include "util/cleanup.h"

#define US_PER_S UINT64_C(1000000)

/* When all places for children are taken, how soon to try again. */
#define BUSY_US UINT64_C(20000)

/* Children at the same time: commands need places as well. */
enum { BUSY_MAX = 16 };

/* How many are told in one go: other work is done in between. */
enum { TELL_MAX = 256 };

struct queue {
	struct iptables_request *first, **end;
	size_t n;
};

struct place {
	struct place *next;
	enum family family;
	char *chain;
	enum { IDLE, LISTING, CHANGING } doing;
	bool again;	       /* the round has failed once */
	char *absent;	       /* what the listing said that found no chain; or NULL */
	int listing_fd;	       /* or -1 */
	size_t n_most;	       /* requests in one round */
	uint64_t limit_us;     /* no request's is earlier */
	uint64_t retry_us;     /* no round before */
	struct queue waiting;  /* in the order that they came in */
	struct queue underway; /* in this round */
};

struct iptables {
	struct place *places;
	struct queue ended; /* not told yet */
};

struct iptables_request *iptables_request_free(struct iptables_request *request)
{
	if (request) {
		listing_free(request->shown);
		free(request->chain);
		free(request->comment);
		free(request->passages);
		free(request->problem);
		free(request);
	}
	return NULL;
}

static void queue_init(struct queue *queue)
{
	*queue = (struct queue){.end = &queue->first};
}

static void queue_append(struct queue *queue, struct iptables_request *request)
{
	request->next = NULL;
	*queue->end = request;
	queue->end = &request->next;
	queue->n++;
}

/* The one that the link leads to. */
static struct iptables_request *queue_take(struct queue *queue, struct iptables_request **link)
{
	struct iptables_request *request = *link;

	*link = request->next;
	if (!*link)
		queue->end = link;
	request->next = NULL;
	queue->n--;
	return request;
}

static void due_queue_move(struct queue *from, struct queue *to)
{
	while (from->first)
		queue_append(to, queue_take(from, &from->first));
}

static void due_queue_done(struct queue *queue)
{
	while (queue->first)
		iptables_request_free(queue_take(queue, &queue->first));
}

static void place_reset(struct place *place)
{
	cleanup_close(&place->listing_fd);
	place->listing_fd = -1;
	free(place->absent);
	place->absent = NULL;
}

static void place_free(struct place *place)
{
	place_reset(place);
	due_queue_done(&place->waiting);
	due_queue_done(&place->underway);
	free(place->chain);
	free(place);
}

struct iptables *iptables_free(struct iptables *iptables)
{
	if (!iptables)
		return NULL;
	while (iptables->places) {
		struct place *place = iptables->places;

		iptables->places = place->next;
		place_free(place);
	}
	due_queue_done(&iptables->ended);
	free(iptables);
	return NULL;
}

static struct place *place_new(enum family family, const char *chain)
{
	struct place *place = calloc(1, sizeof *place);

	if (!place)
		return NULL;
	place->family = family;
	place->listing_fd = -1;
	place->n_most = SIZE_MAX;
	place->limit_us = UINT64_MAX;
	queue_init(&place->waiting);
	queue_init(&place->underway);
	place->chain = strdup(chain);
	if (!place->chain) {
		free(place);
		return NULL;
	}
	return place;
}

/* The last of them is the last to be served. */
static struct place *find_place(struct firewall *firewall, enum family family, const char *chain)
{
	struct place **link;

	if (!firewall->iptables) {
		firewall->iptables = calloc(1, sizeof *firewall->iptables);
		if (!firewall->iptables)
			return NULL;
		queue_init(&firewall->iptables->ended);
	}
	link = &firewall->iptables->places;
	while (*link && ((*link)->family != family || strcmp((*link)->chain, chain) != 0))
		link = &(*link)->next;
	if (!*link)
		*link = place_new(family, chain);
	return *link;
}

/* Writes the whole problem. */
static int fail_at(struct firewall *firewall, const struct place *place, int error,
		   const char *what)
{
	CLEANUP(cleanup_free) char *problem = strdup(what);

	return firewall_fail(firewall, error, "%s %s: %s", iptables_name(place->family),
			     place->chain, problem ? problem : "out of memory");
}

static void end(struct firewall *firewall, struct iptables_request *request, int error)
{
	request->error = error;
	request->problem = error < 0 ? strdup(firewall->problem) : NULL;
	queue_append(&firewall->iptables->ended, request);
}

/* For a new round: all of the first one's kind, up to n_most. */
static void gather(struct place *place)
{
	enum iptables_kind kind = place->waiting.first->kind;
	struct iptables_request **link = &place->waiting.first;

	place->again = false;
	place->retry_us = 0;
	while (*link && place->underway.n < place->n_most)
		if ((*link)->kind == kind)
			queue_append(&place->underway, queue_take(&place->waiting, link));
		else
			link = &(*link)->next;
}

static void put_back(struct place *place)
{
	due_queue_move(&place->waiting, &place->underway);
	due_queue_move(&place->underway, &place->waiting);
}

static int change_to(struct firewall *firewall, struct place *place, const char *option,
		     const char *text)
{
	place->doing = CHANGING;
	return iptables_start_restore(firewall, place->family, option, text, place);
}

static int test(struct firewall *firewall, struct place *place)
{
	CLEANUP(cleanup_free)
	char *text = iptables_compile_test(place->chain, place->underway.first);

	if (!text)
		return firewall_fail(firewall, -ENOMEM, "out of memory");
	return change_to(firewall, place, "--test", text);
}

/* What is there is listed as rules, to delete some of them; or as a table, which says whether any
 * chain jumps here. The chains of others are not looked at: rules with `-m set` cannot be listed
 * without CAP_NET_RAW. FIREWALL_PENDING or a negative errno. */
static int begin(struct firewall *firewall, struct place *place)
{
	enum iptables_kind kind = place->underway.first->kind;

	place_reset(place);
	if (kind == IPTABLES_TEST)
		return test(firewall, place);
	place->doing = LISTING;
	return iptables_start_list(firewall, place->family, kind == IPTABLES_CHANGE ? "-S" : "-nL",
				   place->chain, place, &place->listing_fd);
}

static int change(struct firewall *firewall, struct place *place, char *listing)
{
	CLEANUP(cleanup_free) char *text = NULL;
	int r = iptables_compile(place->chain, place->underway.first, listing, &text);

	if (r < 0)
		return firewall_fail(firewall, r, "out of memory");
	return text ? change_to(firewall, place, NULL, text) : FIREWALL_DONE;
}

static uint64_t wall_clock_us(void)
{
	struct timespec wall;

	clock_gettime(CLOCK_REALTIME, &wall);
	return (uint64_t)wall.tv_sec * US_PER_S + (uint64_t)wall.tv_nsec / 1000;
}

/* "Chain KNOCKTAIL (1 references)". */
static bool has_jump(const char *table)
{
	const char *end = strchr(table, '\n'), *none = strstr(table, " (0 references)");

	return !none || none > end;
}

/* Rules in a chain that nothing jumps to open nothing: they count as gone. Whether the chain has to
 * be made if there is none. */
static bool fill_in(const struct place *place, const char *table)
{
	bool founds = false;

	for (struct iptables_request *request = place->underway.first; request;
	     request = request->next) {
		CLEANUP(cleanup_free) char *copy = NULL;

		founds = founds || request->founds;
		if (!request->shown)
			continue;
		request->shown->error = -ENOENT;
		if (!table || !has_jump(table))
			continue;
		copy = strdup(table);
		request->shown->error =
			copy ? iptables_read_table(request->shown, copy, wall_clock_us()) : -ENOMEM;
	}
	return founds;
}

/* Makes the jump anew, or the chain. */
static int look(struct firewall *firewall, struct place *place, const char *table)
{
	CLEANUP(cleanup_free) char *text = NULL;
	const char *chain = place->chain;
	bool founds = fill_in(place, table);
	int n;

	if (table ? has_jump(table) : !founds)
		return FIREWALL_DONE;
	if (table)
		n = asprintf(&text, "*filter\n-I INPUT 1 -j %s\nCOMMIT\n", chain);
	else
		n = asprintf(&text, "*filter\n-N %s\n-I INPUT 1 -j %s\nCOMMIT\n", chain, chain);
	if (n < 0) {
		text = NULL;
		return firewall_fail(firewall, -ENOMEM, "out of memory");
	}
	return change_to(firewall, place, NULL, text);
}

static int try_again(struct firewall *firewall, struct place *place)
{
	place->again = true;
	return begin(firewall, place);
}

static int listed(struct firewall *firewall, struct place *place, int error)
{
	CLEANUP(cleanup_free) char *listing = NULL;
	int r;

	if (error < 0 && iptables_says_absent(firewall->problem)) {
		place->absent = strdup(firewall->problem);
		if (!place->absent)
			return firewall_fail(firewall, -ENOMEM, "out of memory");
	} else if (error < 0) {
		return place->again || error == -ETIMEDOUT ? error : try_again(firewall, place);
	} else {
		r = iptables_read_list(place->listing_fd, &listing);
		if (r < 0)
			return firewall_fail(firewall, r, "its rules cannot be read: %s",
					     strerror(-r));
	}
	return place->underway.first->kind == IPTABLES_CHANGE ? change(firewall, place, listing)
							      : look(firewall, place, listing);
}

/* The next rounds are smaller, or may be larger again. */
static int split(struct place *place)
{
	place->n_most = place->underway.n / 2;
	put_back(place);
	return FIREWALL_DONE;
}

/* What the listing said, if it found no chain, is said if there is one after all. */
static int changed(struct firewall *firewall, struct place *place, int error)
{
	enum iptables_kind kind = place->underway.first->kind;

	if (error == 0) {
		place->n_most = place->n_most > SIZE_MAX / 2 ? SIZE_MAX : place->n_most * 2;
		return FIREWALL_DONE;
	}
	if (kind != IPTABLES_LOOK && place->underway.n > 1)
		return split(place);
	/* Somebody else may have changed the table in between. */
	if (kind == IPTABLES_CHANGE && !place->again && error != -ETIMEDOUT)
		return try_again(firewall, place);
	return place->absent ? firewall_fail(firewall, error, "%s", place->absent) : error;
}

/* FIREWALL_PENDING: a child works. FIREWALL_DONE or a negative errno: what is still under way has
 * come to this end; but what found no room for a child waits. */
static void conclude(struct firewall *firewall, struct place *place, int r, uint64_t now_us)
{
	if (r == FIREWALL_PENDING)
		return;
	place->doing = IDLE;
	place_reset(place);
	if (r == -EAGAIN) {
		put_back(place);
		place->retry_us = now_us + BUSY_US;
		return;
	}
	if (r < 0)
		fail_at(firewall, place, r, firewall->problem);
	while (place->underway.first)
		end(firewall, queue_take(&place->underway, &place->underway.first), r);
}

static bool has_room(const struct iptables *iptables)
{
	size_t n = 0;

	for (const struct place *place = iptables->places; place; place = place->next)
		n += place->doing != IDLE;
	return n < BUSY_MAX;
}

static void run_rounds(struct firewall *firewall, struct place *place, uint64_t now_us)
{
	while (place->doing == IDLE && place->waiting.first && place->retry_us <= now_us &&
	       has_room(firewall->iptables)) {
		gather(place);
		conclude(firewall, place, begin(firewall, place), now_us);
	}
}

/* What cannot even begin is told at once. */
static int begin_alone(struct firewall *firewall, struct place *place, uint64_t now_us)
{
	int r;

	gather(place);
	r = begin(firewall, place);
	if (r < 0 && r != -EAGAIN) {
		place->doing = IDLE;
		queue_take(&place->underway, &place->underway.first);
		return fail_at(firewall, place, r, firewall->problem);
	}
	conclude(firewall, place, r, now_us);
	return FIREWALL_PENDING;
}

int iptables_ask(struct firewall *firewall, struct iptables_request *request, uint64_t now_us)
{
	struct place *place = find_place(firewall, request->family, request->chain);
	bool is_first;

	if (!place)
		return firewall_fail(firewall, -ENOMEM, "out of memory");
	is_first = place->doing == IDLE && !place->waiting.first;
	if (request->limit_us < place->limit_us)
		place->limit_us = request->limit_us;
	queue_append(&place->waiting, request);
	if (!is_first || !has_room(firewall->iptables))
		return FIREWALL_PENDING;
	return begin_alone(firewall, place, now_us);
}

bool iptables_continue(struct firewall *firewall, const void *owner, int error, uint64_t now_us)
{
	struct place *place = firewall->iptables ? firewall->iptables->places : NULL;
	int r = FIREWALL_DONE;

	while (place && place != owner)
		place = place->next;
	if (!place)
		return false;
	if (place->underway.first)
		r = place->doing == LISTING ? listed(firewall, place, error)
					    : changed(firewall, place, error);
	conclude(firewall, place, r, now_us);
	return true;
}

/* Ends those whose time is up; *least_us becomes what the others have at least. */
static void end_late(struct firewall *firewall, struct queue *queue, uint64_t now_us,
		     uint64_t *least_us)
{
	struct iptables_request **link = &queue->first;

	while (*link)
		if ((*link)->limit_us <= now_us) {
			end(firewall, queue_take(queue, link), -ETIMEDOUT);
		} else {
			*least_us = (*link)->limit_us < *least_us ? (*link)->limit_us : *least_us;
			link = &(*link)->next;
		}
}

/* A child that works for nobody any more is killed. */
static void expire(struct firewall *firewall, struct place *place, uint64_t now_us)
{
	if (place->limit_us <= now_us) {
		place->limit_us = UINT64_MAX;
		fail_at(firewall, place, -ETIMEDOUT, "it took too long");
		end_late(firewall, &place->underway, now_us, &place->limit_us);
		end_late(firewall, &place->waiting, now_us, &place->limit_us);
	}
	if (place->doing != IDLE && !place->underway.first)
		children_limit(firewall->children, place, now_us);
}

static void drop_idle(struct iptables *iptables)
{
	struct place **link = &iptables->places;

	while (*link) {
		struct place *place = *link;

		if (place->doing != IDLE || place->waiting.first) {
			link = &place->next;
			continue;
		}
		*link = place->next;
		place_free(place);
	}
}

void iptables_process(struct firewall *firewall, uint64_t now_us)
{
	struct iptables *iptables = firewall->iptables;

	if (!iptables)
		return;
	for (struct place *place = iptables->places; place; place = place->next) {
		expire(firewall, place, now_us);
		run_rounds(firewall, place, now_us);
	}
	drop_idle(iptables);
	for (size_t i = 0; i < TELL_MAX && iptables->ended.first; i++) {
		struct iptables_request *request =
			queue_take(&iptables->ended, &iptables->ended.first);

		request->tell(firewall, request, now_us);
	}
}

uint64_t iptables_next_us(const struct firewall *firewall)
{
	const struct iptables *iptables = firewall->iptables;
	uint64_t next_us = UINT64_MAX;

	if (iptables && iptables->ended.first)
		return 0;
	for (const struct place *place = iptables ? iptables->places : NULL; place;
	     place = place->next) {
		if (place->limit_us < next_us)
			next_us = place->limit_us;
		if (place->doing == IDLE && place->waiting.first && place->retry_us > 0 &&
		    place->retry_us < next_us)
			next_us = place->retry_us;
	}
	return next_us;
}

static bool hurry(const struct queue *queue, const void *owner, uint64_t limit_us)
{
	for (struct iptables_request *request = queue->first; request; request = request->next) {
		if (request->owner != owner)
			continue;
		request->limit_us = limit_us;
		return true;
	}
	return false;
}

void iptables_hurry(struct firewall *firewall, const void *owner, uint64_t limit_us)
{
	struct place *place = firewall->iptables ? firewall->iptables->places : NULL;

	for (; place; place = place->next) {
		if (!hurry(&place->underway, owner, limit_us) &&
		    !hurry(&place->waiting, owner, limit_us))
			continue;
		if (limit_us < place->limit_us)
			place->limit_us = limit_us;
		return;
	}
}

static void forget(struct queue *queue, iptables_tell_fn tell)
{
	struct iptables_request **link = &queue->first;

	while (*link)
		if ((*link)->tell == tell)
			iptables_request_free(queue_take(queue, link));
		else
			link = &(*link)->next;
}

void iptables_forget(struct firewall *firewall, iptables_tell_fn tell)
{
	struct iptables *iptables = firewall->iptables;

	for (struct place *place = iptables ? iptables->places : NULL; place; place = place->next) {
		forget(&place->waiting, tell);
		forget(&place->underway, tell);
	}
	if (iptables)
		forget(&iptables->ended, tell);
}
