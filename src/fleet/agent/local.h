/* The daemon of this host, as org.knocktail.Fleet1 on the system bus.
 *
 * MUST: neither the daemon nor the bus is waited for; both are found again when they come back. */
#pragma once

#include <stdbool.h>
#include <stdint.h>
#include <systemd/sd-event.h>

struct fleet_message;
struct local;

/* What this host itself holds open; `deadline_us` 0: nothing any more, and whether that was by
 * hand.
 */
struct local_hold {
	const char *door, *source, *user, *knock;
	uint64_t deadline_us; /* wall clock */
	uint64_t stamp_us; /* the same: when they have knocked, or who closed it did; 0: unknown */
	bool is_by_hand;
};

/* What became of a call. */
enum local_answer { LOCAL_DONE, LOCAL_REFUSED, LOCAL_BUSY, LOCAL_AWAY };

struct local_ops {
	/* The daemon is there: all that it holds follows, and then the end. */
	void (*begin)(void *userdata);
	void (*hold)(void *userdata, const struct local_hold *hold);
	void (*end)(void *userdata);
	/* Another host's grant that is there (List); `host` is the visitor's. */
	void (*foreign)(void *userdata, const char *door, const char *source, const char *host);
	void (*gone)(void *userdata);
	void (*held)(void *userdata, const struct local_hold *hold);
	/* Of kind BURNT, but for its stamp and host. */
	void (*burnt)(void *userdata, const struct fleet_message *message);
	void (*answer)(void *userdata, void *entry, enum local_answer answer, const char *why);
};

int local_new(sd_event *event, const struct local_ops *ops, void *userdata, struct local **ret);
struct local *local_free(struct local *local);

bool local_is_there(const struct local *local);

/* Ask the daemon; the answer comes with `entry`, unless that is NULL. 0 or a negative errno: there
 * will be none. */
int local_open(struct local *local, const char *door, const char *source, const char *visitor,
	       const char *knock, uint64_t deadline_us, uint64_t stamp_us, void *entry);
int local_close(struct local *local, const char *door, const char *source, const char *host,
		uint64_t stamp_us, void *entry);
int local_burn(struct local *local, const struct fleet_message *message, void *entry);
