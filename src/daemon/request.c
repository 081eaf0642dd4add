#include "daemon/request.h"

#include <string.h>

#include "daemon/bus-error.h"
#include "grant/grant.h"

/* Longer than a command may run; the caller has given up before. */
#define REQUEST_LIMIT_US UINT64_C(60000000)

void request_done(struct request *request)
{
	sd_bus_slot_unref(request->lookup);
	sd_bus_message_unref(request->message);
	*request = (struct request){0};
}

void requests_done(struct requests *requests)
{
	for (size_t i = 0; i < REQUESTS_MAX; i++)
		request_done(&requests->items[i]);
}

struct request *requests_add(struct requests *requests, enum request_kind kind,
			     sd_bus_message *message, uint64_t now_us)
{
	struct request *free_one = NULL;

	for (size_t i = 0; i < REQUESTS_MAX; i++) {
		struct request *request = &requests->items[i];

		if (request->kind != REQUEST_NONE && request->until_us <= now_us) {
			sd_bus_reply_method_errorf(request->message, BUS_ERROR_FAILED,
						   "no answer in time");
			request_done(request);
		}
		if (request->kind == REQUEST_NONE)
			free_one = request;
	}
	if (free_one) {
		free_one->kind = kind;
		free_one->message = sd_bus_message_ref(message);
		free_one->until_us = now_us + REQUEST_LIMIT_US;
	}
	return free_one;
}

static void news_to_open(struct request *request, const struct grant_news *news,
			 uint64_t deadline_us)
{
	if (news->event == GRANT_OPENED || news->event == GRANT_RENEWED) {
		sd_bus_reply_method_return(request->message, "t", deadline_us);
		request_done(request);
	} else if (news->event == GRANT_REFUSED) {
		sd_bus_reply_method_errorf(request->message, BUS_ERROR_REFUSED,
					   "door %s was not opened: %s", news->door,
					   news->reason ? news->reason : "no reason is known");
		request_done(request);
	}
}

void request_expect(struct request *request, uint32_t n_wanted)
{
	request->n_wanted = n_wanted;
	if (request->n_closed >= n_wanted) {
		sd_bus_reply_method_return(request->message, "u", n_wanted);
		request_done(request);
	}
}

/* A door whose opening failed meanwhile is closed as well. */
static void news_to_close(struct request *request, const struct grant_news *news)
{
	if (news->event == GRANT_CLOSED || news->event == GRANT_REFUSED)
		request->n_closed++;
	if (news->event == GRANT_CLOSE_FAILED) {
		sd_bus_reply_method_errorf(request->message, BUS_ERROR_FAILED,
					   "door %s could not be closed: %s", news->door,
					   news->reason ? news->reason : "no reason is known");
		request_done(request);
	} else {
		request_expect(request, request->n_wanted);
	}
}

static bool is_about(const struct request *request, const struct grant_news *news)
{
	return !request->lookup && strcmp(request->door, news->door) == 0 &&
	       (request->any_source || address_equal(&request->source, &news->source));
}

void requests_news(struct requests *requests, const struct grant_news *news, uint64_t deadline_us)
{
	if (!news->door)
		return;
	for (size_t i = 0; i < REQUESTS_MAX; i++) {
		struct request *request = &requests->items[i];

		if (request->kind == REQUEST_OPEN && is_about(request, news))
			news_to_open(request, news, deadline_us);
		else if (request->kind == REQUEST_CLOSE && is_about(request, news))
			news_to_close(request, news);
	}
}
