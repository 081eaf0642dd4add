/* The doctor's check of IPv6 itself: where neighbours are not answered, no packet comes. */
#include "cli/doctor/checks.h"

#include <netinet/icmp6.h>
#include <netinet/in.h>
#include <stddef.h>
#include <string.h>

#include "cli/doctor/finding.h"
#include "cli/doctor/packets.h"
#include "config/config.h"

static const char advice[] =
	"let them through: icmpv6 type { nd-neighbor-solicit, nd-neighbor-advert } accept, or "
	"--icmpv6-type 135 and 136";

static struct address address_of(const char *text)
{
	struct address address = {{0}};

	(void)address_parse(text, &address);
	return address;
}

/* ff02::1:ffXX:XXXX, to which whoever looks for the address sends. */
static struct address group_of(const struct address *address)
{
	struct address group = address_of("ff02::1:ff00:0");

	memcpy(group.bytes + 13, address->bytes + 13, 3);
	return group;
}

/* Who looks for this machine has to be answered. */
static void say_lost(struct doctor *doctor, const struct walk *walk, const char *what)
{
	bool is_sure = walk->verdict == VERDICT_DROP;
	char by[BY_MAX], doubt[BY_MAX];

	doctor_say(doctor, is_sure ? FINDING_PROBLEM : FINDING_WARNING, advice,
		   "IPv6: %s are dropped%s, by %s%s: without them nothing comes here", what,
		   is_sure ? "" : ", it may be", outcome_by(&walk->dropped, by),
		   outcome_doubt(&walk->dropped, doubt));
}

/* Whom this machine looks for has often looked for it before. */
static void say_forgetful(struct doctor *doctor, const struct walk *walk, const char *what)
{
	char by[BY_MAX], doubt[BY_MAX];

	doctor_say(doctor, FINDING_WARNING, advice,
		   "IPv6: %s are dropped%s, by %s%s: this machine finds no neighbour, and loses "
		   "those that it knows",
		   what, walk->verdict == VERDICT_DROP ? "" : ", it may be",
		   outcome_by(&walk->dropped, by), outcome_doubt(&walk->dropped, doubt));
}

/* A neighbour's packet to an address of this machine, or one of this machine's to a neighbour. */
static void walk_message(const struct doctor *doctor, uint8_t type, bool leaves, struct walk *ret)
{
	const struct doctor_side *side = &doctor->sides[FAMILY_IPV6];
	struct address neighbour = address_of("fe80::1");
	struct address asked = leaves ? neighbour : side->address, group = group_of(&asked);
	struct packet packet = {
		.family = FAMILY_IPV6,
		.protocol = IPPROTO_ICMPV6,
		.icmp_type = type,
		.state = PACKET_UNTRACKED,
	};

	doctor_set_arrival(doctor, &packet);
	packet.leaves = leaves;
	packet.source = leaves ? &side->address : &neighbour;
	packet.target = type == ND_NEIGHBOR_SOLICIT ? &group : &asked;
	ruleset_walk(&doctor->ruleset, &packet, doctor->config->log_prefix, ret);
}

static const struct message {
	uint8_t type;
	bool leaves;
	void (*say)(struct doctor *doctor, const struct walk *walk, const char *what);
	const char *name;
} messages[] = {
	{ND_NEIGHBOR_SOLICIT, false, say_lost, "neighbour solicitations"},
	{ND_NEIGHBOR_ADVERT, true, say_lost, "this machine's neighbour advertisements"},
	{ND_NEIGHBOR_ADVERT, false, say_forgetful, "neighbour advertisements"},
	{ND_NEIGHBOR_SOLICIT, true, say_forgetful, "this machine's neighbour solicitations"},
};

static void check_message(struct doctor *doctor, const struct message *message)
{
	struct walk walk;

	walk_message(doctor, message->type, message->leaves, &walk);
	if (walk.verdict != VERDICT_ACCEPT)
		message->say(doctor, &walk, message->name);
}

static bool has_door(const struct doctor *doctor)
{
	for (size_t i = 0; i < doctor->config->n_doors; i++)
		if (door_opens_for(&doctor->config->doors[i], FAMILY_IPV6) &&
		    doctor_looks_at(doctor, &doctor->config->doors[i]))
			return true;
	return false;
}

void doctor_check_neighbours(struct doctor *doctor)
{
	bool are_needed = doctor->sides[FAMILY_IPV6].has_neighbours && has_door(doctor);

	for (size_t i = 0; are_needed && i < sizeof messages / sizeof messages[0]; i++)
		check_message(doctor, &messages[i]);
	if (doctor->n_said == 0)
		doctor_say(doctor, FINDING_OK, NULL, "nothing keeps IPv6 neighbours away");
}
