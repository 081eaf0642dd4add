/* Backend iptables: rules in a chain of our own, which the kernel itself ends by `-m time`.
 *
 * Every change is one child that lists the chain and one that makes, in a single transaction, what
 * is there into what there should be. So it does not matter what a predecessor, a knock before or
 * somebody else has left: there is one rule for a door, a source and a protocol, or none.
 *
 * MUST: deleted is only what bears our comment. The chain is created and jumped to, but never
 * flushed. */
#include "firewall/iptables/iptables.h"

#include <errno.h>
#include <netinet/in.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "core/door.h"
#include "core/visitor.h"
#include "firewall/backend.h"
#include "firewall/iptables/restore.h"
#include "firewall/iptables/table.h"
#include "firewall/listing.h"
#include "util/cleanup.h"

#define US_PER_S UINT64_C(1000000)

DEFINE_CLEANUP(struct firewall *, firewall_free)
DEFINE_CLEANUP(struct iptables_request *, iptables_request_free)
DEFINE_CLEANUP(struct passage *, passage_free)

static uint64_t clock_now_us(clockid_t clock)
{
	struct timespec now;

	clock_gettime(clock, &now);
	return (uint64_t)now.tv_sec * US_PER_S + (uint64_t)now.tv_nsec / 1000;
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

static const char *problem_of(const struct iptables_request *request)
{
	return request->error == 0 ? NULL : request->problem ? request->problem : "out of memory";
}

static void tell_owner(struct firewall *firewall, struct iptables_request *request, uint64_t now_us)
{
	firewall->done(request->owner, request->error, problem_of(request), now_us);
	iptables_request_free(request);
}

static void tell_asker(struct firewall *firewall, struct iptables_request *request, uint64_t now_us)
{
	struct listing *shown = TAKE_PTR(request->shown);

	(void)firewall;
	if (shown->error == 0)
		shown->error = request->error;
	iptables_request_free(request);
	listing_sort(shown);
	listing_tell(shown, now_us);
}

/* Frees the request if it cannot even begin. */
static int ask(struct firewall *firewall, struct iptables_request *request, uint64_t now_us)
{
	int r = iptables_ask(firewall, request, now_us);

	if (r < 0)
		iptables_request_free(request);
	return r;
}

/* Without `rules` there shall be none. */
static int ask_for_change(struct firewall *firewall, const struct passage *passage, char *passages,
			  uint64_t now_us, void *owner)
{
	CLEANUP(cleanup_free) char *taken = passages;
	CLEANUP(cleanup_iptables_request_free)
	struct iptables_request *request = request_new(IPTABLES_CHANGE, passage, now_us);

	if (!request)
		return firewall_fail(firewall, -ENOMEM, "out of memory");
	if (address_parse(passage->element, &request->source) < 0)
		return firewall_fail(firewall, -EINVAL, "%s is no address", passage->element);
	request->family = address_family(&request->source);
	request->passages = TAKE_PTR(taken);
	request->tell = tell_owner;
	request->owner = owner;
	return ask(firewall, TAKE_PTR(request), now_us);
}

static int iptables_open(struct firewall *firewall, const struct passage *passage, uint64_t left_us,
			 uint64_t now_us, void *owner)
{
	uint64_t deadline_us = clock_now_us(CLOCK_REALTIME) + left_us;
	char *passages = iptables_spell_rules(passage, deadline_us / US_PER_S);

	if (!passages)
		return firewall_fail(firewall, -ENOMEM, "out of memory");
	return ask_for_change(firewall, passage, passages, now_us, owner);
}

static int iptables_close(struct firewall *firewall, const struct passage *passage, uint64_t now_us,
			  void *owner)
{
	return ask_for_change(firewall, passage, NULL, now_us, owner);
}

static int iptables_list(struct firewall *firewall, const struct passage *passage,
			 struct listing *listing, uint64_t now_us)
{
	CLEANUP(cleanup_iptables_request_free)
	struct iptables_request *request = request_new(IPTABLES_LOOK, passage, now_us);
	int r;

	if (!request)
		return firewall_fail(firewall, -ENOMEM, "out of memory");
	if (address_parse(passage->element, &request->source) < 0)
		return firewall_fail(firewall, -EINVAL, "%s is no address", passage->element);
	request->family = address_family(&request->source);
	request->shown = listing;
	request->tell = tell_asker;
	r = iptables_ask(firewall, request, now_us);
	if (r < 0)
		request->shown = NULL;
	else
		(void)TAKE_PTR(request);
	return r;
}

/* "tcp 22,443": the ports of one protocol; none: nothing is added. */
static int append_ports(const struct door *door, int protocol, char **ports, size_t *n)
{
	char *text = NULL;
	size_t size, n_ports = 0;
	FILE *file = open_memstream(&text, &size);

	if (!file)
		return -ENOMEM;
	fputs(protocol == IPPROTO_TCP ? "tcp " : "udp ", file);
	for (size_t i = 0; i < door->opening.ports.n_steps; i++)
		if (door->opening.ports.steps[i].protocol == protocol)
			fprintf(file, "%s%u", n_ports++ > 0 ? "," : "",
				door->opening.ports.steps[i].port);
	if (fclose(file) != 0 || n_ports == 0) {
		free(text);
		return n_ports == 0 ? 0 : -ENOMEM;
	}
	ports[(*n)++] = text;
	return 0;
}

static int iptables_spell(const struct door *door, const struct visitor *visitor,
			  struct passage *passage)
{
	char address[ADDRESS_TEXT_MAX];
	size_t n = 0;

	passage->chain = strdup(door->opening.chain);
	passage->element = strdup(address_format(&visitor->source, address));
	passage->ports = calloc(3, sizeof *passage->ports);
	if (!passage->chain || !passage->element || !passage->ports)
		return -ENOMEM;
	if (asprintf(&passage->comment, "knocktail:%s", door->name) < 0) {
		passage->comment = NULL;
		return -ENOMEM;
	}
	if (append_ports(door, IPPROTO_TCP, passage->ports, &n) < 0 ||
	    append_ports(door, IPPROTO_UDP, passage->ports, &n) < 0)
		return -ENOMEM;
	return 0;
}

/* Goes through an opening but for the end, which would make it so. */
static int rehearsal_new(const struct door *door, enum family family, uint64_t now_us,
			 struct iptables_request **ret)
{
	static const char *const examples[N_FAMILIES] = {"192.0.2.1", "2001:db8::1"};
	CLEANUP(cleanup_iptables_request_free) struct iptables_request *request = NULL;
	CLEANUP(cleanup_passage_free) struct passage *passage = NULL;
	struct visitor visitor = {.user = NULL};

	address_parse(examples[family], &visitor.source);
	if (passage_new(door, &visitor, &passage) < 0)
		return -ENOMEM;
	request = request_new(IPTABLES_TEST, passage, now_us);
	if (!request)
		return -ENOMEM;
	request->family = family;
	request->passages = iptables_spell_rules(passage, 0);
	if (!request->passages)
		return -ENOMEM;
	memcpy(request->door, door->name, sizeof request->door);
	*ret = TAKE_PTR(request);
	return 0;
}

/* First the chain, then the door's rules in it. */
static void tell_trouble(struct firewall *firewall, struct iptables_request *request,
			 uint64_t now_us)
{
	const char *problem = problem_of(request);

	if (!problem && request->kind == IPTABLES_LOOK) {
		request->kind = IPTABLES_TEST;
		if (iptables_ask(firewall, request, now_us) == FIREWALL_PENDING)
			return;
		problem = firewall_problem(firewall);
	}
	if (problem)
		request->report(request->owner, request->door, problem);
	iptables_request_free(request);
}

static int iptables_ready(struct firewall *firewall, const struct door *door, uint64_t now_us,
			  firewall_trouble_fn fn, void *userdata)
{
	for (enum family family = 0; family < N_FAMILIES; family++) {
		struct iptables_request *request;
		int r = rehearsal_new(door, family, now_us, &request);

		if (r < 0)
			return firewall_fail(firewall, r, "out of memory");
		request->kind = IPTABLES_LOOK;
		request->founds = true;
		request->tell = tell_trouble;
		request->owner = userdata;
		request->report = fn;
		r = ask(firewall, request, now_us);
		if (r < 0)
			return r;
	}
	return 0;
}

void iptables_forget_ready(struct firewall *firewall)
{
	iptables_forget(firewall, tell_trouble);
}

struct verdict {
	bool told;
	int error;
	char problem[PROBLEM_MAX];
};

static void tell_verdict(struct firewall *firewall, struct iptables_request *request,
			 uint64_t now_us)
{
	struct verdict *verdict = request->owner;

	(void)firewall;
	(void)now_us;
	verdict->told = true;
	verdict->error = request->error;
	if (request->error < 0)
		snprintf(verdict->problem, sizeof verdict->problem, "%s", problem_of(request));
	iptables_request_free(request);
}

/* With children of its own, so that nobody else's are waited for. */
static int iptables_check(struct firewall *firewall, const struct door *door, enum family family)
{
	CLEANUP(cleanup_firewall_free) struct firewall *own = NULL;
	struct verdict verdict = {.told = false};
	struct iptables_request *request;
	int r = firewall_new(NULL, &own);

	if (r == 0)
		r = rehearsal_new(door, family, clock_now_us(CLOCK_BOOTTIME), &request);
	if (r < 0)
		return firewall_fail(firewall, r, "cannot run iptables: %s", strerror(-r));
	request->tell = tell_verdict;
	request->owner = &verdict;
	r = ask(own, request, clock_now_us(CLOCK_BOOTTIME));
	if (r < 0)
		return firewall_fail(firewall, r, "%s", firewall_problem(own));
	for (;;) {
		firewall_process(own, clock_now_us(CLOCK_BOOTTIME));
		if (verdict.told)
			break;
		poll(&(struct pollfd){.fd = firewall_fd(own), .events = POLLIN}, 1, 100);
	}
	return verdict.error == 0 ? 0
				  : firewall_fail(firewall, verdict.error, "%s", verdict.problem);
}

static bool iptables_is_whole(const struct passage *passage)
{
	return passage->chain && passage->element && passage->comment && passage->ports;
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
};
