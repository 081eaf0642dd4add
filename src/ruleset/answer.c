#include "ruleset/answer.h"

#include <netinet/in.h>
#include <string.h>

#include "ruleset/packet.h"
#include "ruleset/ruleset.h"

/* Where strangers usually send from, and what segments they take. */
enum { SOURCE_PORT_FIRST = 32768, SOURCE_PORT_LAST = 60999 };
enum { SEGMENT_FIRST = 1200, SEGMENT_LAST = 1460, PORT_MAX = 65535, HOP_LIMIT_MAX = 255 };

/* What strangers have: IPv4 as the last four bytes, IPv6 as the first four. A network that is
 * larger than this belongs to nobody in particular. */
static const struct {
	uint32_t first, last, one;
	unsigned offset;
} strangers[N_FAMILIES] = {
	[FAMILY_IPV4] = {0x01000000, 0xdfffffff, 0x00ffffff, 12},
	[FAMILY_IPV6] = {0x20000000, 0x3fffffff, 0x0000ffff, 0},
};

static enum answer answer_of(bool holds)
{
	return holds ? ANSWER_YES : ANSWER_NO;
}

/* Something between low and high. */
static enum answer answer_between(uint32_t low, uint32_t high, const struct accepted *accepted)
{
	if (low >= accepted->first && high <= accepted->last)
		return ANSWER_YES;
	return high < accepted->first || low > accepted->last ? ANSWER_NO : ANSWER_MAYBE;
}

static int compare(const struct address *a, const struct address *b)
{
	return memcmp(a->bytes, b->bytes, sizeof a->bytes);
}

static enum answer answer_addresses(const struct address *low, const struct address *high,
				    const struct accepted *accepted)
{
	if (compare(low, &accepted->low) >= 0 && compare(high, &accepted->high) <= 0)
		return ANSWER_YES;
	return compare(high, &accepted->low) < 0 || compare(low, &accepted->high) > 0
		       ? ANSWER_NO
		       : ANSWER_MAYBE;
}

static uint32_t address_part(const struct address *address, unsigned offset)
{
	const uint8_t *b = address->bytes + offset;

	return (uint32_t)b[0] << 24 | (uint32_t)b[1] << 16 | (uint32_t)b[2] << 8 | b[3];
}

/* Everybody, many, or some in particular. */
static enum answer answer_stranger(enum family family, const struct accepted *accepted)
{
	struct address all_low = {{0}}, all_high;
	unsigned offset = strangers[family].offset;
	uint32_t low, high;

	memset(all_high.bytes, 0xff, sizeof all_high.bytes);
	if (family == FAMILY_IPV4) {
		memset(all_low.bytes + 10, 0xff, 2);
		memset(all_high.bytes, 0, 10);
	}
	if (answer_addresses(&all_low, &all_high, accepted) == ANSWER_NO)
		return ANSWER_NO;
	low = compare(&accepted->low, &all_low) < 0 ? 0 : address_part(&accepted->low, offset);
	high = compare(&accepted->high, &all_high) > 0 ? UINT32_MAX
						       : address_part(&accepted->high, offset);
	if (low <= strangers[family].first && high >= strangers[family].last)
		return ANSWER_YES;
	return answer_of(high - low > strangers[family].one) == ANSWER_YES ? ANSWER_MAYBE
									   : ANSWER_NO;
}

static bool has_ports(const struct packet *packet)
{
	return packet->protocol == IPPROTO_TCP || packet->protocol == IPPROTO_UDP;
}

static enum answer answer_usually(const struct packet *packet, uint32_t low, uint32_t high,
				  const struct accepted *accepted)
{
	if (packet->is_anybodys)
		return answer_between(0, PORT_MAX, accepted);
	return answer_between(low, high, accepted);
}

static enum answer answer_name(const char *name, const char *interface)
{
	size_t length = name ? strlen(name) : 0;
	bool is_pattern = length > 0 && name[length - 1] == '*';

	if (length == 0)
		return ANSWER_NO;
	if (strcmp(name, "lo") == 0)
		return ANSWER_NO;
	if (length == 1 && is_pattern)
		return ANSWER_YES;
	if (!interface)
		return ANSWER_MAYBE;
	return answer_of(strncmp(name, interface, length - is_pattern) == 0 &&
			 (is_pattern || !interface[length]));
}

