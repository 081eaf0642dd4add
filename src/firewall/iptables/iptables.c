/* Backend iptables: rules in a chain of our own, which the kernel itself ends by `-m time`.
 *
 * Every change is one child that lists the chain and one that makes, in a single transaction, what
 * is there into what there should be. So it does not matter what a predecessor, a knock before or
 * somebody else has left: there are the rules of a door for a source once, or none.
 *
 * MUST: only rules that bear our comment are deleted. The chain is created and jumped to, but never
 * flushed. */
#include <errno.h>
#include <netinet/in.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/door.h"
#include "core/placeholder.h"
#include "core/strv.h"
#include "firewall/backend.h"
#include "firewall/iptables/batch.h"
#include "firewall/iptables/restore.h"
#include "firewall/iptables/table.h"
#include "firewall/listing.h"
#include "firewall/passage.h"
#include "util/children.h"
#include "util/cleanup.h"
#include "util/clock.h"

DEFINE_CLEANUP(struct children *, children_free)
DEFINE_CLEANUP(struct iptables *, iptables_free)
DEFINE_CLEANUP(struct iptables_request *, iptables_request_free)
DEFINE_CLEANUP(struct passage *, passage_free)

/* The first address of those that its rules are for. */
static int passage_read_source(const struct passage *passage, struct address *ret)
{
	struct network network;

	if (network_parse(passage->element, &network) < 0)
		return -EINVAL;
	*ret = network.base;
	return 0;
}

/* Where the rules of a passage are, the last of which lets in. */
struct places {
	enum iptables_place items[2];
	size_t n;
};

static struct places passage_places(const struct passage *passage)
{
	if (passage->forward)
		return (struct places){{PLACE_FORWARD, PLACE_NAT}, 2};
	return (struct places){{PLACE_INPUT}, 1};
}

static struct iptables_request *request_new(enum iptables_kind kind, const struct passage *passage,
					    uint64_t now_us)
{
	CLEANUP(cleanup_iptables_request_free)
	struct iptables_request *request = calloc(1, sizeof *request);

	if (!request)
		return NULL;
	request->kind = kind;
	request->limit_us = now_us + FIREWALL_COMMAND_LIMIT_US;
	request->chain = strdup(passage->chain);
	if (!request->chain)
		return NULL;
	if (asprintf(&request->comment, "%s:", passage->comment) < 0) {
		request->comment = NULL;
		return NULL;
	}
	return TAKE_PTR(request);
}

static const char *request_problem(const struct iptables_request *request)
{
	return request->error == 0 ? NULL : request->problem ? request->problem : "out of memory";
}

/* Asks for what comes next, if there is any: whether that is under way now, and the request gone.
 * It has the time that the request had. */
static bool request_go_on(struct iptables *iptables, struct iptables_request *request,
			  uint64_t now_us)
{
	struct iptables_request *then = request->then;

	if (request->error < 0 || !then)
		return false;
	then->limit_us = request->limit_us;
	then->shown = TAKE_PTR(request->shown);
	if (iptables_ask(iptables, then, now_us) == FIREWALL_PENDING) {
		request->then = NULL;
		iptables_request_free(request);
		return true;
	}
	request->shown = TAKE_PTR(then->shown);
	request->error = -EIO;
	request->problem = strdup(iptables_problem(iptables));
	return false;
}

static void on_changed(struct iptables *iptables, struct iptables_request *request, uint64_t now_us)
{
	const struct firewall *firewall = iptables_userdata(iptables);

	if (request_go_on(iptables, request, now_us))
		return;
	firewall->done(request->owner, request->error, request_problem(request), now_us);
	iptables_request_free(request);
}

static void on_shown(struct iptables *iptables, struct iptables_request *request, uint64_t now_us)
{
	struct listing *shown;

	if (request->error == 0)
		request->error = request->shown->error;
	if (request_go_on(iptables, request, now_us))
		return;
	shown = TAKE_PTR(request->shown);
	if (shown->error == 0)
		shown->error = request->error;
	iptables_request_free(request);
	listing_sort(shown);
	listing_deliver(shown, now_us);
}

