/* The doctor's checks of what the firewall lets in at the ports that doors guard.
 *
 * MUST: nothing is said to be all right that only may be. */
#include "cli/doctor/checks.h"

#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>

#include "cli/doctor/finding.h"
#include "cli/doctor/packets.h"
#include "config/config.h"
#include "core/door.h"
#include "core/probe.h"
#include "util/cleanup.h"

/* Where the target is not there, that has been said, and nothing can look it up. */
static bool lacks_target(const struct doctor *doctor, const struct door *door)
{
	return doctor->lacks_target && doctor->lacks_target[door - doctor->config->doors];
}

/* A stranger's packet to what a door guards, and what becomes of it. */
struct entrance {
	const struct doctor *doctor;
	const struct door *door;
	enum family family;
	struct packet packet;
	struct walk walk;
};

static void entrance_make(struct entrance *entrance, const struct doctor *doctor,
			  const struct door *door, enum family family, struct step port)
{
	*entrance = (struct entrance){.doctor = doctor, .door = door, .family = family};
	entrance->packet = doctor_connection(doctor, door, family, port);
}

static void entrance_walk(struct entrance *entrance)
{
	ruleset_walk(&entrance->doctor->ruleset, &entrance->packet,
		     entrance->doctor->config->log_prefix, &entrance->walk);
}

/* By which rule it is sent elsewhere, to be put before what else there is to say. */
static const char *entrance_way(const struct entrance *entrance, char text[static BY_MAX])
{
	const struct rule_view *moved = entrance->walk.moved;

	text[0] = '\0';
	if (moved)
		snprintf(text, BY_MAX, "%s, and then ", moved->text);
	return text;
}

static void judge_accept(struct doctor *doctor, struct entrance *entrance)
{
	char by[BY_MAX], doubt[BY_MAX], way[BY_MAX];
	const struct walk *walk = &entrance->walk;
	const char *door = entrance->door->name, *family = family_name(entrance->family);
	unsigned port = entrance->packet.port;
	struct outcome dropped;

	entrance->packet.set = entrance->door->opening.set[entrance->family];
	entrance->packet.chain = entrance->door->opening.chain;
	entrance_walk(entrance);
	/* Where both may be, either of them tells why. */
	dropped = walk->dropped;
	if (!dropped.doubt)
		dropped.doubt = walk->accepted.doubt ? walk->accepted.doubt : walk->fallen.doubt;
	if (walk->verdict == VERDICT_DROP)
		doctor_say(doctor, FINDING_PROBLEM,
			   "look it up before the drop; `knocktail rules` prints how",
			   "door %s, %s: port %u stays closed even after a knock, because of %s%s",
			   door, family, port, entrance_way(entrance, way),
			   outcome_by(&walk->dropped, by));
	else if (walk->verdict == VERDICT_UNKNOWN)
		doctor_say(
			doctor, FINDING_WARNING, NULL,
			"door %s, %s: port %u may stay closed even after a knock, because of %s%s%s",
			door, family, port, entrance_way(entrance, way), outcome_by(&dropped, by),
			outcome_doubt(&dropped, doubt));
	else if (walk->accepted.is_limited && !walk->accepted.is_for_set &&
		 !walk->fallen.is_possible)
		doctor_say(doctor, FINDING_WARNING, NULL,
			   "door %s, %s: port %u is open to so many an hour, with a knock or "
			   "without, by %s%s",
			   door, family, port, entrance_way(entrance, way),
			   outcome_by(&walk->accepted, by));
}

static void check_accept(struct doctor *doctor, const struct door *door, enum family family)
{
	struct step ports[SEQUENCE_STEPS_MAX];
	size_t n = doctor_guarded(door, ports);

	if (door->opening.backend == BACKEND_COMMAND || lacks_target(doctor, door))
		return;
	if (n == 0)
		doctor_say(doctor, FINDING_WARNING, "say it: ports = 22/tcp",
			   "door %s: it is not said which port it opens", door->name);
	for (size_t i = 0; i < n; i++) {
		struct entrance entrance;

		entrance_make(&entrance, doctor, door, family, ports[i]);
		judge_accept(doctor, &entrance);
	}
}

