#include "firewall/iptables/request.h"

#include <stdlib.h>

#include "firewall/listing.h"

const struct iptables_hook iptables_hooks[N_PLACES] = {
	[PLACE_INPUT] = {"filter", "INPUT"},
	[PLACE_FORWARD] = {"filter", "FORWARD"},
	[PLACE_NAT] = {"nat", "PREROUTING"},
};

struct iptables_request *iptables_request_free(struct iptables_request *request)
{
	while (request) {
		struct iptables_request *then = request->then;

		listing_free(request->shown);
		free(request->chain);
		free(request->comment);
		free(request->rules);
		free(request->problem);
		free(request);
		request = then;
	}
	return NULL;
}

void request_list_init(struct request_list *list)
{
	*list = (struct request_list){.end = &list->first};
}

void request_list_append(struct request_list *list, struct iptables_request *request)
{
	request->next = NULL;
	*list->end = request;
	list->end = &request->next;
	list->n++;
}

struct iptables_request *request_list_take(struct request_list *list,
					   struct iptables_request **link)
{
	struct iptables_request *request = *link;

	*link = request->next;
	if (!*link)
		list->end = link;
	request->next = NULL;
	list->n--;
	return request;
}

void request_list_move(struct request_list *from, struct request_list *to)
{
	while (from->first)
		request_list_append(to, request_list_take(from, &from->first));
}

void request_list_done(struct request_list *list)
{
	while (list->first)
		iptables_request_free(request_list_take(list, &list->first));
}

bool request_list_hurry(const struct request_list *list, const void *owner, uint64_t limit_us)
{
	for (struct iptables_request *request = list->first; request; request = request->next) {
		if (request->owner != owner)
			continue;
		request->limit_us = limit_us;
		return true;
	}
	return false;
}

void request_list_forget(struct request_list *list, iptables_end_fn on_end)
{
	struct iptables_request **link = &list->first;

	while (*link)
		if ((*link)->on_end == on_end)
			iptables_request_free(request_list_take(list, link));
		else
			link = &(*link)->next;
}
