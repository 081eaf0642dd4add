/* A burn: what has to be on disk before a knock may open its door, and whatever that may wait for.
 *
 * MUST: nothing is opened before burn_run() has returned 0. It is for one thread, which alone uses
 * the struct burnt, and it keeps its hands off everything else but the burn. */
#pragma once

#include "core/address.h"
#include "core/door.h"
#include "core/visitor.h"
#include "keys/burnt.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct one_time;

enum burn_kind {
	BURN_TOKEN,
	BURN_TOKEN_AHEAD,     /* one whose time has yet to come */
	BURN_TOKEN_ELSEWHERE, /* such a one, used at another host */
	BURN_SPA,
	BURN_LINE, /* of a file of one-time sequences */
};

enum { BURN_REMARK_SIZE = 128, BURN_REASON_SIZE = 160 };

struct burn {
	enum burn_kind kind;
	uint64_t now_s;	 /* when it was logged: a Unix time */
	uint32_t skew_s; /* as burnt_set_skew() takes it; not of a line, as all up to `file` */
	struct key_id key;
	char door[BURNT_DOOR_MAX + 1]; /* of a token, as burnt_token() takes it */
	uint64_t step;		       /* of a token */
	uint32_t time_s;
	uint8_t nonce[BURNT_NONCE_SIZE]; /* of an SPA knock, as its time */
	struct one_time *file;
	size_t line;
	char remark[BURN_REMARK_SIZE];
};

/* The line of the file, which this address has used. */
void burn_init_line(struct burn *burn, struct one_time *file, size_t line,
		    const struct address *source, uint64_t unix_s);

/* 0; else as burnt_token() and one_time_mark(): it must open nothing. */
int burn_run(struct burnt *burnt, const struct burn *burn);

/* Whether both burn the same. */
bool burn_equal(const struct burn *a, const struct burn *b);

/* Why nothing opens after this error of burn_run(); NULL: 0 is not an error. */
const char *burn_explain(const struct burn *burn, int error, char text[static BURN_REASON_SIZE]);

/* What kind of reason that is. */
enum refusal burn_refusal(const struct burn *burn, int error);