static bool is_own(const struct packet *packet, const struct accepted *accepted)
{
	const struct surroundings *around = packet->around;

	for (size_t i = 0; around && i < around->n_own; i++)
		if (answer_addresses(&around->own[i], &around->own[i], accepted) == ANSWER_YES)
			return true;
	return false;
}

static enum answer answer_target(const struct situation *situation, const struct accepted *accepted)
{
	const struct packet *packet = situation->packet;
	struct accepted any;
	enum answer answer;

	if (packet->leaves && !packet->target)
		return answer_stranger(packet->family, accepted);
	accepted_set_all_addresses(&any);
	answer = situation->has_target ? answer_addresses(&situation->target.low,
							  &situation->target.high, accepted)
				       : answer_addresses(&any.low, &any.high, accepted);
	/* Whoever it is may take another of the addresses. */
	if (answer == ANSWER_NO && packet->is_anybodys && !situation->is_moved &&
	    is_own(packet, accepted))
		return ANSWER_MAYBE;
	return answer;
}

static enum answer answer_state(const struct situation *situation, unsigned mask)
{
	const unsigned status = PACKET_MOVED | PACKET_ANSWERED;
	unsigned states = situation->states & ~status;

	if (situation->states & mask & status || (states & ~mask) == 0)
		return ANSWER_YES;
	return states & mask ? ANSWER_MAYBE : ANSWER_NO;
}

static enum answer answer_mark(const struct mark *mark, const struct accepted *accepted)
{
	uint32_t value = mark->value & accepted->mask;

	if (mark->is_unknown && accepted->mask)
		return ANSWER_MAYBE;
	return answer_between(value, value, accepted);
}

static enum answer answer_flags(const struct situation *situation, enum field field,
				const struct accepted *accepted)
{
	uint32_t flags = situation->packet->flags & accepted->mask;

	return answer_of(situation->packet->protocol == IPPROTO_TCP &&
			 (field == FIELD_FLAGS ? flags == accepted->first : flags != 0));
}

/* Who has knocked may come from a network that only they are let in from. */
static enum answer answer_source(const struct situation *situation, const struct rule_view *rule,
				 const struct condition *condition, const struct accepted *accepted)
{
	const struct packet *packet = situation->packet;
	enum answer answer;

	if (packet->source)
		return answer_addresses(packet->source, packet->source, accepted);
	if (packet->leaves)
		return ANSWER_MAYBE;
	answer = answer_stranger(packet->family, accepted);
	if (answer == ANSWER_NO && !condition->negated && answer_asks_for_set(situation, rule) &&
	    address_family(&accepted->low) == packet->family)
		return ANSWER_MAYBE;
	return answer;
}

static enum answer answer_original(const struct situation *situation, enum field field,
				   const struct accepted *accepted)
{
	const struct packet *packet = situation->packet;

	if (field == FIELD_ORIGINAL_PORT)
		return answer_between(packet->port, packet->port, accepted);
	if (packet->leaves)
		return ANSWER_MAYBE;
	return packet->target ? answer_addresses(packet->target, packet->target, accepted)
			      : ANSWER_MAYBE;
}

static bool is_for_many(const struct packet *packet)
{
	return packet->family == FAMILY_IPV6 && packet->target && packet->target->bytes[0] == 0xff;
}

static enum answer answer_kind(const struct situation *situation, uint32_t mask)
{
	if (is_for_many(situation->packet))
		return answer_of(mask & ADDRESS_OTHER);
	if (situation->packet->leaves)
		return answer_of(mask & ADDRESS_UNICAST);
	return answer_of(mask & (situation->is_away ? ADDRESS_UNICAST : ADDRESS_LOCAL));
}

/* Either port: that it is sent to, or from. */
static enum answer answer_port(const struct situation *situation, bool is_target,
			       const struct accepted *accepted)
{
	const struct packet *packet = situation->packet;

	if (!has_ports(packet))
		return ANSWER_NO;
	if (is_target == !packet->leaves)
		return answer_between(situation->port.first, situation->port.last, accepted);
	return answer_usually(packet, SOURCE_PORT_FIRST, SOURCE_PORT_LAST, accepted);
}

