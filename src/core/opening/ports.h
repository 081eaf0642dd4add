/* The ports that a door guards. */
#pragma once

#include "core/sequence.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* More than a line of the configuration holds. */
enum { PORT_RANGES_MAX = 512 };

struct port_range {
	uint16_t first, last; /* 1 to 65535 */
	uint8_t protocol;     /* IPPROTO_TCP or IPPROTO_UDP */
};

/* In no order; no two of them have a port in common. */
struct port_set {
	bool is_all; /* whatever is sent, of any protocol; there are no ranges then */
	uint16_t n_ranges;
	struct port_range ranges[PORT_RANGES_MAX];
};

/* "22/tcp, 53/udp, 60000-61000/udp" with commas or blanks in between, or "all"; tcp is the default.
 * 0; -EINVAL: it is not that; -E2BIG: more than PORT_RANGES_MAX; -ERANGE: ret_fault[0] ends before
 * it begins; -EEXIST: ret_fault[0] and ret_fault[1] have ports in common. */
int port_set_parse(const char *text, struct port_set *ret, struct port_range ret_fault[static 2]);

/* Whether the port is one of them. */
bool port_set_has(const struct port_set *set, const struct step *port);

/* The first that both name; the first that the other names, if one is all. False: there is none. */
bool port_set_common(const struct port_set *a, const struct port_set *b, struct port_range *ret);

/* Whether it names nothing at all. */
bool port_set_is_empty(const struct port_set *set);

/* "22/tcp", "60000-61000/udp". Returns `text`. */
enum { PORT_RANGE_TEXT_MAX = sizeof "65535-65535/tcp" };
const char *port_range_format(const struct port_range *range,
			      char text[static PORT_RANGE_TEXT_MAX]);

/* "22", or with this character in between "60000:61000". Returns `text`. */
const char *port_range_numbers(const struct port_range *range, char between,
			       char text[static PORT_RANGE_TEXT_MAX]);
