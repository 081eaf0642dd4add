/* The intake: takes what a peer sends and hands it on to sd-bus, through a socket of its own.
 *
 * MUST: nothing goes on that is not in order (framing.h), and nothing behind the hello before
 * sd-bus has understood that it has ended. */
#pragma once

#include <stdint.h>
#include <systemd/sd-event.h>

struct intake;

/* Takes the peer's descriptor over, whatever comes of it; `ret_fd` is where sd-bus is to read,
 * which ends where the peer's bytes end, or are not in order. 0 or a negative errno. */
int intake_new(sd_event *event, int64_t priority, int fd, struct intake **ret, int *ret_fd);
struct intake *intake_free(struct intake *intake);

/* The hello has ended. */
void intake_open(struct intake *intake);
