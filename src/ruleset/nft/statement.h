/* What an nft rule does: its statements. */
#pragma once

struct json_object;
struct nft_reader;
struct rule_view;

/* Reads a statement, of a kind other than the maps that decide. 0 or -ENOMEM. */
int nft_read_statement(const struct nft_reader *reader, struct rule_view *rule, const char *kind,
		       struct json_object *value);

/* Where a rule sends a packet: an address, or both together ("10.0.0.1 . 80"), and a port. Either
 * may be NULL. */
void nft_read_destination(struct rule_view *rule, struct json_object *address,
			  struct json_object *port);
