/* The connection to the broker, MQTT 5.
 *
 * MUST: nobody waits for the broker: while it is away nothing is kept for it, and it is tried again
 * with patience. MUST: nothing that it says is believed but what fleet/seal.h opens. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <systemd/sd-event.h>

struct broker;
struct fleet_config;

struct broker_ops {
	void (*up)(void *userdata);
	void (*down)(void *userdata, const char *why); /* also if an attempt has failed */
	/* `is_kept`: the broker says that it had it before we came. */
	void (*message)(void *userdata, const char *topic, const void *data, size_t size,
			bool is_kept);
};

/* Begins to connect. 0 or a negative errno. The configuration and what `userdata` points at must
 * outlive it. */
int broker_new(sd_event *event, const struct fleet_config *config, const struct broker_ops *ops,
	       void *userdata, struct broker **ret);
struct broker *broker_free(struct broker *broker);

bool broker_is_up(const struct broker *broker);

/* Has the broker send all that it keeps, again. */
void broker_subscribe(struct broker *broker);

/* Has it keep the message under this topic for so many seconds, and pass it on. Nothing is done
 * while it is away. */
void broker_publish(struct broker *broker, const char *topic, const void *data, size_t size,
		    uint32_t expiry_s);
