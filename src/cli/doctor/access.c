/* The doctor's checks of what the firewall lets in at the ports that doors guard.
 *
 * MUST: nothing is said to be all right that only may be. */
#include "cli/doctor/checks.h"

#include <netinet/in.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cli/doctor/finding.h"
#include "cli/doctor/packets.h"
#include "cli/doctor/runs.h"
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
	struct packet packet;
	struct rule_view sent_on; /* by the door's own rule in nat */
	struct walk walk;
};

static void entrance_make(struct entrance *entrance, const struct doctor *doctor,
			  const struct door *door, enum family family, struct step port)
{
	*entrance = (struct entrance){
		.doctor = doctor,
		.packet = doctor_connection(doctor, door, family, port),
	};
}

/* Whoever sends it has knocked. */
static void packet_knocked(struct packet *packet, const struct door *door,
			   struct rule_view *sent_on)
{
	const struct forward *forward = &door->opening.forward[packet->family];

	packet->set = door->opening.set[packet->family];
	packet->chain = door->opening.chain;
	*sent_on = (struct rule_view){
		.verdict = VERDICT_MOVE,
		.change = {.has_address = true,
			   .has_port = forward->port != 0,
			   .address = {.low = forward->address, .high = forward->address},
			   .port = {.first = forward->port, .last = forward->port}},
		.text = (char *)"the rule of who has knocked in nat",
	};
	packet->sent_on = forward->is_there ? sent_on : NULL;
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

__attribute__((format(printf, 4, 5))) static void judgement_set(struct judgement *judgement,
								enum finding finding,
								const char *advice,
								const char *format, ...)
{
	va_list arguments;

	judgement->finding = finding;
	judgement->advice = advice;
	va_start(arguments, format);
	vsnprintf(judgement->behind, sizeof judgement->behind, format, arguments);
	va_end(arguments);
}

static void judgement_name_door(struct judgement *judgement, const struct door *door,
				enum family family)
{
	snprintf(judgement->before, sizeof judgement->before, "door %s, %s: ", door->name,
		 family_name(family));
}

static void judge_accept(const struct doctor *doctor, const struct door *door, enum family family,
			 struct step port, struct judgement *ret)
{
	char by[BY_MAX], doubt[BY_MAX], way[BY_MAX];
	struct entrance entrance;
	const struct walk *walk = &entrance.walk;
	struct outcome dropped;

	entrance_make(&entrance, doctor, door, family, port);
	packet_knocked(&entrance.packet, door, &entrance.sent_on);
	entrance_walk(&entrance);
	judgement_name_door(ret, door, family);
	/* All ports are this machine's. */
	if (door->opening.ports.is_all && walk->is_away)
		return;
	/* Where both may be, either of them tells why. */
	dropped = walk->dropped;
	if (!dropped.doubt)
		dropped.doubt = walk->accepted.doubt ? walk->accepted.doubt : walk->fallen.doubt;
	if (walk->verdict == VERDICT_DROP)
		judgement_set(ret, FINDING_PROBLEM,
			      "look it up before the drop; `knocktail rules` prints how",
			      " stays closed even after a knock, because of %s%s",
			      entrance_way(&entrance, way), outcome_by(&walk->dropped, by));
	else if (walk->verdict == VERDICT_UNKNOWN)
		judgement_set(ret, FINDING_WARNING, NULL,
			      " may stay closed even after a knock, because of %s%s%s",
			      entrance_way(&entrance, way), outcome_by(&dropped, by),
			      outcome_doubt(&dropped, doubt));
	else if (door->opening.forward[family].is_there && !walk->is_away)
		judgement_set(ret, FINDING_PROBLEM,
			      "have the set looked up in nat; `knocktail rules` prints how",
			      " is not sent on even after a knock, by any rule in nat");
	else if (walk->accepted.is_limited && !walk->accepted.is_for_set &&
		 !walk->fallen.is_possible)
		judgement_set(ret, FINDING_WARNING, NULL,
			      " is open to so many an hour, with a knock or without, by %s%s",
			      entrance_way(&entrance, way), outcome_by(&walk->accepted, by));
}

/* The port that answers, before it is changed back. */
static struct step entrance_answers(const struct entrance *entrance)
{
	const struct rule_view *moved = entrance->walk.moved;
	uint16_t port = moved && moved->change.has_port ? (uint16_t)moved->change.port.first
							: entrance->packet.port;

	return (struct step){port, entrance->packet.protocol};
}

/* Where the first packet is not tracked, the answer is the first that is: of TCP it begins nothing
 * (nf_conntrack_proto_tcp.c, tcp_new()). */
static enum packet_state state_of_answer(const struct entrance *entrance)
{
	const struct walk *walk = &entrance->walk;
	unsigned state = walk->may_be_tracked ? PACKET_ESTABLISHED : 0;

