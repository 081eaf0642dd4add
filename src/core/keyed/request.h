/* A request: what a token or an SPA knock asks for, and what the core makes of it. */
#pragma once

#include "core/address.h"
#include "core/spa.h"
#include "core/visitor.h"

#include <stddef.h>
#include <stdint.h>

enum request_verdict {
	REQUEST_GOOD,  /* if it has not been used before, which is not for the core to know */
	REQUEST_STALE, /* its clock is too far off: `off_s` */
	REQUEST_WRONG_SOURCE, /* it names no address where it must, or one where it must not */
	REQUEST_OTHER_SOURCE, /* of an SPA knock: made with the key, but it names another address or
			       * was altered on its way; what it says is not authentic */
	REQUEST_WRONG_USER,   /* the key may not open this door */
	REQUEST_WRONG_WAY,    /* of an SPA knock: the door looks for none where it came in */
	REQUEST_NO_DOOR,      /* of an SPA knock: no door of that name takes one */
	REQUEST_NO_KEY,	      /* of an SPA knock: it was made with none of the keys */
	REQUEST_DROPPED,      /* of its source there were too many to look at them all */
};

enum { REQUEST_NOBODY = SIZE_MAX };

struct request {
	enum knock_kind kind; /* KNOCK_TOKEN or KNOCK_SPA */
	enum request_verdict verdict;
	size_t door; /* number, or REQUEST_NOBODY: unknown */
	size_t key;  /* number, or REQUEST_NOBODY: unknown */
	struct address source;
	int64_t off_s;	  /* how far its clock is behind ours; negative: ahead */
	uint64_t step;	  /* of a token */
	uint32_t time_s;  /* of an SPA knock, as what follows: the client's time */
	uint32_t seconds; /* asked for; 0: none */
	uint8_t nonce[SPA_NONCE_SIZE];
};

typedef void (*request_fn)(void *userdata, const struct request *request);
