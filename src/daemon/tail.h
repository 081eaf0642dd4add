/* The tail: the live journal in the event loop, record after record. */
#pragma once

#include <systemd/sd-event.h>

struct record;
struct tail;

typedef void (*tail_record_fn)(void *userdata, const struct record *record);

/* Follows the journal from now on. 0, or a negative errno after a line in the log. */
int tail_new(sd_event *event, tail_record_fn fn, void *userdata, struct tail **ret);
struct tail *tail_free(struct tail *tail);

/* Somebody is knocking: looks for records more often for a while. */
void tail_hurry(struct tail *tail);
