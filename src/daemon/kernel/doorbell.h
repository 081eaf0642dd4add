/* The doorbell: a descriptor of /dev/kmsg, which becomes readable whenever the kernel logs
 * anything.
 *
 * MUST: read nothing from it and believe nothing of it. It says when to look into the journal. */
#pragma once

#include <systemd/sd-event.h>

struct doorbell;

/* Called when it has rung. It does not ring again before doorbell_listen(). */
typedef void (*doorbell_fn)(void *userdata);

/* Takes the descriptor that the service manager passes (sd_listen_fds(3)), or else standard input,
 * whichever is /dev/kmsg, and listens. 0; -ENODEV: neither is; another negative errno. */
int doorbell_new(sd_event *event, doorbell_fn fn, void *userdata, struct doorbell **ret);
struct doorbell *doorbell_free(struct doorbell *doorbell);

/* Opens /dev/kmsg and leaves it with the service manager (FDSTORE=1 of sd_notify(3)), which passes
 * it to the service's next process. Takes CAP_SYSLOG where kernel.dmesg_restrict is 1. 0;
 * -ENOTCONN: there is no service manager; another negative errno. */
int doorbell_pass_kmsg(void);

/* Calls again when it rings. */
void doorbell_listen(struct doorbell *doorbell);
