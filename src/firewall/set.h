/* What the set backends have in common, ipset and nft: an element in a set. */
#pragma once

#include "firewall/types.h"

#include <stdbool.h>
#include <stdint.h>

struct listing;
struct opening;
struct passage;
struct placeholder_values;

/* As backend.spell. */
int set_spell(const struct opening *opening, const struct placeholder_values *values,
	      struct passage *passage);

/* The element alone, to be freed; NULL: no memory. */
char *set_spell_element(const struct opening *opening, const struct placeholder_values *values);

/* As backend.is_whole. */
bool set_is_whole(const struct passage *passage);

/* As backend.find. */
enum firewall_answer set_find(const struct listing *listing, const struct passage *passage,
			      uint64_t *ret_left_us);

/* As backend.knows. */
bool set_knows(const struct listing *listing, const struct passage *passage);

/* The timeout of an element in whole seconds, rounded up; never 0, which would mean forever. */
uint64_t set_timeout_s(uint64_t left_us);