void doctor_check_accept(struct doctor *doctor)
{
	bool lacks = false;

	doctor_each_door(doctor, check_accept);
	for (size_t i = 0; i < doctor->config->n_doors; i++)
		lacks = lacks || lacks_target(doctor, &doctor->config->doors[i]);
	if (doctor->n_said == 0)
		doctor_say(doctor, FINDING_OK, NULL, "%s",
			   lacks ? "skipped for doors whose set or chain is missing"
				 : "a knock lets its source in");
}

/* What is let in, by a rule, or because it has been sent elsewhere. What no rule decides here is
 * another check's matter. */
static const struct outcome *entrance_entry(const struct entrance *entrance)
{
	const struct walk *walk = &entrance->walk;

	if (walk->accepted.is_possible)
		return &walk->accepted;
	return walk->fallen.is_possible && walk->is_away ? &walk->fallen : NULL;
}

/* First what usually becomes of strangers' packets, then what might of one of them. */
static void judge_closed(struct doctor *doctor, struct entrance *entrance)
{
	char by[BY_MAX], doubt[BY_MAX], way[BY_MAX];
	const struct walk *walk = &entrance->walk;
	const struct outcome *entry;
	const char *door = entrance->door->name, *family = family_name(entrance->family), *advice;

	entrance_walk(entrance);
	entry = entrance_entry(entrance);
	if (!entry) {
		entrance->packet.is_anybodys = true;
		entrance_walk(entrance);
		entry = entrance_entry(entrance);
	}
	if (!entry)
		return;
	advice = walk->is_away ? "INPUT does not guard what is sent elsewhere: look the set up in "
				 "FORWARD, with Docker in DOCKER-USER"
			       : "take that rule out";
	if (walk->verdict == VERDICT_ACCEPT && !entry->is_limited && !entrance->packet.is_anybodys)
		doctor_say(doctor, FINDING_PROBLEM, advice,
			   "door %s, %s: port %u is open to everybody, by %s%s", door, family,
			   entrance->packet.port, entrance_way(entrance, way),
			   outcome_by(entry, by));
	else
		doctor_say(doctor, FINDING_WARNING, advice,
			   "door %s, %s: port %u may be open to everybody, by %s%s%s", door, family,
			   entrance->packet.port, entrance_way(entrance, way),
			   outcome_by(entry, by), outcome_doubt(entry, doubt));
}

static void check_closed(struct doctor *doctor, const struct door *door, enum family family)
{
	struct step ports[SEQUENCE_STEPS_MAX];
	size_t n = doctor_guarded(door, ports);

	for (size_t i = 0; i < n; i++) {
		struct entrance entrance;

		entrance_make(&entrance, doctor, door, family, ports[i]);
		judge_closed(doctor, &entrance);
	}
}

void doctor_check_closed(struct doctor *doctor)
{
	doctor_each_door(doctor, check_closed);
	if (doctor->n_said == 0)
		doctor_say(doctor, FINDING_OK, NULL,
			   "no rule opens to everybody what a door guards");
}

static bool family_is_used(const struct doctor *doctor, enum family family)
{
	for (size_t i = 0; i < doctor->config->n_doors; i++) {
		const struct door *door = &doctor->config->doors[i];

		if (doctor->sides[family].is_there &&
		    (door->opening.backend == BACKEND_IPTABLES || door->opening.set[family] ||
		     door->opening.start_command[family]))
			return true;
	}
	return false;
}

typedef void (*port_fn)(struct doctor *doctor, const struct door *door, enum family family,
			struct step port);

/* Calls for each port that any door guards, once; without one that says so, for a port of
 * nobody's. */
static void each_guarded(struct doctor *doctor, enum family family, port_fn fn)
{
	bool *seen CLEANUP(cleanup_free) = calloc(2 * (UINT16_MAX + 1), sizeof *seen);
	struct step ports[SEQUENCE_STEPS_MAX];
	size_t n_all = 0;

	for (size_t i = 0; i < doctor->config->n_doors; i++) {
		const struct door *door = &doctor->config->doors[i];
		size_t n = doctor->only && doctor->only != door ? 0 : doctor_guarded(door, ports);

		for (size_t j = 0; j < n; j++) {
			unsigned place =
				ports[j].port +
				(ports[j].protocol == IPPROTO_UDP ? 1 : 0) * (UINT16_MAX + 1);

			if (!seen || !seen[place])
				fn(doctor, door, family, ports[j]);
			if (seen)
				seen[place] = true;
		}
		n_all += n;
	}
	if (n_all == 0)
		fn(doctor, NULL, family, (struct step){NO_PORT, IPPROTO_TCP});
}

