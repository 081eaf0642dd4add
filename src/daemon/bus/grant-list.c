#include "daemon/bus/grant-list.h"

#include "daemon/grant-loop.h"
#include "util/clock.h"

int grant_list_answer(struct grant_loop *doors, sd_bus_message *message, const char *row,
		      grants_view_fn fn)
{
	struct grant_list list = {.now_us = clock_us(CLOCK_REALTIME)};
	int r = sd_bus_message_new_method_return(message, &list.reply);

	if (r >= 0)
		r = sd_bus_message_open_container(list.reply, 'a', row);
	if (r >= 0) {
		grants_each(grant_loop_grants(doors), clock_us(CLOCK_BOOTTIME), fn, &list);
		r = list.error;
	}
	if (r >= 0)
		r = sd_bus_message_close_container(list.reply);
	if (r >= 0)
		r = sd_bus_send(NULL, list.reply, NULL);
	sd_bus_message_unref(list.reply);
	return r;
}