	if (walk->may_be_untracked)
		state |= entrance->packet.protocol == IPPROTO_TCP ? PACKET_INVALID : PACKET_NEW;
	return (enum packet_state)state;
}

/* What is let in is answered from here. */
static void judge_answer(const struct doctor *doctor, const struct door *door, enum family family,
			 struct step port, struct judgement *ret)
{
	char by[BY_MAX], doubt[BY_MAX];
	struct entrance entrance;
	struct packet packet;
	struct walk walk;

	entrance_make(&entrance, doctor, door, family, port);
	packet_knocked(&entrance.packet, door, &entrance.sent_on);
	entrance_walk(&entrance);
	/* Others may be let in all the same. */
	if (entrance.walk.verdict == VERDICT_DROP) {
		entrance.packet.set = entrance.packet.chain = NULL;
		entrance_walk(&entrance);
	}
	if (entrance.walk.is_away || entrance.walk.verdict == VERDICT_DROP)
		return;
	packet = doctor_answer(doctor, door, family, entrance_answers(&entrance));
	packet.state = state_of_answer(&entrance);
	ruleset_walk(&doctor->ruleset, &packet, doctor->config->log_prefix, &walk);
	snprintf(ret->before, sizeof ret->before, "door %s, %s: answers from ", door->name,
		 family_name(family));
	if (walk.verdict == VERDICT_ACCEPT)
		return;
	judgement_set(ret, walk.verdict == VERDICT_DROP ? FINDING_PROBLEM : FINDING_WARNING,
		      "let established connections out: -m conntrack --ctstate ESTABLISHED, or "
		      "ct state established",
		      " are dropped%s, by %s%s", walk.verdict == VERDICT_DROP ? "" : ", it may be",
		      outcome_by(&walk.dropped, by), outcome_doubt(&walk.dropped, doubt));
}

/* Whether the kernel sends anything on. */
static bool kernel_forwards(enum family family)
{
	static const char *const paths[N_FAMILIES] = {"/proc/sys/net/ipv4/ip_forward",
						      "/proc/sys/net/ipv6/conf/all/forwarding"};
	CLEANUP(cleanup_fclose) FILE *file = fopen(paths[family], "re");
	int number = file ? fgetc(file) : EOF;

	return number == EOF || number != '0';
}

/* Whether the kernel does what the door needs of it beside the rules. */
static bool check_forwarding(struct doctor *doctor, const struct door *door, enum family family)
{
	if (!door->opening.forward[family].is_there || kernel_forwards(family))
		return true;
	doctor_say(doctor, FINDING_PROBLEM,
		   family == FAMILY_IPV6
			   ? "sysctl -w net.ipv6.conf.all.forwarding=1, and the same in "
			     "/etc/sysctl.d"
			   : "sysctl -w net.ipv4.ip_forward=1, and the same in /etc/sysctl.d",
		   "door %s, %s: the kernel sends nothing on: forwarding is off", door->name,
		   family_name(family));
	return false;
}

static void check_accept(struct doctor *doctor, const struct door *door, enum family family)
{
	struct port_set ports;

	if (door->opening.backend == BACKEND_COMMAND || lacks_target(doctor, door))
		return;
	doctor_guarded(door, &ports);
	if (port_set_is_empty(&ports))
		doctor_say(doctor, FINDING_WARNING, "say it: ports = 22/tcp",
			   "door %s: it is not said which port it opens", door->name);
	if (!check_forwarding(doctor, door, family))
		return;
	doctor_judge(doctor, door, family, judge_accept, false);
	doctor_judge(doctor, door, family, judge_answer, false);
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
	return walk->fallen.is_possible && (walk->is_away || entrance->packet.passes)
		       ? &walk->fallen
		       : NULL;
}

/* First what usually becomes of strangers' packets, then what might of one of them. NULL: none of
 * them is let in. */
static const struct outcome *entrance_try(struct entrance *entrance)
{
	const struct outcome *entry;

	entrance_walk(entrance);
	entry = entrance_entry(entrance);
	if (entry)
		return entry;
	entrance->packet.is_anybodys = true;
	entrance_walk(entrance);
	return entrance_entry(entrance);
}

static bool entrance_is_open(const struct entrance *entrance, const struct outcome *entry)
{
	return entrance->walk.verdict == VERDICT_ACCEPT && !entry->is_limited &&
	       !entrance->packet.is_anybodys;
}

/* Whether it has been sent to another machine. */
static bool judge_entry(const struct doctor *doctor, const struct door *door, enum family family,
			struct step port, struct judgement *ret)
{
	char by[BY_MAX], doubt[BY_MAX], way[BY_MAX];
	struct entrance entrance;
	const struct outcome *entry;
	const char *advice;

