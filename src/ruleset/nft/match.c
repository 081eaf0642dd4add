#include "ruleset/nft/match.h"

#include <errno.h>
#include <json-c/json.h>
#include <string.h>

#include "ruleset/nft/json.h"
#include "ruleset/nft/reader.h"
#include "ruleset/nft/select.h"
#include "ruleset/ruleset.h"

/* What is looked up: one thing, or several together. */
struct nft_key {
	struct selection parts[FIELDS_MAX];
	size_t n_parts;
};

static int key_read(struct rule_view *rule, struct json_object *left, const char *op,
		    struct nft_key *ret)
{
	struct json_object *concat = nft_get(left, "concat"), *list = concat ? concat : left;
	size_t n = nft_count(list);
	int r = 0;

	*ret = (struct nft_key){.n_parts = n <= FIELDS_MAX ? n : 0};
	for (size_t i = 0; r == 0 && i < ret->n_parts; i++)
		r = nft_select(rule, nft_item(list, i), op, &ret->parts[i]);
	return r;
}

/* An element may have a timeout, a comment, a counter around it. */
static struct json_object *unwrap(struct json_object *element)
{
	struct json_object *wrapped = nft_get(element, "elem");

	return wrapped ? nft_get(wrapped, "val") : element;
}

static int add_entry(struct condition *condition, const struct nft_key *key,
		     struct json_object *element)
{
	struct json_object *concat = nft_get(element, "concat");
	struct accepted *entry = condition_add(condition);

	if (!entry)
		return -ENOMEM;
	for (size_t i = 0; i < key->n_parts; i++) {
		struct json_object *value = concat ? nft_item(concat, i) : element;

		if (!value || !key->parts[i].read(value, key->parts[i].mask, &entry[i]))
			condition->is_partial = true;
	}
	return 0;
}

static int add_entries(struct condition *condition, const struct nft_key *key,
		       struct json_object *elements)
{
	int r = 0;

	for (size_t i = 0; r == 0 && i < nft_count(elements); i++)
		r = add_entry(condition, key, unwrap(nft_item(elements, i)));
	return r;
}

static bool comes_and_goes(struct json_object *set)
{
	struct json_object *flags = nft_get(set, "flags");

	for (size_t i = 0; i < nft_count(flags); i++)
		if (strcmp(nft_text(nft_item(flags, i)), "timeout") == 0)
			return true;
	return false;
}

/* Of what comes and goes, more may be there tomorrow; but not every stranger's address. */
static int add_named_set(const struct nft_reader *reader, struct condition *condition,
			 const struct nft_key *key, const char *name)
{
	struct json_object *set = nft_find(reader, "set", name);

	condition->is_earned = nft_how_fed(reader, name) != 0;
	condition->is_partial = (nft_count(nft_get(set, "elem")) == 0 || comes_and_goes(set)) &&
				!condition_asks(condition, FIELD_SOURCE);
	if (ruleset_set_text(&condition->set, name) < 0)
		return -ENOMEM;
	return set ? add_entries(condition, key, nft_get(set, "elem")) : 0;
}

/* Less, more: up to a number, or from it on. */
static int add_comparison(struct condition *condition, const struct nft_key *key, const char *op,
			  struct json_object *right)
{
	uint32_t number = (uint32_t)json_object_get_int64(right);
	bool is_less = op[0] == '<', is_equal = op[1] == '=';
	int r;

	if (!json_object_is_type(right, json_type_int)) {
		condition->is_partial = true;
		return 0;
	}
	if ((is_less && !is_equal && number == 0) ||
	    (!is_less && !is_equal && number == UINT32_MAX))
		return 0;
	r = is_less ? condition_add_range(condition, 0, number - !is_equal)
		    : condition_add_range(condition, number + !is_equal, UINT32_MAX);
	if (r == 0)
		condition->accepted[0].mask = key->parts[0].mask;
	return r;
}

/* Of a list, each is one value of the field, or all of them together are. */
static bool is_one_value(const struct nft_key *key, const char *op)
{
	return strcmp(op, "in") == 0 || key->parts[0].field == FIELD_FLAGS;
}

static int add_values(const struct nft_reader *reader, struct condition *condition,
		      const struct nft_key *key, const char *op, struct json_object *right)
{
	struct json_object *set = nft_get(right, "set");

	if (op[0] == '<' || op[0] == '>')
		return add_comparison(condition, key, op, right);
	if (nft_text(right)[0] == '@')
		return add_named_set(reader, condition, key, nft_text(right) + 1);
	if (set)
		return add_entries(condition, key, set);
	return json_object_is_type(right, json_type_array) && !is_one_value(key, op)
		       ? add_entries(condition, key, right)
		       : add_entry(condition, key, unwrap(right));
}

int nft_add_match(const struct nft_reader *reader, struct rule_view *rule, struct json_object *left,
		  const char *op, struct json_object *right)
{
	struct condition *condition;
	struct nft_key key;
	int r = key_read(rule, left, op, &key);

	if (r < 0)
		return r;
	if (key.n_parts == 0)
		return rule_view_add_number(rule, FIELD_UNKNOWN, false, 0);
	condition = rule_view_add(rule, FIELD_UNKNOWN, strcmp(op, "!=") == 0);
	if (!condition)
		return -ENOMEM;
	condition->n_fields = key.n_parts;
	for (size_t i = 0; i < key.n_parts; i++) {
		condition->fields[i] = key.parts[i].field;
		condition->needs_tracking = condition->needs_tracking || key.parts[i].of_connection;
	}
	return add_values(reader, condition, &key, op, right);
}
