/* Token knocks: eight ports of one source that are a token of some key, in any order. Within this
 * folder only. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

struct keyed_base;
struct keyed_case;
struct token_knocks;

/* The base is borrowed, and must stay where it is. 0; -ENOMEM; -E2BIG: too many keys for so many
 * doors. */
int token_knocks_new(struct keyed_base *base, struct token_knocks **ret);
struct token_knocks *token_knocks_free(struct token_knocks *knocks);

/* Takes over what another remembers of each source. */
void token_knocks_inherit(struct token_knocks *knocks, const struct token_knocks *other);

/* Feeds one probe and reports the tokens that it completes. True: its source may be in the middle
 * of one. */
bool token_knocks_feed(struct token_knocks *knocks, const struct keyed_case *one);

/* Prepares a part of the steps around this one. */
void token_knocks_tend(struct token_knocks *knocks, uint64_t step);

/* Forgets every source. */
void token_knocks_forget(struct token_knocks *knocks);
