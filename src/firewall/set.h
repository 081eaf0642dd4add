/* What the backends have in common that put an element into a set: ipset and nft. */
#pragma once

#include "firewall/firewall.h"

#include <stdbool.h>
#include <stdint.h>

struct visitor;
struct door;
struct listing;
struct passage;

/* As backend.spell and backend.is_whole. */
int set_spell(const struct door *door, const struct visitor *visitor, struct passage *passage);
bool set_is_whole(const struct passage *passage);

/* As backend.find. */
enum firewall_answer set_find(const struct listing *listing, const struct passage *passage,
			      uint64_t *ret_left_us);

/* As backend.knows. */
bool set_knows(const struct listing *listing, const struct passage *passage);

/* The timeout of an element in whole seconds, rounded up; never 0, which would be for ever. */
uint64_t set_timeout_s(uint64_t left_us);