static struct packet packet_to(const struct doctor *doctor, enum family family, struct step port,
			       enum packet_state state)
{
	uint8_t flags = state == PACKET_NEW ? TCP_FLAG_SYN : TCP_FLAG_ACK;
	struct packet packet = {
		.family = family,
		.protocol = port.protocol,
		.flags = port.protocol == IPPROTO_TCP ? flags : 0,
		.port = port.port,
		.state = state,
	};

	doctor_set_arrival(doctor, &packet);
	return packet;
}

/* Whether no connection comes about there in the first place, which has been said. */
static bool stays_closed(const struct doctor *doctor, const struct door *door, enum family family,
			 struct step port)
{
	struct packet packet = packet_to(doctor, family, port, PACKET_NEW);
	struct walk walk;

	if (!door)
		return false;
	packet.set = door->opening.set[family];
	packet.chain = door->opening.chain;
	ruleset_walk(&doctor->ruleset, &packet, doctor->config->log_prefix, &walk);
	return walk.verdict == VERDICT_DROP;
}

static void check_established(struct doctor *doctor, const struct door *door, enum family family,
			      struct step port)
{
	struct packet packet = packet_to(doctor, family, port, PACKET_ESTABLISHED);
	char by[BY_MAX], doubt[BY_MAX];
	struct walk walk;

	ruleset_walk(&doctor->ruleset, &packet, doctor->config->log_prefix, &walk);
	if (walk.verdict == VERDICT_ACCEPT ||
	    (walk.dropped.by && stays_closed(doctor, door, family, port)))
		return;
	doctor_say(doctor, walk.verdict == VERDICT_DROP ? FINDING_PROBLEM : FINDING_WARNING,
		   walk.is_away ? "accept them first of all, in FORWARD: ct state established"
				: "accept them first of all: -m conntrack --ctstate ESTABLISHED, "
				  "or ct state established",
		   "%s: established connections%s are dropped, by %s%s: what was opened ends when "
		   "the door closes",
		   family_name(family), walk.verdict == VERDICT_DROP ? "" : ", it may be,",
		   outcome_by(&walk.dropped, by), outcome_doubt(&walk.dropped, doubt));
}

void doctor_check_established(struct doctor *doctor)
{
	for (enum family family = 0; family < N_FAMILIES; family++)
		if (family_is_used(doctor, family))
			each_guarded(doctor, family, check_established);
	if (doctor->n_said == 0)
		doctor_say(doctor, FINDING_OK, NULL, "established connections go on");
}

/* What is sent elsewhere has been looked at before. */
static void check_drop(struct doctor *doctor, const struct door *door, enum family family,
		       struct step port)
{
	struct packet packet = packet_to(doctor, family, port, PACKET_NEW);
	char what[64] = "packets that no rule accepts are", doubt[BY_MAX];
	struct walk walk;

	ruleset_walk(&doctor->ruleset, &packet, doctor->config->log_prefix, &walk);
	if (!walk.fallen.is_possible) {
		packet.is_anybodys = true;
		ruleset_walk(&doctor->ruleset, &packet, doctor->config->log_prefix, &walk);
	}
	if (!walk.fallen.is_possible || walk.is_away)
		return;
	if (door)
		snprintf(what, sizeof what, "port %u: what no rule accepts is", port.port);
	if (walk.verdict == VERDICT_ACCEPT && !packet.is_anybodys)
		doctor_say(doctor, FINDING_PROBLEM,
			   "drop by default: iptables -P INPUT DROP, or policy drop in nft",
			   "%s: %s let in all the same", family_name(family), what);
	else
		doctor_say(doctor, FINDING_WARNING,
			   "drop by default: iptables -P INPUT DROP, or policy drop in nft",
			   "%s: %s let in all the same, it may be%s", family_name(family), what,
			   outcome_doubt(&walk.fallen, doubt));
}

void doctor_check_drop(struct doctor *doctor)
{
	for (enum family family = 0; family < N_FAMILIES; family++)
		if (family_is_used(doctor, family) || doctor->sides[family].has_address)
			each_guarded(doctor, family, check_drop);
	if (doctor->n_said == 0)
		doctor_say(doctor, FINDING_OK, NULL, "packets that no rule accepts are dropped");
}
