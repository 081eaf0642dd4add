#include "firewall/firewall.h"

#include <errno.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>

#include "core/door.h"
#include "firewall/backend.h"
#include "firewall/ipset.h"
#include "firewall/iptables/iptables.h"
#include "firewall/listing.h"
#include "firewall/nft.h"
#include "util/children.h"
#include "util/cleanup.h"

/* How often a listing is followed by questions about single elements. One can take as long as the
 * listing itself. */
enum { HOLDS_MAX = 4 };

DEFINE_CLEANUP(struct firewall *, firewall_free)

int firewall_new(firewall_done_fn done, struct firewall **ret)
{
	CLEANUP(cleanup_firewall_free) struct firewall *firewall = calloc(1, sizeof *firewall);
	int r;

	if (!firewall)
		return -ENOMEM;
	firewall->done = done;
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
		ipset_client_free(firewall->ipset);
		nft_client_free(firewall->nft);
		iptables_free(firewall->iptables);
		free(firewall);
	}
	return NULL;
}

int firewall_fail(struct firewall *firewall, int error, const char *format, ...)
{
	va_list arguments;

	va_start(arguments, format);
	vsnprintf(firewall->problem, sizeof firewall->problem, format, arguments);
	va_end(arguments);
	return error;
}

const char *firewall_problem(const struct firewall *firewall)
{
	return firewall->problem;
}

int firewall_check(struct firewall *firewall, const struct door *door)
{
	int r = 0;

	for (enum family family = 0; r == 0 && family < N_FAMILIES; family++)
		r = backend_of(door)->check(firewall, door, family);
	return r;
}

void firewall_make_ready(struct firewall *firewall, const struct door *door, uint64_t now_us,
			 firewall_trouble_fn fn, void *userdata)
{
	const struct backend *backend = backend_of(door);
	int r = backend->ready ? backend->ready(firewall, door, now_us, fn, userdata)
			       : firewall_check(firewall, door);

	if (r < 0)
		fn(userdata, door->name, firewall->problem);
}

void firewall_forget_ready(struct firewall *firewall)
{
	iptables_forget_ready(firewall);
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
		listing_tell(listing, now_us);
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

void firewall_hurry(struct firewall *firewall, const void *owner, uint64_t kill_at_us)
{
	iptables_hurry(firewall, owner, kill_at_us);
	children_limit(firewall->children, owner, kill_at_us);
}

int firewall_fd(const struct firewall *firewall)
{
	return children_fd(firewall->children);
}

uint64_t firewall_next_us(const struct firewall *firewall)
{
	uint64_t next_us = children_next_us(firewall->children);
	uint64_t iptables_us = iptables_next_us(firewall);

	return iptables_us < next_us ? iptables_us : next_us;
}

/* How a command ended, in words; *ret_error is 0 if all went well. */
static const char *describe(struct firewall *firewall, const struct child_exit *exit,
			    int *ret_error)
{
	const char *colon = exit->output[0] ? ": " : "";

	if (exit->code == CLD_EXITED && exit->status == 0) {
		*ret_error = 0;
		return NULL;
	}
	if (exit->timed_out)
		*ret_error = firewall_fail(firewall, -ETIMEDOUT,
					   "the command took too long and was killed%s%s", colon,
					   exit->output);
	else if (exit->code == CLD_EXITED)
		*ret_error = firewall_fail(firewall, -EIO, "the command exited with status %d%s%s",
					   exit->status, colon, exit->output);
	else
		*ret_error = firewall_fail(
			firewall, -ETIMEDOUT, "the command was killed by signal %d (%s)%s%s",
			exit->status, strsignal(exit->status), colon, exit->output);
	return firewall->problem;
}

void firewall_process(struct firewall *firewall, uint64_t now_us)
{
	struct child_exit exit;

	while (children_next(firewall->children, now_us, &exit)) {
		int error;
		const char *problem = describe(firewall, &exit, &error);

		if (!iptables_continue(firewall, exit.owner, error, now_us))
			firewall->done(exit.owner, error, problem, now_us);
	}
	iptables_process(firewall, now_us);
}