/* What of ICMPv6 is looked at comes from a neighbour. */
static enum answer answer_hop_limit(const struct packet *packet, const struct accepted *accepted)
{
	return packet->protocol == IPPROTO_ICMPV6
		       ? answer_between(HOP_LIMIT_MAX, HOP_LIMIT_MAX, accepted)
		       : ANSWER_MAYBE;
}

static enum answer answer_field(const struct situation *situation, const struct rule_view *rule,
				const struct condition *condition, enum field field,
				const struct accepted *accepted)
{
	const struct packet *packet = situation->packet;

	switch (field) {
	case FIELD_CONSTANT:
		return (enum answer)accepted->first;
	case FIELD_RATE:
		return packet->is_anybodys ? ANSWER_MAYBE : answer_of(accepted->first);
	case FIELD_EARNED:
		return rule->verdict == VERDICT_DROP ? ANSWER_NO : ANSWER_MAYBE;
	case FIELD_FAMILY:
		return answer_between(packet->family, packet->family, accepted);
	case FIELD_PROTOCOL:
		return answer_between(packet->protocol, packet->protocol, accepted);
	case FIELD_PORT:
	case FIELD_SOURCE_PORT:
		return answer_port(situation, field == FIELD_PORT, accepted);
	case FIELD_ICMP_TYPE:
		return packet->protocol == IPPROTO_ICMPV6
			       ? answer_between(packet->icmp_type, packet->icmp_type, accepted)
			       : ANSWER_NO;
	case FIELD_HOP_LIMIT:
		return answer_hop_limit(packet, accepted);
	case FIELD_SEGMENT_SIZE:
		return packet->protocol == IPPROTO_TCP
			       ? answer_usually(packet, SEGMENT_FIRST, SEGMENT_LAST, accepted)
			       : ANSWER_NO;
	case FIELD_FLAGS:
	case FIELD_ANY_FLAGS:
		return answer_flags(situation, field, accepted);
	case FIELD_STATE:
		return answer_state(situation, accepted->mask);
	case FIELD_MARK:
		return answer_mark(&situation->mark, accepted);
	case FIELD_CT_MARK:
		return answer_mark(&situation->ct_mark, accepted);
	case FIELD_ORIGINAL_PORT:
	case FIELD_ORIGINAL_TARGET:
		return answer_original(situation, field, accepted);
	case FIELD_TARGET:
		return answer_target(situation, accepted);
	case FIELD_TARGET_KIND:
		return answer_kind(situation, accepted->mask);
	case FIELD_CAST:
		return answer_of(accepted->mask & (is_for_many(packet) ? CAST_MANY : CAST_HOST));
	case FIELD_DIRECTION:
		return answer_of(accepted->first == !packet->leaves);
	case FIELD_SOURCE:
		return answer_source(situation, rule, condition, accepted);
	case FIELD_INTERFACE:
		return packet->leaves ? ANSWER_NO : answer_name(accepted->text, packet->interface);
	case FIELD_OUTGOING:
		if (packet->leaves)
			return answer_name(accepted->text, packet->interface);
		return situation->is_forwarded ? answer_name(accepted->text, situation->out)
					       : ANSWER_NO;
	default:
		return ANSWER_MAYBE;
	}
}

/* Whether the set that the condition names is this one, which may be none. */
static bool names_set(const struct situation *situation, const struct condition *condition,
		      const char *set)
{
	const char *prefix = situation->set_prefix;
	size_t length = strlen(prefix);

	return condition->set && set && strncmp(set, prefix, length) == 0 &&
	       strcmp(set + length, condition->set) == 0;
}

bool answer_asks_for_set(const struct situation *situation, const struct rule_view *rule)
{
	for (size_t i = 0; i < rule->n_conditions; i++)
		if (!rule->conditions[i].negated &&
		    names_set(situation, &rule->conditions[i], situation->packet->set))
			return true;
	return false;
}

static enum answer answer_entry(const struct situation *situation, const struct rule_view *rule,
				const struct condition *condition, const struct accepted *entry)
{
	enum answer worst = ANSWER_YES;

	for (size_t i = 0; i < condition->n_fields && worst > ANSWER_NO; i++) {
		enum answer one =
			answer_field(situation, rule, condition, condition->fields[i], &entry[i]);

		if (one < worst)
			worst = one;
	}
	return worst;
}