/* Leaves the request to the caller if it cannot even begin. */
static int iptables_try(struct firewall *firewall, struct iptables_request *request,
			uint64_t now_us)
{
	struct iptables *iptables = firewall->state[BACKEND_IPTABLES];
	int r;

	if (!iptables)
		firewall->state[BACKEND_IPTABLES] = iptables =
			iptables_new(firewall->children, firewall);
	if (!iptables)
		return firewall_fail(firewall, -ENOMEM, "out of memory");
	r = iptables_ask(iptables, request, now_us);
	return r < 0 ? firewall_fail(firewall, r, "%s", iptables_problem(iptables)) : r;
}

/* Takes the request in any case. */
static int iptables_take(struct firewall *firewall, struct iptables_request *request,
			 uint64_t now_us)
{
	int r = iptables_try(firewall, request, now_us);

	if (r < 0)
		iptables_request_free(request);
	return r;
}

/* A request for each place of the passage, one after the other; backwards, so that what lets in
 * goes first. NULL: no memory. */
static struct iptables_request *requests_new(enum iptables_kind kind, const struct passage *passage,
					     bool backwards, uint64_t now_us)
{
	CLEANUP(cleanup_iptables_request_free) struct iptables_request *first = NULL;
	struct places places = passage_places(passage);

	for (size_t i = 0; i < places.n; i++) {
		struct iptables_request *request = request_new(kind, passage, now_us);

		if (!request)
			return NULL;
		request->place = places.items[backwards ? i : places.n - 1 - i];
		request->then = first;
		first = request;
	}
	return TAKE_PTR(first);
}

/* Of all that come one after the other. 0 or -EINVAL. */
static int requests_set(struct iptables_request *requests, const struct passage *passage,
			iptables_end_fn on_end, void *owner)
{
	struct address source;

	if (passage_read_source(passage, &source) < 0)
		return -EINVAL;
	for (struct iptables_request *request = requests; request; request = request->then) {
		request->source = source;
		request->family = address_family(&source);
		request->on_end = on_end;
		request->owner = owner;
	}
	return 0;
}

static int requests_spell(struct iptables_request *requests, const struct passage *passage,
			  uint64_t deadline_s)
{
	for (struct iptables_request *request = requests; request; request = request->then) {
		request->rules = iptables_spell_rules(passage, request->place, deadline_s);
		if (!request->rules)
			return -ENOMEM;
	}
	return 0;
}

/* Until then; 0: there shall be none. */
static int iptables_change(struct firewall *firewall, const struct passage *passage,
			   uint64_t deadline_s, uint64_t now_us, void *owner)
{
	CLEANUP(cleanup_iptables_request_free)
	struct iptables_request *requests =
		requests_new(IPTABLES_CHANGE, passage, deadline_s == 0, now_us);

	if (!requests)
		return firewall_fail(firewall, -ENOMEM, "out of memory");
	if (requests_set(requests, passage, on_changed, owner) < 0)
		return firewall_fail(firewall, -EINVAL, "%s is not an address", passage->element);
	if (deadline_s > 0 && requests_spell(requests, passage, deadline_s) < 0)
		return firewall_fail(firewall, -ENOMEM, "out of memory");
	return iptables_take(firewall, TAKE_PTR(requests), now_us);
}

static int iptables_open(struct firewall *firewall, const struct passage *passage, uint64_t left_us,
			 uint64_t now_us, void *owner)
{
	uint64_t deadline_us = clock_us(CLOCK_REALTIME) + left_us;

	return iptables_change(firewall, passage, deadline_us / US_PER_S, now_us, owner);
}

