#include "ruleset/nft/limit.h"

#include <json-c/json.h>
#include <string.h>

#include "ruleset/nft/json.h"
#include "ruleset/nft/reader.h"
#include "ruleset/ruleset.h"

enum { MS_PER_S = 1000 };

static struct log_limit limit_of(struct json_object *limit)
{
	static const struct {
		const char *name;
		uint64_t times;
	} units[] = {{"second", 3600}, {"minute", 60}, {"hour", 1}, {"day", 0}, {"week", 0}};
	const char *per = nft_get_text(limit, "per");
	uint64_t rate = (uint64_t)json_object_get_int64(nft_get(limit, "rate"));

	struct log_limit read = {
		.is_there = true,
		.is_over = json_object_get_boolean(nft_get(limit, "inv")),
		.per_hour = rate / 24,
		.burst = nft_get(limit, "burst")
				 ? (uint32_t)json_object_get_int64(nft_get(limit, "burst"))
				 : 5,
	};
	for (size_t i = 0; i < sizeof units / sizeof units[0]; i++)
		if (strcmp(per, units[i].name) == 0 && units[i].times > 0)
			read.per_hour = rate * units[i].times;
	return read;
}

/* Objects have names, and are elsewhere. */
static struct json_object *find_named(const struct nft_reader *reader, const char *kind,
				      struct json_object *value)
{
	return nft_text(value)[0] ? nft_find(reader, kind, nft_text(value)) : value;
}

int nft_read_limit(const struct nft_reader *reader, struct rule_view *rule,
		   struct json_object *limit)
{
	rule->limits.for_all = limit_of(find_named(reader, "limit", limit));
	return 0;
}

/* What is counted up to a number, or over it: of the first there has been nothing yet. */
int nft_read_count(const struct nft_reader *reader, struct rule_view *rule, const char *kind,
		   struct json_object *value)
{
	return rule_view_add_number(
		rule, FIELD_RATE, false,
		!json_object_get_boolean(nft_get(find_named(reader, kind, value), "inv")));
}

/* Whoever looks at an address sees packets of its family, even where nft does not say so. */
static int add_family_of(struct rule_view *rule, const char *protocol)
{
	if (strcmp(protocol, "ip") != 0 && strcmp(protocol, "ip6") != 0)
		return 0;
	return rule_view_add_number(rule, FIELD_FAMILY, false,
				    protocol[2] ? FAMILY_IPV6 : FAMILY_IPV4);
}

static uint64_t nft_get_number(struct json_object *object, const char *key)
{
	return (uint64_t)json_object_get_int64(nft_get(object, key));
}

/* How many places a set has for sources, or for the `n_slots` that they share (0: each has its
 * own). */
static void read_places(struct log_limit *limit, struct json_object *set, uint64_t n_slots)
{
	uint64_t size = nft_get_number(set, "size");

	if (n_slots > 0 && size >= n_slots)
		return;
	limit->n_places = size;
	if (limit->place_ms == 0)
		limit->place_ms = nft_get_number(set, "timeout") * MS_PER_S;
	limit->is_full = size > 0 && nft_count(nft_get(set, "elem")) >= size;
}

/* What is asked for each element, and kept with it (nft_dynset.c: an element that is there already
 * is asked what it has, not what the rule would give it). */
static int read_statements(const struct nft_reader *reader, struct rule_view *rule,
			   struct json_object *statements, struct log_limit *limit)
{
	static const char *const counts[] = {"ct count", "quota"};
	int r = 0;

	for (size_t i = 0; r == 0 && i < nft_count(statements); i++) {
		struct json_object *statement = nft_item(statements, i);

		if (nft_get(statement, "limit"))
			*limit = limit_of(nft_get(statement, "limit"));
		for (size_t j = 0; r == 0 && j < sizeof counts / sizeof counts[0]; j++)
			if (nft_get(statement, counts[j]))
				r = nft_read_count(reader, rule, counts[j],
						   nft_get(statement, counts[j]));
	}
	return r;
}

/* An update of a dynamic set by the source's address, or a hash of it, with a limit for each; a
 * meter is the same by an older name. */
int nft_read_update(const struct nft_reader *reader, struct rule_view *rule,
		    struct json_object *update)
{
	struct json_object *statements = nft_get(update, "stmt"), *key = nft_get(update, "elem");
	const char *name = nft_get_text(update, "set");
	struct json_object *hash, *masked, *payload, *set = NULL;
	struct log_limit limit = {0};
	uint64_t place_ms = 0;
	int r;

	if (!key)
		key = nft_get(update, "key");
	/* With a timeout of its own. */
	if (nft_get(key, "elem")) {
		place_ms = nft_get_number(nft_get(key, "elem"), "timeout") * MS_PER_S;
		key = nft_get(nft_get(key, "elem"), "val");
	}
	hash = nft_get(key, "jhash");
	if (hash)
		key = nft_get(hash, "expr");
	masked = nft_get(key, "&");
	payload = nft_get(masked ? nft_item(masked, 0) : key, "payload");

	if (name[0] == '@') {
		set = nft_find(reader, "set", name + 1);
		if (!statements)
			statements = nft_get(set, "stmt");
		if (nft_how_fed(reader, name + 1) == (FED_ALONE | FED_WITH_STATEMENTS)) {
			r = rule_view_add_number(rule, FIELD_UNKNOWN, false, 0);
			if (r < 0)
				return r;
		}
	}
	r = read_statements(reader, rule, statements, &limit);
	if (r < 0)
		return r;
	if (strcmp(nft_get_text(payload, "field"), "saddr") != 0) {
		if (limit.is_there)
			rule->limits.for_all = limit;
	} else if (limit.is_there) {
		limit.place_ms = place_ms;
		if (set)
			read_places(&limit, set, nft_get_number(hash, "mod"));
		rule->limits.by_source = limit;
	}
	return add_family_of(rule, nft_get_text(payload, "protocol"));
}
