/* Answers with an array of rows, one for each grant that is open, or none. */
#pragma once

#include "grant/grants.h"

#include <stdint.h>
#include <systemd/sd-bus.h>

struct grant_loop;

struct grant_list {
	sd_bus_message *reply;
	uint64_t now_us; /* wall clock */
	int error;	 /* of appending to the reply: negative */
};

/* Rows of this type, which `fn` appends; its userdata is the list. 0 or more, or a negative errno.
 */
int grant_list_answer(struct grant_loop *doors, sd_bus_message *message, const char *row,
		      grants_view_fn fn);
