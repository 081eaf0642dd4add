/* A sequence: the ordered steps of a static knock. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { SEQUENCE_STEPS_MAX = 32 };

struct step {
	uint16_t port;	  /* 1 to 65535 */
	uint8_t protocol; /* IPPROTO_TCP or IPPROTO_UDP */
};

struct sequence {
	uint8_t n_steps; /* 1 to SEQUENCE_STEPS_MAX */
	struct step steps[SEQUENCE_STEPS_MAX];
};

/* "tcp" or "udp". */
const char *protocol_word(uint8_t protocol);

/* "7000", "8000/udp" or "8000:udp", in any case; tcp is the default. 0, or -EINVAL. */
int step_parse(const char *text, struct step *ret);

/* Steps separated by commas or blanks. 0; -EINVAL: one of them is not a step (*ret_step is its
 * number, from 1) or there is none (*ret_step is 0); -E2BIG: more than SEQUENCE_STEPS_MAX. */
int sequence_parse(const char *text, struct sequence *ret, size_t *ret_step);

bool sequence_equal(const struct sequence *a, const struct sequence *b);

/* Whether every port is above the one before it, in one protocol: what an ascending port scan
 * sends. */
bool sequence_ascends(const struct sequence *sequence);
