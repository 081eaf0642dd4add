/* What an nft expression takes of a packet: the field, and how its values are written. */
#pragma once

#include "ruleset/condition.h"

struct json_object;
struct rule_view;

/* Reads a value into an accepted one. Whether it is understood. */
typedef bool (*nft_value_fn)(struct json_object *object, uint32_t mask, struct accepted *ret);

struct selection {
	enum field field;
	nft_value_fn read;
	uint32_t mask;
	bool of_connection;
};

/* FIELD_UNKNOWN: it is not understood. What the expression takes for granted (a protocol, a family)
 * becomes a condition of the rule. 0 or -ENOMEM. */
int nft_select(struct rule_view *rule, struct json_object *expression, const char *op,
	       struct selection *ret);

/* Values that others use, too: "192.0.2.1", a prefix, or a range; and numbers, or a range. */
bool nft_read_addresses(struct json_object *object, uint32_t mask, struct accepted *ret);
bool nft_read_numbers(struct json_object *object, uint32_t mask, struct accepted *ret);
