#include "firewall/firewall.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "core/door.h"
#include "firewall/backend.h"
#include "firewall/backends.h"
#include "firewall/listing.h"
#include "firewall/passage.h"
#include "util/children.h"
#include "util/cleanup.h"

/* How often a listing is followed by questions about single elements. One can take as long as the
 * listing itself. */
enum { HOLDS_MAX = 4 };

DEFINE_CLEANUP(struct firewall *, firewall_free)

static void nobody_waits(void *owner, int error, const char *problem, uint64_t now_us)
{
	(void)owner;
	(void)error;
	(void)problem;
	(void)now_us;
}

int firewall_new(firewall_done_fn done, struct firewall **ret)
{
	CLEANUP(cleanup_firewall_free) struct firewall *firewall = calloc(1, sizeof *firewall);
	int r;

	if (!firewall)
		return -ENOMEM;
	firewall->done = done ? done : nobody_waits;
	r = children_new(FIREWALL_COMMANDS_MAX, &firewall->children);
	if (r < 0)
		return r;
	*ret = TAKE_PTR(firewall);
	return 0;
}

struct firewall *firewall_free(struct firewall *firewall)
{
	if (firewall) {
		children_free(firewall->children);
		for (size_t i = 0; i < N_BACKENDS; i++)
			if (backends[i]->free)
				backends[i]->free(firewall->state[i]);
		free(firewall);
	}
	return NULL;
}

const char *firewall_problem(const struct firewall *firewall)
{
	return firewall->problem;
}

int firewall_check(struct firewall *firewall, const struct opening *opening)
{
	int r = 0;

	for (enum family family = 0; r == 0 && family < N_FAMILIES; family++)
		r = backends[opening->backend]->check(firewall, opening, family);
	return r;
}

void firewall_make_ready(struct firewall *firewall, const char *door, const struct opening *opening,
			 uint64_t now_us, firewall_trouble_fn fn, void *userdata)
{
	const struct backend *backend = backends[opening->backend];
	int r = backend->ready ? backend->ready(firewall, door, opening, now_us, fn, userdata)
			       : firewall_check(firewall, opening);

	if (r < 0)
		fn(userdata, door, firewall->problem);
}

void firewall_forget_ready(struct firewall *firewall)
{
	for (size_t i = 0; i < N_BACKENDS; i++)
		if (backends[i]->forget_ready)
			backends[i]->forget_ready(firewall);
}

int firewall_open(struct firewall *firewall, const struct passage *passage, uint64_t left_us,
		  uint64_t now_us, void *owner)
{
	return passage->backend->open(firewall, passage, left_us, now_us, owner);
}

int firewall_close(struct firewall *firewall, const struct passage *passage, uint64_t now_us,
		   void *owner)
{
	return passage->backend->close(firewall, passage, now_us, owner);
}

int firewall_list(struct firewall *firewall, const struct passage *passage, uint64_t now_us,
		  firewall_listed_fn fn, void *userdata)
{
	struct listing *listing;
	int r;

	if (!passage->backend->list)
		return -EOPNOTSUPP;
	r = listing_new(passage, &listing);
	if (r < 0)
		return r;
	listing->fn = fn;
	listing->userdata = userdata;
	r = passage->backend->list(firewall, passage, listing, now_us);
	if (r == FIREWALL_DONE)
		listing_deliver(listing, now_us);
	else if (r < 0)
		listing_free(listing);
	return r < 0 ? r : 0;
}

enum firewall_answer firewall_ask(struct firewall *firewall, struct listing *listing,
				  const struct passage *passage, uint64_t *ret_left_us)
{
	const struct backend *backend = passage->backend;
	enum firewall_answer answer;

	if (listing->error < 0 && listing->error != -ENOENT)
		return FIREWALL_SILENT;
	answer = backend->find(listing, passage, ret_left_us);
	if (answer != FIREWALL_ABSENT || listing->error < 0 || !backend->holds ||
	    (backend->knows && backend->knows(listing, passage)))
		return answer;
	if (listing->n_asked == HOLDS_MAX)
		return FIREWALL_SILENT;
	listing->n_asked++;
	return backend->holds(firewall, passage) ? FIREWALL_SPELLED : FIREWALL_ABSENT;
}

uint64_t listing_cost(const struct listing *listing)
{
	return listing->n_items;
}

bool listing_covers(const struct listing *listing, const struct passage *passage)
{
	return passage_shares_place(listing->place, passage);
}

/* Whose set it is, by how it is written. */
static const struct backend *ports_backend(const char *set)
{
	return backends[strchr(set, ' ') ? BACKEND_NFT : BACKEND_IPSET];
}

int firewall_check_ports(struct firewall *firewall, const char *set)
{
	return ports_backend(set)->check_ports(firewall, set);
}

int firewall_put_ports(struct firewall *firewall, const char *set,
		       const struct firewall_port *ports, size_t n)
{
	return ports_backend(set)->put_ports(firewall, set, ports, n);
}

int firewall_has_port(struct firewall *firewall, const char *set, uint16_t port)
{
	return ports_backend(set)->has_port(firewall, set, port);
}

void firewall_hurry(struct firewall *firewall, const void *owner, uint64_t kill_at_us)
{
	for (size_t i = 0; i < N_BACKENDS; i++)
		if (backends[i]->hurry)
			backends[i]->hurry(firewall, owner, kill_at_us);
	children_limit(firewall->children, owner, kill_at_us);
}

int firewall_fd(const struct firewall *firewall)
{
	return children_fd(firewall->children);
}

uint64_t firewall_next_us(const struct firewall *firewall)
{
	uint64_t next_us = children_next_us(firewall->children);

	for (size_t i = 0; i < N_BACKENDS; i++) {
		uint64_t own_us =
			backends[i]->next_us ? backends[i]->next_us(firewall) : UINT64_MAX;

		next_us = own_us < next_us ? own_us : next_us;
	}
	return next_us;
}

static void on_child_exit(struct firewall *firewall, const struct child_exit *exit, uint64_t now_us)
{
	int error;

	for (size_t i = 0; i < N_BACKENDS; i++)
		if (backends[i]->ended && backends[i]->ended(firewall, exit, now_us))
			return;
	error = backend_explain_exit(exit, firewall->problem);
	firewall->done(exit->owner, error, error < 0 ? firewall->problem : NULL, now_us);
}

void firewall_process(struct firewall *firewall, uint64_t now_us)
{
	struct child_exit exit;

	while (children_next(firewall->children, now_us, &exit))
		on_child_exit(firewall, &exit, now_us);
	for (size_t i = 0; i < N_BACKENDS; i++)
		if (backends[i]->process)
			backends[i]->process(firewall, now_us);
}