	judgement_name_door(ret, door, family);
	entrance_make(&entrance, doctor, door, family, port);
	entry = entrance_try(&entrance);
	if (!entry)
		return false;
	advice = entrance.walk.is_away
			 ? "INPUT does not guard what is sent elsewhere: look the set up in "
			   "FORWARD, with Docker in DOCKER-USER"
			 : "take that rule out";
	if (entrance_is_open(&entrance, entry))
		judgement_set(ret, FINDING_PROBLEM, advice, " is open to everybody, by %s%s",
			      entrance_way(&entrance, way), outcome_by(entry, by));
	else
		judgement_set(ret, FINDING_WARNING, advice, " may be open to everybody, by %s%s%s",
			      entrance_way(&entrance, way), outcome_by(entry, by),
			      outcome_doubt(entry, doubt));
	return entrance.walk.is_away;
}

static void judge_closed(const struct doctor *doctor, const struct door *door, enum family family,
			 struct step port, struct judgement *ret)
{
	(void)judge_entry(doctor, door, family, port, ret);
}

/* Where a knock opens everything, what is sent to others may be open on purpose, or because nobody
 * knew that INPUT does not guard it. */
static void judge_sent_away(const struct doctor *doctor, const struct door *door,
			    enum family family, struct step port, struct judgement *ret)
{
	if (!judge_entry(doctor, door, family, port, ret))
		*ret = (struct judgement){.names_port = true};
	else if (ret->finding == FINDING_PROBLEM)
		ret->finding = FINDING_WARNING;
}

/* Whether others than its neighbours have no route there (RFC 1918, 4193, 6598, 3927). */
static bool is_private(const struct address *address)
{
	static const char *const networks[] = {"10.0.0.0/8",	"172.16.0.0/12",  "192.168.0.0/16",
					       "100.64.0.0/10", "169.254.0.0/16", "fc00::/7"};
	bool is_in_one = false;

	for (size_t i = 0; i < sizeof networks / sizeof networks[0]; i++) {
		struct network network;

		is_in_one = is_in_one || (network_parse(networks[i], &network) == 0 &&
					  network_contains(&network, address));
	}
	return is_in_one;
}

/* A stranger's packet to where the door leads, by its own address. */
static void judge_past(const struct doctor *doctor, const struct door *door, enum family family,
		       struct step port, struct judgement *ret)
{
	const struct address *address = &door->opening.forward[family].address;
	char by[BY_MAX], doubt[BY_MAX], text[ADDRESS_TEXT_MAX];
	struct entrance entrance;
	const struct outcome *entry;

