/* SPA knocks: a TCP SYN whose option carries a request, found by its port and opened with its key.
 * Within this folder only. */
#pragma once

#include <stdint.h>

struct keyed_base;
struct keyed_case;
struct spa_knocks;

/* The base is borrowed, and must stay where it is. 0; -ENOMEM; -E2BIG: too many keys. */
int spa_knocks_new(struct keyed_base *base, struct spa_knocks **ret);
struct spa_knocks *spa_knocks_free(struct spa_knocks *knocks);

/* Feeds one probe and reports the request in it, if there is one. */
void spa_knocks_feed(struct spa_knocks *knocks, const struct keyed_case *one);

/* Prepares a part of the steps around this one. */
void spa_knocks_tend(struct spa_knocks *knocks, uint64_t step);
