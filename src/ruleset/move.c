#include "ruleset/move.h"

#include <string.h>

#include "ruleset/packet.h"
#include "ruleset/ruleset.h"

void situation_find_connection(struct situation *situation)
{
	situation->states = situation->packet->state;
	if (situation->packet->state == PACKET_ESTABLISHED)
		situation->states |= PACKET_ANSWERED;
}

static void mark_change(struct mark *mark, const struct mark *other,
			const struct mark_change *change, enum answer certainty)
{
	struct mark from = change->from_other ? *other : *mark;

	if (!change->is_there)
		return;
	if (certainty != ANSWER_YES || change->is_unknown) {
		mark->is_unknown = true;
		return;
	}
	mark->is_unknown = from.is_unknown && change->keep;
	mark->value = (from.value & change->keep) ^ change->flip;
}

void situation_change(struct situation *situation, const struct rule_view *rule,
		      enum answer certainty)
{
	mark_change(&situation->mark, &situation->ct_mark, &rule->mark, certainty);
	mark_change(&situation->ct_mark, &situation->mark, &rule->ct_mark, certainty);
	if (rule->untracks)
		situation->states = certainty == ANSWER_YES ? (unsigned)PACKET_UNTRACKED
							    : situation->states | PACKET_UNTRACKED;
}

static bool contains(const struct accepted *range, const struct address *address)
{
	return memcmp(&range->low, address, sizeof *address) <= 0 &&
	       memcmp(&range->high, address, sizeof *address) >= 0;
}

/* The interface that the rule says that the address is behind; NULL: it does not. */
static const char *rule_tells_interface(const struct rule_view *rule, const struct address *address)
{
	const char *interface = NULL;
	bool is_there = false;

	for (size_t i = 0; i < rule->n_conditions; i++) {
		const struct condition *condition = &rule->conditions[i];

		if (condition->negated || condition->n_fields != 1 || condition->n_entries != 1)
			continue;
		if (condition->fields[0] == FIELD_OUTGOING)
			interface = condition->accepted[0].text;
		is_there = is_there || (condition->fields[0] == FIELD_TARGET &&
					contains(&condition->accepted[0], address));
	}
	return is_there ? interface : NULL;
}

static const char *ruleset_tells_interface(const struct ruleset *ruleset,
					   const struct address *address)
{
	for (size_t i = 0; i < ruleset->n_tables; i++)
		for (size_t j = 0; j < ruleset->tables[i].n_chains; j++) {
			const struct chain_view *chain = &ruleset->tables[i].chains[j];

			for (size_t k = 0; k < chain->n_rules; k++) {
				const char *name = rule_tells_interface(&chain->rules[k], address);

				if (name)
					return name;
			}
		}
	return NULL;
}

/* The interface of the longest route; the default route is for what nothing else is known of. */
static const char *find_outgoing(const struct situation *situation, const struct ruleset *ruleset)
{
	const struct surroundings *around = situation->packet->around;
	const struct route *best = NULL;
	const char *told;

	for (size_t i = 0; around && i < around->n_routes; i++) {
		const struct route *route = &around->routes[i];

		if (network_contains(&route->network, &situation->target.low) &&
		    (!best || route->network.prefix > best->network.prefix))
			best = route;
	}
	if (best && best->network.prefix > (situation->packet->family == FAMILY_IPV4 ? 96 : 0))
		return best->interface;
	told = ruleset_tells_interface(ruleset, &situation->target.low);
	return told ? told : best ? best->interface : NULL;
}

void situation_begin(struct situation *situation, const struct packet *packet,
		     const struct ruleset *ruleset)
{
	*situation = (struct situation){
		.packet = packet,
		.set_prefix = "",
		.port = {.first = packet->port, .last = packet->port},
		.ct_mark = {.is_unknown = packet->state == PACKET_ESTABLISHED},
		.has_target = packet->target != NULL,
		.is_away = packet->passes,
	};
	if (packet->target)
		situation->target.low = situation->target.high = *packet->target;
	if (packet->passes)
		situation->out = find_outgoing(situation, ruleset);
	situation_find_connection(situation);
}

static bool is_here(const struct situation *situation)
{
	const struct surroundings *around = situation->packet->around;
	const struct packet *packet = situation->packet;

	if (!packet->passes && packet->target &&
	    address_equal(packet->target, &situation->target.low))
		return true;
	for (size_t i = 0; around && i < around->n_own; i++)
		if (address_equal(&around->own[i], &situation->target.low))
			return true;
	return packet->family == FAMILY_IPV4 && situation->target.low.bytes[12] == 127;
}

/* It goes where it was going, so that its connection does not have the status of one that was sent
 * on. Source: nf_nat_setup_info() in the kernel's nf_nat_core.c. */
static bool moves_nothing(const struct situation *situation,
			  const struct destination_change *change)
{
	const struct accepted *target = &situation->target, *port = &situation->port;

	if (change->has_port &&
	    (change->port.first != port->first || change->port.last != port->last))
		return false;
	return !change->has_address ||
	       (situation->has_target && address_equal(&change->address.low, &target->low) &&
		address_equal(&change->address.high, &target->high));
}

void situation_move(struct situation *situation, const struct rule_view *rule,
		    const struct ruleset *ruleset)
{
	const struct destination_change *change = &rule->change;

	situation->is_moved = true;
	if (!moves_nothing(situation, change))
		situation->states |= PACKET_MOVED;
	if (change->has_port)
		situation->port = change->port;
	if (!change->has_address)
		return;
	situation->has_target = true;
	situation->target = change->address;
	situation->is_away = !is_here(situation);
	if (situation->is_away)
		situation->out = find_outgoing(situation, ruleset);
}