static int iptables_close(struct firewall *firewall, const struct passage *passage, uint64_t now_us,
			  void *owner)
{
	return iptables_change(firewall, passage, 0, now_us, owner);
}

static int iptables_list(struct firewall *firewall, const struct passage *passage,
			 struct listing *listing, uint64_t now_us)
{
	CLEANUP(cleanup_iptables_request_free)
	struct iptables_request *requests = requests_new(IPTABLES_LOOK, passage, false, now_us);
	int r;

	if (!requests)
		return firewall_fail(firewall, -ENOMEM, "out of memory");
	if (requests_set(requests, passage, on_shown, NULL) < 0)
		return firewall_fail(firewall, -EINVAL, "%s is not an address", passage->element);
	requests->shown = listing;
	r = iptables_try(firewall, requests, now_us);
	if (r < 0)
		requests->shown = NULL;
	else
		(void)TAKE_PTR(requests);
	return r;
}

/* As many places as one rule has for ports; a range takes two. */
enum { MULTIPORT_MAX = 15 };

/* Into `text`, for one rule, as many of the protocol's ranges from *i on as it takes: "tcp
 * 22,60000:61000". How many these are. */
static size_t join_ranges(const struct port_set *ports, uint8_t protocol, bool one_each, size_t *i,
			  char text[static MULTIPORT_MAX * PORT_RANGE_TEXT_MAX])
{
	const size_t size = MULTIPORT_MAX * PORT_RANGE_TEXT_MAX;
	size_t n_places = 0, n = 0;
	size_t length = (size_t)snprintf(text, size, "%s ", protocol_word(protocol));

	for (; *i < ports->n_ranges; ++*i) {
		const struct port_range *range = &ports->ranges[*i];
		char numbers[PORT_RANGE_TEXT_MAX];

		if (range->protocol != protocol)
			continue;
		n_places += range->first == range->last ? 1 : 2;
		if (n_places > MULTIPORT_MAX || (one_each && n > 0))
			break;
		length += (size_t)snprintf(text + length, size - length, "%s%s", n > 0 ? "," : "",
					   port_range_numbers(range, ':', numbers));
		n++;
	}
	return n;
}

/* The ports of each rule, which has one range at the most if it is for what is sent on. NULL: no
 * memory. */
static char **spell_ports(const struct port_set *ports, bool one_each)
{
	static const uint8_t protocols[] = {IPPROTO_TCP, IPPROTO_UDP};
	char text[MULTIPORT_MAX * PORT_RANGE_TEXT_MAX];
	char **rules = calloc(ports->n_ranges + 2U, sizeof *rules);
	size_t n = 0;

	if (!rules)
		return NULL;
	if (ports->is_all && !(rules[n++] = strdup(PASSAGE_ALL_PORTS)))
		return strv_free(rules);
	for (unsigned p = 0; p < sizeof protocols; p++)
		for (size_t i = 0; i < ports->n_ranges;)
			if (join_ranges(ports, protocols[p], one_each, &i, text) > 0 &&
			    !(rules[n++] = strdup(text)))
				return strv_free(rules);
	return rules;
}

static int iptables_spell(const struct opening *opening, const struct placeholder_values *values,
			  struct passage *passage)
{
	const struct network network = opening_network(opening, &values->source);
	const struct forward *forward = &opening->forward[address_family(&values->source)];
	char text[NETWORK_TEXT_MAX], to[FORWARD_TEXT_MAX];

	if (!opening_opens_for(opening, address_family(&values->source)))
		return -EAFNOSUPPORT;
	passage->chain = strdup(opening->chain);
	passage->element = strdup(network_format(&network, text));
	passage->forward = forward->is_there ? strdup(forward_format(forward, to)) : NULL;
	passage->ports = spell_ports(&opening->ports, forward->is_there);
	if (!passage->chain || !passage->element || !passage->ports ||
	    (forward->is_there && !passage->forward))
		return -ENOMEM;
	if (asprintf(&passage->comment, "knocktail:%s", values->door) < 0) {
		passage->comment = NULL;
		return -ENOMEM;
	}
	return 0;
}

