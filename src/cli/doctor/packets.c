#include "cli/doctor/packets.h"

#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cli/doctor/finding.h"
#include "config/config.h"
#include "core/door.h"
#include "core/probe.h"
#include "ruleset/answer.h"
#include "ruleset/ruleset.h"

void doctor_set_arrival(const struct doctor *doctor, struct packet *packet)
{
	const struct doctor_side *side = &doctor->sides[packet->family];

	packet->interface = side->interface[0] ? side->interface : NULL;
	packet->target = side->has_address ? &side->address : NULL;
	packet->port_set = doctor->config->expected_ports;
	packet->around = &doctor->around;
}

struct packet doctor_probe(const struct doctor *doctor, const struct door *door, enum family family,
			   struct step step)
{
	const struct filter *filter = &door->knock.filter;
	bool is_tcp = step.protocol == IPPROTO_TCP;
	uint8_t flags = is_tcp ? filter->flags_set : 0;

	struct packet packet = {
		.family = family,
		.protocol = step.protocol,
		.flags = flags,
		.port = step.port,
		.state = !is_tcp || flags == TCP_FLAG_SYN ? PACKET_NEW : PACKET_INVALID,
		.by_nflog = filter->by_nflog,
	};

	doctor_set_arrival(doctor, &packet);
	if (filter->interface[0] &&
	    (!packet.interface || !filter_takes_interface(filter, packet.interface)))
		packet.interface = filter->interface;
	if (filter->has_target && address_family(&filter->target) == family)
		packet.target = &filter->target;
	return packet;
}

struct packet doctor_connection(const struct doctor *doctor, const struct door *door,
				enum family family, struct step port)
{
	struct packet packet = doctor_probe(doctor, door, family, port);

	packet.flags = port.protocol == IPPROTO_TCP ? TCP_FLAG_SYN : 0;
	packet.state = PACKET_NEW;
	return packet;
}

struct packet doctor_answer(const struct doctor *doctor, const struct door *door,
			    enum family family, struct step port)
{
	struct packet packet = doctor_probe(doctor, door, family, port);

	packet.leaves = true;
	packet.source = packet.target;
	packet.target = NULL;
	packet.flags = port.protocol == IPPROTO_TCP ? TCP_FLAG_SYN | TCP_FLAG_ACK : 0;
	packet.state = PACKET_ESTABLISHED;
	packet.set = door->opening.set[family];
	return packet;
}

static const struct port_set all_ports = {
	.is_all = true,
	.n_ranges = 2,
	.ranges = {{1, UINT16_MAX, IPPROTO_TCP}, {1, UINT16_MAX, IPPROTO_UDP}},
};

void doctor_guarded(const struct door *door, struct port_set *ret)
{
	const char *text = door->opening.entry ? door->opening.entry : "";
	uint8_t protocol = strstr(text, "udp") ? IPPROTO_UDP : IPPROTO_TCP;

	*ret = door->opening.ports.is_all ? all_ports : door->opening.ports;
	if (ret->n_ranges > 0 || door->opening.backend == BACKEND_COMMAND)
		return;
	/* "%IP%,tcp:22", "%IP% . 22": the last number. */
	for (const char *c = text; *c; c++)
		if (strchr(",:. ", *c) && c[1] >= '1' && c[1] <= '9') {
			uint16_t port = (uint16_t)strtoul(c + 1, NULL, 10);

			ret->ranges[0] = (struct port_range){port, port, protocol};
			ret->n_ranges = 1;
			return;
		}
}

const char *outcome_by(const struct outcome *outcome, char text[static BY_MAX])
{
	if (outcome->by && outcome->by->text)
		return outcome->by->text;
	if (!outcome->chain)
		return "no rule at all";
	snprintf(text, BY_MAX, "%s: the policy of the chain %s", outcome->table->name,
		 outcome->chain->name);
	return text;
}

static bool asks_for(const struct rule_view *rule, enum field field)
{
	for (size_t i = 0; i < rule->n_conditions; i++)
		if (condition_asks(&rule->conditions[i], field))
			return true;
	return false;
}

/* What it depends on whether the rule matches. */
static const char *rule_why(const struct rule_view *rule)
{
	if (asks_for(rule, FIELD_TIME))
		return "which depends on the time";
	if (answer_is_limited(rule))
		return rule->verdict == VERDICT_ACCEPT ? "which accepts so many an hour"
						       : "which holds for so many an hour";
	if (asks_for(rule, FIELD_SOURCE_PORT) || asks_for(rule, FIELD_SEGMENT_SIZE))
		return "which depends on how it is sent";
	return "of which not all is understood";
}

const char *outcome_doubt(const struct outcome *outcome, char text[static BY_MAX])
{
	const struct rule_view *doubt = outcome->doubt;

	text[0] = '\0';
	if (doubt && doubt == outcome->by)
		snprintf(text, BY_MAX, ", %s", rule_why(doubt));
	else if (doubt)
		snprintf(text, BY_MAX, "; it depends on %s, %s", doubt->text, rule_why(doubt));
	else if (outcome->is_limited)
		snprintf(text, BY_MAX, ", which accepts so many an hour");
	return text;
}
