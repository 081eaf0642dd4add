/* The firewall's answers and callbacks. */
#pragma once

#include <stdint.h>

struct listing;

/* How long a command may run. */
#define FIREWALL_COMMAND_LIMIT_US UINT64_C(10000000)

/* The end of something that could not be done at once: 0 or a negative errno, with `problem` (NULL:
 * none) in words. -ETIMEDOUT: the command was killed, and nobody knows how far it came. */
typedef void (*firewall_done_fn)(void *owner, int error, const char *problem, uint64_t now_us);

/* A door cannot be opened, in words. */
typedef void (*firewall_trouble_fn)(void *userdata, const char *door, const char *problem);

/* A port in a set of ports, which the kernel takes out after so many seconds, at least one. */
struct firewall_port {
	uint16_t port;
	uint32_t left_s;
};

/* The listing is valid until this returns. */
typedef void (*firewall_listed_fn)(void *userdata, struct listing *listing, uint64_t now_us);

enum firewall_progress {
	FIREWALL_DONE,
	FIREWALL_PENDING, /* a command runs; the done function will be called */
};

enum firewall_answer {
	FIREWALL_ABSENT,  /* the passage is not in the firewall */
	FIREWALL_PRESENT, /* it is there, for another *ret_left_us */
	FIREWALL_SPELLED, /* it is there, in a spelling that hides how long it will be */
	FIREWALL_SILENT,  /* the firewall could not be asked, or has been asked enough */
};