/* Of all that come one after the other. */
static void requests_name(struct iptables_request *requests, const char *door, enum family family)
{
	for (struct iptables_request *request = requests; request; request = request->then) {
		request->family = family;
		snprintf(request->door, sizeof request->door, "%s", door);
	}
}

/* All of an opening but the end, which would make it so. */
static int rehearsal_new(const char *door, const struct opening *opening, enum family family,
			 uint64_t now_us, struct iptables_request **ret)
{
	CLEANUP(cleanup_iptables_request_free) struct iptables_request *requests = NULL;
	CLEANUP(cleanup_passage_free) struct passage *passage = calloc(1, sizeof *passage);
	const struct placeholder_values values = backend_example(door, family);

	if (!passage || iptables_spell(opening, &values, passage) < 0)
		return -ENOMEM;
	requests = requests_new(IPTABLES_TEST, passage, false, now_us);
	if (!requests || requests_spell(requests, passage, 0) < 0)
		return -ENOMEM;
	requests_name(requests, door, family);
	*ret = TAKE_PTR(requests);
	return 0;
}

/* First the chains, then the door's rules in them. */
static int preparation_new(const char *door, const struct opening *opening, enum family family,
			   uint64_t now_us, struct iptables_request **ret)
{
	CLEANUP(cleanup_iptables_request_free) struct iptables_request *requests = NULL;
	CLEANUP(cleanup_iptables_request_free) struct iptables_request *rehearsal = NULL;
	CLEANUP(cleanup_passage_free) struct passage *passage = calloc(1, sizeof *passage);
	const struct placeholder_values values = backend_example(door, family);
	struct iptables_request *last;

	if (!passage || iptables_spell(opening, &values, passage) < 0)
		return -ENOMEM;
	requests = requests_new(IPTABLES_LOOK, passage, false, now_us);
	if (!requests || rehearsal_new(door, opening, family, now_us, &rehearsal) < 0)
		return -ENOMEM;
	requests_name(requests, door, family);
	for (last = requests; last; last = last->then) {
		last->creates_chain = true;
		if (!last->then)
			break;
	}
	last->then = TAKE_PTR(rehearsal);
	*ret = TAKE_PTR(requests);
	return 0;
}

static void on_ready(struct iptables *iptables, struct iptables_request *request, uint64_t now_us)
{
	if (request_go_on(iptables, request, now_us))
		return;
	if (request->error < 0)
		request->report(request->owner, request->door, request_problem(request));
	iptables_request_free(request);
}

static int iptables_ready(struct firewall *firewall, const char *door,
			  const struct opening *opening, uint64_t now_us, firewall_trouble_fn fn,
			  void *userdata)
{
	for (enum family family = 0; family < N_FAMILIES; family++) {
		struct iptables_request *requests;
		int r;

		if (!opening_opens_for(opening, family))
			continue;
		r = preparation_new(door, opening, family, now_us, &requests);
		if (r < 0)
			return firewall_fail(firewall, r, "out of memory");
		for (struct iptables_request *request = requests; request;
		     request = request->then) {
			request->on_end = on_ready;
			request->owner = userdata;
			request->report = fn;
		}
		r = iptables_take(firewall, requests, now_us);
		if (r < 0)
			return r;
	}
	return 0;
}

/* How a rehearsal ended. */
struct rehearsal_end {
	bool known;
	int error;
	char problem[PROBLEM_MAX];
};

static void on_rehearsed(struct iptables *iptables, struct iptables_request *request,
			 uint64_t now_us)
{
	struct rehearsal_end *end = request->owner;

	if (request_go_on(iptables, request, now_us))
		return;
	end->known = true;
	end->error = request->error;
	if (request->error < 0)
		snprintf(end->problem, sizeof end->problem, "%s", request_problem(request));
	iptables_request_free(request);
}

