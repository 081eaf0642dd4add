/* How often an nft rule does something: limits, quotas, counts, and what it keeps of sources. */
#pragma once

#include <stdbool.h>

struct json_object;
struct nft_reader;
struct rule_view;

/* A statement of that kind, with its value. 0 or -ENOMEM. */
int nft_read_limit(const struct nft_reader *reader, struct rule_view *rule,
		   struct json_object *limit);
int nft_read_count(const struct nft_reader *reader, struct rule_view *rule, const char *kind,
		   struct json_object *value);
int nft_read_update(const struct nft_reader *reader, struct rule_view *rule,
		    struct json_object *update);
