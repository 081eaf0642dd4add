#include "ruleset/port-cuts.h"

#include <string.h>

#include "ruleset/ruleset.h"

static void cut_at(struct port_cuts *cuts, uint32_t port)
{
	if (port <= UINT16_MAX)
		cuts->bits[port / 8] |= (uint8_t)(1U << port % 8);
}

static bool is_cut_at(const struct port_cuts *cuts, unsigned port)
{
	return cuts->bits[port / 8] & 1U << port % 8;
}

/* In nft a rule names a set by the last word of its name alone. */
static bool names_port_set(const struct condition *condition, const char *port_set)
{
	const char *blank = port_set ? strrchr(port_set, ' ') : NULL;

	return condition->set && port_set &&
	       strcmp(condition->set, blank ? blank + 1 : port_set) == 0;
}

static void cut_by(struct port_cuts *cuts, const struct condition *condition)
{
	for (size_t i = 0; i < condition->n_entries * condition->n_fields; i++) {
		enum field field = condition->fields[i % condition->n_fields];

		if (field != FIELD_PORT && field != FIELD_SOURCE_PORT &&
		    field != FIELD_ORIGINAL_PORT)
			continue;
		cut_at(cuts, condition->accepted[i].first);
		if (condition->accepted[i].last <= UINT16_MAX)
			cut_at(cuts, condition->accepted[i].last + 1);
	}
}

static void cut_by_chain(struct port_cuts *cuts, const struct chain_view *chain,
			 const char *port_set)
{
	for (size_t i = 0; i < chain->n_rules; i++)
		for (size_t j = 0; j < chain->rules[i].n_conditions; j++)
			if (!names_port_set(&chain->rules[i].conditions[j], port_set))
				cut_by(cuts, &chain->rules[i].conditions[j]);
}

void port_cuts_find(const struct ruleset *ruleset, const char *port_set, struct port_cuts *ret)
{
	*ret = (struct port_cuts){0};
	for (size_t i = 0; i < ruleset->n_tables; i++)
		for (size_t j = 0; j < ruleset->tables[i].n_chains; j++)
			cut_by_chain(ret, &ruleset->tables[i].chains[j], port_set);
}

bool port_cuts_next(const struct port_cuts *cuts, const struct port_range *range,
		    struct port_range *piece)
{
	unsigned first = piece->first == 0 ? range->first : piece->last + 1U, last = first;

	if (first > range->last)
		return false;
	while (last < range->last && !is_cut_at(cuts, last + 1))
		last++;
	*piece = (struct port_range){(uint16_t)first, (uint16_t)last, range->protocol};
	return true;
}