static void rehearsal_wait(struct iptables *iptables, struct children *children,
			   const struct rehearsal_end *end)
{
	for (;;) {
		uint64_t now_us = clock_us(CLOCK_BOOTTIME);
		struct child_exit exit;

		while (children_next(children, now_us, &exit))
			iptables_continue(iptables, &exit, now_us);
		iptables_process(iptables, now_us);
		if (end->known)
			return;
		poll(&(struct pollfd){.fd = children_fd(children), .events = POLLIN}, 1, 100);
	}
}

/* With children of its own, so that it waits for nobody else's. */
static int iptables_check(struct firewall *firewall, const struct opening *opening,
			  enum family family)
{
	CLEANUP(cleanup_children_free) struct children *children = NULL;
	CLEANUP(cleanup_iptables_free) struct iptables *iptables = NULL;
	CLEANUP(cleanup_iptables_request_free) struct iptables_request *request = NULL;
	struct rehearsal_end end = {.known = false};
	uint64_t now_us = clock_us(CLOCK_BOOTTIME);
	int r;

	if (!opening_opens_for(opening, family))
		return 0;
	r = children_new(1, &children);
	if (r == 0)
		r = rehearsal_new("", opening, family, now_us, &request);
	iptables = r == 0 ? iptables_new(children, NULL) : NULL;
	if (!iptables)
		return firewall_fail(firewall, r < 0 ? r : -ENOMEM, "cannot run iptables: %s",
				     strerror(r < 0 ? -r : ENOMEM));
	for (struct iptables_request *one = request; one; one = one->then) {
		one->on_end = on_rehearsed;
		one->owner = &end;
	}
	r = iptables_ask(iptables, request, now_us);
	if (r < 0)
		return firewall_fail(firewall, r, "%s", iptables_problem(iptables));
	(void)TAKE_PTR(request);
	rehearsal_wait(iptables, children, &end);
	return end.error == 0 ? 0 : firewall_fail(firewall, end.error, "%s", end.problem);
}

static bool iptables_is_whole(const struct passage *passage)
{
	return passage->chain && passage->element && passage->comment && passage->ports;
}

static void on_free(void *state)
{
	iptables_free(state);
}

static bool on_child_end(struct firewall *firewall, const struct child_exit *exit, uint64_t now_us)
{
	struct iptables *iptables = firewall->state[BACKEND_IPTABLES];

	return iptables && iptables_continue(iptables, exit, now_us);
}

static void on_process(struct firewall *firewall, uint64_t now_us)
{
	if (firewall->state[BACKEND_IPTABLES])
		iptables_process(firewall->state[BACKEND_IPTABLES], now_us);
}

static uint64_t on_next_us(const struct firewall *firewall)
{
	const struct iptables *iptables = firewall->state[BACKEND_IPTABLES];

	return iptables ? iptables_next_us(iptables) : UINT64_MAX;
}

static void on_hurry(struct firewall *firewall, const void *owner, uint64_t kill_at_us)
{
	if (firewall->state[BACKEND_IPTABLES])
		iptables_hurry(firewall->state[BACKEND_IPTABLES], owner, kill_at_us);
}

static void on_forget_ready(struct firewall *firewall)
{
	if (firewall->state[BACKEND_IPTABLES])
		iptables_forget(firewall->state[BACKEND_IPTABLES], on_ready);
}

const struct backend backend_iptables = {
	.name = "iptables",
	.expires = true,
	.spell = iptables_spell,
	.ready = iptables_ready,
	.check = iptables_check,
	.open = iptables_open,
	.close = iptables_close,
	.list = iptables_list,
	.find = iptables_find_rules,
	.is_whole = iptables_is_whole,
	.free = on_free,
	.ended = on_child_end,
	.process = on_process,
	.next_us = on_next_us,
	.hurry = on_hurry,
	.forget_ready = on_forget_ready,
};