/* Up to where the entry goes on from there, if all else of it matches: else to before there. */
static uint32_t cover_by(const struct situation *situation, const struct rule_view *rule,
			 const struct condition *condition, const struct accepted *entry,
			 uint32_t from)
{
	const unsigned offset = strangers[situation->packet->family].offset;
	uint32_t end = from - 1;

	for (size_t i = 0; i < condition->n_fields; i++) {
		enum field field = condition->fields[i];
		enum answer one = answer_field(situation, rule, condition, field, &entry[i]);

		if (one != (field == FIELD_SOURCE ? ANSWER_MAYBE : ANSWER_YES))
			return from - 1;
		if (field == FIELD_SOURCE && address_part(&entry[i].low, offset) <= from &&
		    address_part(&entry[i].high, offset) >= from)
			end = address_part(&entry[i].high, offset);
	}
	return end;
}

/* Whether networks, none of which is everybody's, are everybody's together: in a set of ipset there
 * is no other way to say it. */
static bool covers_all(const struct situation *situation, const struct rule_view *rule,
		       const struct condition *condition)
{
	uint32_t from = strangers[situation->packet->family].first;

	while (from <= strangers[situation->packet->family].last) {
		uint32_t next = from;

		for (size_t i = 0; i < condition->n_entries; i++) {
			uint32_t end =
				cover_by(situation, rule, condition,
					 &condition->accepted[i * condition->n_fields], from);

			if (end == UINT32_MAX)
				return true;
			if (end >= next)
				next = end + 1;
		}
		if (next == from)
			return false;
		from = next;
	}
	return true;
}

static enum answer answer_condition(const struct situation *situation, const struct rule_view *rule,
				    const struct condition *condition)
{
	const struct packet *packet = situation->packet;
	enum answer best = condition->is_partial ? ANSWER_MAYBE : ANSWER_NO;

	if (condition_asks(condition, packet->leaves ? FIELD_TARGET : FIELD_SOURCE) &&
	    names_set(situation, condition, packet->set))
		return ANSWER_YES;
	if (condition_asks(condition, FIELD_PORT) && condition->n_fields == 1 &&
	    names_set(situation, condition, packet->port_set))
		return answer_of(packet->in_port_set);
	if (condition->is_earned && rule->verdict != VERDICT_DROP)
		best = ANSWER_MAYBE;
	for (size_t i = 0; i < condition->n_entries && best < ANSWER_YES; i++) {
		enum answer one = answer_entry(situation, rule, condition,
					       &condition->accepted[i * condition->n_fields]);

		if (one > best)
			best = one;
	}
	if (best == ANSWER_MAYBE && !packet->source && !packet->leaves &&
	    condition_asks(condition, FIELD_SOURCE) && covers_all(situation, rule, condition))
		return ANSWER_YES;
	return best;
}

enum answer answer_conditions(const struct situation *situation, const struct rule_view *rule)
{
	enum answer worst = ANSWER_YES;

	for (size_t i = 0; i < rule->n_conditions && worst > ANSWER_NO; i++) {
		enum answer one = answer_condition(situation, rule, &rule->conditions[i]);

		if (rule->conditions[i].negated)
			one = (enum answer)(ANSWER_YES - one);
		if (rule->conditions[i].needs_tracking &&
		    (situation->states & (PACKET_UNTRACKED | PACKET_INVALID)) && one > ANSWER_NO)
			one = situation->states & PACKET_NEW ? ANSWER_MAYBE : ANSWER_NO;
		if (one < worst)
			worst = one;
	}
	return worst;
}

static enum answer answer_limit(const struct packet *packet, const struct log_limit *limit)
{
	if (!limit->is_there)
		return ANSWER_YES;
	return packet->is_anybodys ? ANSWER_MAYBE : answer_of(!limit->is_over);
}

enum answer answer_limits(const struct packet *packet, const struct rule_view *rule)
{
	enum answer by_source = answer_limit(packet, &rule->limits.by_source),
		    for_all = answer_limit(packet, &rule->limits.for_all);

	return by_source < for_all ? by_source : for_all;
}

bool answer_is_limited(const struct rule_view *rule)
{
	for (size_t i = 0; i < rule->n_conditions; i++)
		if (condition_asks(&rule->conditions[i], FIELD_RATE))
			return true;
	return rule->limits.by_source.is_there || rule->limits.for_all.is_there;
}
