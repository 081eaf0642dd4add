#include "keys/burn.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "keys/one-time.h"
#include "util/clock.h"
#include "util/timestamp.h"

/* For the administrator: who used the line, and when. */
void burn_init_line(struct burn *burn, struct one_time *file, size_t line,
		    const struct address *source, uint64_t unix_s)
{
	char when[TIMESTAMP_TEXT_MAX] = "", text[ADDRESS_TEXT_MAX];

	*burn = (struct burn){.kind = BURN_LINE, .now_s = unix_s, .file = file, .line = line};
	if (unix_s > 0)
		timestamp_format_utc(unix_s * US_PER_S, when);
	snprintf(burn->remark, sizeof burn->remark, "used%s%s by %s", unix_s > 0 ? " " : "", when,
		 address_format(source, text));
}

int burn_run(struct burnt *burnt, const struct burn *burn)
{
	if (burn->kind == BURN_LINE)
		return one_time_mark(burn->file, burn->line, burn->remark);
	burnt_set_skew(burnt, burn->skew_s);
	if (burn->kind == BURN_SPA)
		return burnt_nonce(burnt, &burn->key, burn->nonce, burn->time_s, burn->now_s);
	if (burn->kind == BURN_TOKEN_AHEAD)
		return burnt_token_ahead(burnt, &burn->key, burn->door, burn->step, burn->now_s);
	if (burn->kind == BURN_TOKEN_ELSEWHERE)
		return burnt_token_elsewhere(burnt, &burn->key, burn->door, burn->step,
					     burn->now_s);
	return burnt_token(burnt, &burn->key, burn->door, burn->step, burn->now_s);
}

bool burn_equal(const struct burn *a, const struct burn *b)
{
	if (a->kind == BURN_LINE || b->kind == BURN_LINE)
		return a->kind == b->kind && a->file == b->file && a->line == b->line;
	if (memcmp(&a->key, &b->key, sizeof a->key) != 0)
		return false;
	if (a->kind == BURN_SPA || b->kind == BURN_SPA)
		return a->kind == b->kind && memcmp(a->nonce, b->nonce, sizeof a->nonce) == 0;
	return strcmp(a->door, b->door) == 0 && a->step == b->step;
}

static const char *explain_line(int error, char text[static BURN_REASON_SIZE])
{
	snprintf(text, BURN_REASON_SIZE,
		 "its sequence is used up, but cannot be marked as used: %s",
		 error == -ESTALE || error == -EBADMSG ? "the file has changed; reload"
						       : strerror(-error));
	return text;
}

const char *burn_explain(const struct burn *burn, int error, char text[static BURN_REASON_SIZE])
{
	if (error == 0)
		return NULL;
	if (burn->kind == BURN_LINE)
		return explain_line(error, text);
	switch (error) {
	case -EALREADY:
		return "replayed: it was used before";
	case -ESTALE:
		return "replayed or stale: a later one was used before";
	case -EBADMSG:
		return "this key's replay record is damaged; try again in a few minutes";
	case -ENOBUFS:
		return "too many requests with this key";
	default:
		snprintf(text, BURN_REASON_SIZE, "it cannot be recorded as used: %s",
			 strerror(-error));
		return text;
	}
}

enum refusal burn_refusal(const struct burn *burn, int error)
{
	if (error == -ENOBUFS)
		return REFUSAL_RATE;
	if (error == -EALREADY || (error == -ESTALE && burn->kind != BURN_LINE))
		return REFUSAL_REPLAYED;
	return REFUSAL_DISK;
}