	entrance_make(&entrance, doctor, door, family, port);
	entrance.packet.target = address;
	entrance.packet.passes = true;
	entry = entrance_try(&entrance);
	snprintf(ret->before, sizeof ret->before, "door %s, %s: past it, ", door->name,
		 family_name(family));
	if (entry)
		judgement_set(ret, FINDING_WARNING,
			      "drop in FORWARD what has not been sent on from here: -m conntrack ! "
			      "--ctstate DNAT, or ct status & dnat == 0",
			      " of %s %s open to everybody, by %s%s", address_format(address, text),
			      entrance_is_open(&entrance, entry) ? "is" : "may be",
			      outcome_by(entry, by), outcome_doubt(entry, doubt));
}

static void check_past(struct doctor *doctor, const struct door *door, enum family family)
{
	const struct forward *forward = &door->opening.forward[family];

	if (!forward->is_there || is_private(&forward->address) || !kernel_forwards(family))
		return;
	for (size_t i = 0; i < door->opening.ports.n_ranges; i++) {
		struct port_range range = door->opening.ports.ranges[i];

		if (forward->port)
			range.first = range.last = forward->port;
		doctor_judge_range(doctor, door, family, &range, judge_past);
	}
}

/* Where a knock opens everything, some ports may well be open to everybody. */
static void check_closed(struct doctor *doctor, const struct door *door, enum family family)
{
	size_t n_said = doctor->n_said;

	doctor_judge(doctor, door, family, judge_closed, true);
	if (door->opening.ports.is_all && doctor->n_said == n_said)
		doctor_judge(doctor, door, family, judge_sent_away, false);
	check_past(doctor, door, family);
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

/* Whether no port of the range's first piece has been seen; they are now. What becomes of one of a
 * piece becomes of all. */
static bool take_unseen(const struct doctor *doctor, uint8_t *seen, const struct port_range *range)
{
	struct port_range piece = {0};
	bool is_new = false;

	while (port_cuts_next(&doctor->cuts, range, &piece)) {
		size_t place = piece.first + (piece.protocol == IPPROTO_UDP ? UINT16_MAX + 1U : 0U);

		is_new = is_new || !seen[place];
		memset(seen + place, true, piece.last - piece.first + 1U);
	}
	return is_new;
}

/* Judges each port that any door guards, or a range with such; without one that says so, a port of
 * nobody's. */
static void each_guarded(struct doctor *doctor, enum family family, judge_fn fn)
{
	uint8_t *seen CLEANUP(cleanup_free) = calloc(2, UINT16_MAX + 1);
	const struct port_range nobodys = {NO_PORT, NO_PORT, IPPROTO_TCP};
	size_t n_all = 0;

	for (size_t i = 0; i < doctor->config->n_doors; i++) {
		const struct door *door = &doctor->config->doors[i];
		struct port_set ports;

		if (doctor->only && doctor->only != door)
			continue;
		doctor_guarded(door, &ports);
		for (size_t j = 0; j < ports.n_ranges; j++)
			if (!seen || take_unseen(doctor, seen, &ports.ranges[j]))
				doctor_judge_range(doctor, door, family, &ports.ranges[j], fn);
		n_all += ports.n_ranges;
	}
	if (n_all == 0)
		doctor_judge_range(doctor, NULL, family, &nobodys, fn);
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
	struct rule_view sent_on;
	struct walk walk;

	if (!door)
		return false;
	packet_knocked(&packet, door, &sent_on);
	ruleset_walk(&doctor->ruleset, &packet, doctor->config->log_prefix, &walk);
	return walk.verdict == VERDICT_DROP;
}

static void judge_established(const struct doctor *doctor, const struct door *door,
			      enum family family, struct step port, struct judgement *ret)
{
	struct packet packet = packet_to(doctor, family, port, PACKET_ESTABLISHED);
	struct packet first = packet_to(doctor, family, port, PACKET_NEW);
	char by[BY_MAX], doubt[BY_MAX];
	struct rule_view sent_on;
	struct walk walk;

	ret->names_port = false;
	if (door && opening_forwards(&door->opening)) {
		packet_knocked(&first, door, &sent_on);
		packet.first = &first;
	}
	ruleset_walk(&doctor->ruleset, &packet, doctor->config->log_prefix, &walk);
	if (walk.verdict == VERDICT_ACCEPT ||
	    (walk.dropped.by && stays_closed(doctor, door, family, port)))
		return;
	judgement_set(ret, walk.verdict == VERDICT_DROP ? FINDING_PROBLEM : FINDING_WARNING,
		      walk.is_away ? "accept them first of all, in FORWARD: ct state established"
				   : "accept them first of all: -m conntrack --ctstate "
				     "ESTABLISHED, or ct state established",
		      "%s: established connections%s are dropped, by %s%s: what was opened ends "
		      "when the door closes",
		      family_name(family), walk.verdict == VERDICT_DROP ? "" : ", it may be,",
		      outcome_by(&walk.dropped, by), outcome_doubt(&walk.dropped, doubt));
}

void doctor_check_established(struct doctor *doctor)
{
	for (enum family family = 0; family < N_FAMILIES; family++)
		if (family_is_used(doctor, family))
			each_guarded(doctor, family, judge_established);
	if (doctor->n_said == 0)
		doctor_say(doctor, FINDING_OK, NULL, "established connections go on");
}

/* What is sent elsewhere has been looked at before. */
static void judge_drop(const struct doctor *doctor, const struct door *door, enum family family,
		       struct step port, struct judgement *ret)
{
	struct packet packet = packet_to(doctor, family, port, PACKET_NEW);
	const char *what = door ? ": what no rule accepts is" : "packets that no rule accepts are";
	char doubt[BY_MAX];
	struct walk walk;

	ret->names_port = door != NULL;
	snprintf(ret->before, sizeof ret->before, "%s: ", family_name(family));
	ruleset_walk(&doctor->ruleset, &packet, doctor->config->log_prefix, &walk);
	if (!walk.fallen.is_possible) {
		packet.is_anybodys = true;
		ruleset_walk(&doctor->ruleset, &packet, doctor->config->log_prefix, &walk);
	}
	if (!walk.fallen.is_possible || walk.is_away)
		return;
	if (walk.verdict == VERDICT_ACCEPT && !packet.is_anybodys)
		judgement_set(ret, FINDING_PROBLEM,
			      "drop by default: iptables -P INPUT DROP, or policy drop in nft",
			      "%s let in all the same", what);
	else
		judgement_set(ret, FINDING_WARNING,
			      "drop by default: iptables -P INPUT DROP, or policy drop in nft",
			      "%s let in all the same, it may be%s", what,
			      outcome_doubt(&walk.fallen, doubt));
}

void doctor_check_drop(struct doctor *doctor)
{
	for (enum family family = 0; family < N_FAMILIES; family++)
		if (family_is_used(doctor, family) || doctor->sides[family].has_address)
			each_guarded(doctor, family, judge_drop);
	if (doctor->n_said == 0)
		doctor_say(doctor, FINDING_OK, NULL, "packets that no rule accepts are dropped");
}
