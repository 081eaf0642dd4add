/* What an nft rule tests of a packet: its expressions `match`, and the keys of maps. */
#pragma once

struct json_object;
struct nft_reader;
struct rule_view;

/* Adds to the rule what is asked, as one condition or several; what is not understood, as an
 * unknown one. 0 or -ENOMEM. */
int nft_add_match(const struct nft_reader *reader, struct rule_view *rule, struct json_object *left,
		  const char *op, struct json_object *right);
