/* The doctor's checks of the firewall: what would become of this packet, and of that one?
 *
 * MUST: no step of a sequence is shown, only its number. */
#include "cli/doctor/checks.h"

#include <errno.h>
#include <inttypes.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cli/common/daemon-user.h"
#include "cli/common/expected.h"
#include "cli/doctor/finding.h"
#include "cli/doctor/limits.h"
#include "config/config.h"
#include "core/address.h"
#include "core/keyed/expected.h"
#include "core/probe.h"
#include "firewall/firewall.h"
#include "keys/one-time.h"
#include "ruleset/load.h"
#include "util/cleanup.h"

/* A token's datagrams, and as many once more, for somebody may try twice (knocktail-protocol(7)).
 */
enum { TOKEN_BURST = 16 };

/* Some of the ports that tokens and SPA knocks are sent to, which may be any from 1024 on. */
static const uint16_t keyed_ports[] = {1024, 5353, 20011, 40009, 65535};

/* A port that hardly anybody uses for anything. */
enum { NO_PORT = 47 };

static void set_arrival(const struct doctor *doctor, struct packet *packet)
{
	const struct doctor_side *side = &doctor->sides[packet->family];

	packet->interface = side->interface[0] ? side->interface : NULL;
	packet->target = side->has_address ? &side->address : NULL;
	packet->port_set = doctor->config->expected_ports;
}

static struct packet packet_of(const struct doctor *doctor, const struct door *door,
			       enum family family, struct step step)
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
	};

	set_arrival(doctor, &packet);
	if (filter->interface[0])
		packet.interface = filter->interface;
	if (filter->has_target && address_family(&filter->target) == family)
		packet.target = &filter->target;
	return packet;
}

/* A new connection to what the door guards. */
static struct packet packet_to(const struct doctor *doctor, const struct door *door,
			       enum family family, struct step port)
{
	struct packet packet = packet_of(doctor, door, family, port);

	packet.flags = port.protocol == IPPROTO_TCP ? TCP_FLAG_SYN : 0;
	packet.state = PACKET_NEW;
	return packet;
}

/* What the door guards, as far as it says; the number of ports. */
static size_t door_guarded(const struct door *door, struct step ports[static SEQUENCE_STEPS_MAX])
{
	const char *text = door->opening.entry ? door->opening.entry : "";
	uint8_t protocol = strstr(text, "udp") ? IPPROTO_UDP : IPPROTO_TCP;

	memcpy(ports, door->opening.ports.steps, sizeof door->opening.ports.steps);
	if (door->opening.ports.n_steps > 0 || door->opening.backend == BACKEND_COMMAND)
		return door->opening.ports.n_steps;
	/* "%IP%,tcp:22", "%IP% . 22": the last number. */
	for (const char *c = text; *c; c++)
		if (strchr(",:. ", *c) && c[1] >= '1' && c[1] <= '9') {
			ports[0] = (struct step){(uint16_t)strtoul(c + 1, NULL, 10), protocol};
			return 1;
		}
	return 0;
}

enum { BY_MAX = 1024 };

/* What has decided; `text` is room for it. */
static const char *walk_by(const struct walk *walk, char text[static BY_MAX])
{
	if (walk->by && walk->by->text)
		return walk->by->text;
	if (!walk->chain)
		return "no rule at all";
	snprintf(text, BY_MAX, "%s: the policy of the chain %s", walk->table->name,
		 walk->chain->name);
	return text;
}

static const char *doctor_arrival(const struct doctor *doctor)
{
	for (enum family family = 0; family < N_FAMILIES; family++)
		if (doctor->sides[family].interface[0])
			return doctor->sides[family].interface;
	return "any interface";
}

void doctor_check_ruleset(struct doctor *doctor)
{
	char problem[RULESET_PROBLEM_MAX];
	int r = ruleset_read(&doctor->ruleset, problem);

	if (r < 0)
		doctor_say(doctor, FINDING_PROBLEM, "run this as root", "it cannot be read: %s",
			   problem[0] ? problem : strerror(-r));
	else
		doctor_say(doctor, FINDING_OK, NULL,
			   "tables read: %zu; strangers are taken to come in by %s",
			   doctor->ruleset.n_tables, doctor_arrival(doctor));
}

static const char *verdict_word(enum verdict verdict)
{
	return verdict == VERDICT_ACCEPT ? "accepted"
	       : verdict == VERDICT_AWAY ? "sent elsewhere"
					 : "dropped";
}

static void on_done(void *owner, int error, const char *problem, uint64_t now_us)
{
	(void)owner;
	(void)error;
	(void)problem;
	(void)now_us;
}

void doctor_check_expected(struct doctor *doctor)
{
	const struct config *config = doctor->config;
	struct firewall *firewall;
	size_t n = 0;

	if (!config_listens_for(config, AUTH_TOKEN | AUTH_SPA)) {
		doctor_say(doctor, FINDING_OK, NULL, "no door here is opened by keys");
		return;
	}
	if (config_count_expected(config, &n) == 0 && n > EXPECTED_MAX) {
		doctor_say(doctor, FINDING_WARNING, NULL,
			   "%zu ports at a time, more than a tenth of all: the set %s is %s, and "
			   "the rules have to log keyed knocks within limits by source",
			   n, config->expected_ports,
			   n > EXPECTED_KEPT_MAX ? "not used" : "still kept up to a fifth");
		return;
	}
	if (firewall_new(on_done, &firewall) < 0)
		return;
	if (firewall_check_ports(firewall, config->expected_ports) == 0) {
		doctor->expects = true;
		doctor_say(doctor, FINDING_OK, NULL, "the set %s is there, for up to %zu ports",
			   config->expected_ports, n);
	} else {
		doctor_say(doctor, FINDING_WARNING,
			   "`knocktail rules` makes it, and logs what comes to the ports in it",
			   "%s: keyed knocks are logged within the limits by source, which others "
			   "can use up",
			   firewall_problem(firewall));
	}
	firewall_free(firewall);
}

static const char log_advice[] =
	"see what `knocktail rules` prints: LOG comes after all that is accepted, before the drop";

/* One step that no rule logs. */
static void say_not_logged(struct doctor *doctor, const struct door *door, enum family family,
			   unsigned step, const struct walk *walk)
{
	char text[BY_MAX];
	const char *name = family_name(family);

	if (walk->by)
		doctor_say(doctor, FINDING_PROBLEM, log_advice,
			   "door %s, %s: step %u is %s before it is logged, by %s", door->name,
			   name, step, verdict_word(walk->verdict), walk_by(walk, text));
	else
		doctor_say(doctor, FINDING_PROBLEM, log_advice,
			   "door %s, %s: step %u is not logged: no rule logs packets like it",
			   door->name, name, step);
}

/* Tokens come as UDP or SYNs, SPA knocks as SYNs, to any port. */
static void check_keyed_log(struct doctor *doctor, const struct door *door, enum family family)
{
	char text[BY_MAX];
	const char *name = family_name(family);

	for (size_t i = 0; i < sizeof keyed_ports / sizeof keyed_ports[0]; i++)
		for (unsigned auth = AUTH_TOKEN; auth <= AUTH_SPA; auth <<= 1) {
			struct step step = {keyed_ports[i],
					    auth == AUTH_SPA ? IPPROTO_TCP : IPPROTO_UDP};
			struct packet packet = packet_to(doctor, door, family, step);
			struct walk walk;

			if (!(door->auth & auth))
				continue;
			packet.in_port_set = doctor->expects;
			ruleset_walk(&doctor->ruleset, &packet, doctor->config->log_prefix, &walk);
			if (!walk.logged)
				doctor_say(doctor, FINDING_PROBLEM, log_advice,
					   "door %s, %s: what comes to port %u/%s is not logged, "
					   "but %s "
					   "by %s",
					   door->name, name, step.port,
					   auth == AUTH_SPA ? "tcp" : "udp",
					   verdict_word(walk.verdict), walk_by(&walk, text));
			else if (auth == AUTH_SPA && !walk.logged->log_options)
				doctor_say(
					doctor, FINDING_PROBLEM,
					"log them: --log-tcp-options, or in nft flags tcp options",
					"door %s, %s: SPA knocks are in TCP's options, which are "
					"not "
					"logged by %s",
					door->name, name, walk.logged->text);
			else if (walk.maybe_logged)
				doctor_say(
					doctor, FINDING_WARNING, NULL,
					"door %s, %s: what comes to port %u/%s is logged only if more "
					"is true than can be told here: %s",
					door->name, name, step.port,
					auth == AUTH_SPA ? "tcp" : "udp", walk.logged->text);
			if (doctor->n_said > 0)
				return;
		}
}

static void check_log(struct doctor *doctor, const struct door *door, enum family family)
{
	const char *prefix = doctor->config->log_prefix;
	struct sequence sequence;

	/* What others log is not this firewall's concern. */
	if (door->log)
		return;
	if (!ruleset_find_log(&doctor->ruleset, family, prefix)) {
		doctor_say(doctor, FINDING_PROBLEM, log_advice,
			   "door %s, %s: no rule logs with the prefix \"%s\"", door->name,
			   family_name(family), prefix);
		return;
	}
	check_keyed_log(doctor, door, family);
	if (!(door->auth & AUTH_SEQUENCE))
		return;
	if (!one_time_find_sequence(door, &sequence)) {
		if (family == FAMILY_IPV4)
			doctor_say(doctor, FINDING_PROBLEM, "add lines to its file",
				   "door %s: no one-time sequence is left", door->name);
		return;
	}
	for (unsigned i = 0; i < sequence.n_steps; i++) {
		struct packet packet = packet_of(doctor, door, family, sequence.steps[i]);
		struct walk walk;

		ruleset_walk(&doctor->ruleset, &packet, prefix, &walk);
		if (!walk.logged)
			say_not_logged(doctor, door, family, i + 1, &walk);
		else if (walk.logged->log_level > doctor->max_level)
			doctor_say(doctor, FINDING_PROBLEM,
				   "log as a warning, or set MaxLevelStore=debug in "
				   "/etc/systemd/journald.conf",
				   "door %s, %s: step %u is logged at level %u, of which journald "
				   "stores nothing, by %s",
				   door->name, family_name(family), i + 1, walk.logged->log_level,
				   walk.logged->text);
		else if (walk.maybe_logged)
			doctor_say(
				doctor, FINDING_WARNING, NULL,
				"door %s, %s: step %u is logged only if more is true than can be "
				"told here: %s",
				door->name, family_name(family), i + 1, walk.logged->text);
	}
}

void doctor_check_log(struct doctor *doctor)
{
	doctor_each_door(doctor, check_log);
	if (doctor->n_said == 0)
		doctor_say(doctor, FINDING_OK, NULL,
			   "every step of every door is logged with the prefix \"%s\"",
			   doctor->config->log_prefix);
}

/* The first step that is logged tells for all: they come by one rule, or one is named. */
static void check_limit(struct doctor *doctor, const struct door *door, enum family family)
{
	struct sequence sequence;

	if (door->auth & AUTH_TOKEN) {
		struct packet packet =
			packet_to(doctor, door, family, (struct step){keyed_ports[0], IPPROTO_UDP});
		struct walk walk;

		packet.in_port_set = doctor->expects;
		ruleset_walk(&doctor->ruleset, &packet, doctor->config->log_prefix, &walk);
		if (walk.logged)
			limits_judge(doctor, door, family, &walk, TOKEN_BURST);
	}
	if (door->log || doctor->n_said > 0 || !one_time_find_sequence(door, &sequence))
		return;
	for (unsigned i = 0; i < sequence.n_steps; i++) {
		struct packet packet = packet_of(doctor, door, family, sequence.steps[i]);
		size_t n_said = doctor->n_said;
		struct walk walk;

		ruleset_walk(&doctor->ruleset, &packet, doctor->config->log_prefix, &walk);
		if (walk.logged)
			limits_judge(doctor, door, family, &walk, sequence.n_steps);
		if (doctor->n_said > n_said)
			return;
	}
}

void doctor_check_limit(struct doctor *doctor)
{
	doctor_each_door(doctor, check_limit);
	if (doctor->n_said == 0)
		doctor_say(doctor, FINDING_OK, NULL,
			   "a whole knock is logged at once, whoever else sends");
	limits_say_cost(doctor);
}

void doctor_check_target(struct doctor *doctor)
{
	struct firewall *firewall;
	int r = firewall_new(on_done, &firewall);

	if (r < 0) {
		doctor_say(doctor, FINDING_PROBLEM, "run this as root",
			   "the firewall cannot be asked: %s", strerror(-r));
		return;
	}
	for (size_t i = 0; i < doctor->config->n_doors; i++) {
		const struct door *door = &doctor->config->doors[i];
		char of_user[DAEMON_USER_PROBLEM_MAX];

		if (doctor->only && doctor->only != door)
			continue;
		if (firewall_check(firewall, &door->opening) < 0) {
			if (doctor->lacks_target)
				doctor->lacks_target[i] = true;
			doctor_say(doctor, FINDING_PROBLEM,
				   "`knocktail rules` prints what makes it as it must be",
				   "door %s: %s", door->name, firewall_problem(firewall));
		} else if (daemon_user_check(&door->opening, of_user) == -EACCES) {
			doctor_say(doctor, FINDING_PROBLEM,
				   "let the daemon's user execute and read it", "door %s: %s",
				   door->name, of_user);
		}
	}
	if (doctor->n_said == 0)
		doctor_say(doctor, FINDING_OK, NULL,
			   "all sets, chains and programs of the doors exist");
	firewall_free(firewall);
}

/* Where the target is not there, that has been said, and nothing can look it up. */
static bool lacks_target(const struct doctor *doctor, const struct door *door)
{
	return doctor->lacks_target && doctor->lacks_target[door - doctor->config->doors];
}

static void check_accept(struct doctor *doctor, const struct door *door, enum family family)
{
	char text[BY_MAX];
	struct step ports[SEQUENCE_STEPS_MAX];
	size_t n = door_guarded(door, ports);

	if (door->opening.backend == BACKEND_COMMAND || lacks_target(doctor, door))
		return;
	if (n == 0)
		doctor_say(doctor, FINDING_WARNING, "say it: ports = 22/tcp",
			   "door %s: it is not said which port it opens", door->name);
	for (size_t i = 0; i < n; i++) {
		struct packet packet = packet_to(doctor, door, family, ports[i]);
		struct walk walk;

		packet.set = door->opening.set[family];
		packet.chain = door->opening.chain;
		ruleset_walk(&doctor->ruleset, &packet, doctor->config->log_prefix, &walk);
		if (walk.verdict == VERDICT_ACCEPT)
			continue;
		if (walk.verdict == VERDICT_AWAY) {
			doctor_say(doctor, FINDING_WARNING, NULL,
				   "door %s, %s: port %u is sent elsewhere, where it is not "
				   "followed, by %s",
				   door->name, family_name(family), ports[i].port,
				   walk_by(&walk, text));
			continue;
		}
		doctor_say(
			doctor, FINDING_PROBLEM,
			"look it up before the drop; `knocktail rules` prints how",
			"door %s, %s: port %u stays closed even after a knock, because of %s%s%s",
			door->name, family_name(family), ports[i].port, walk_by(&walk, text),
			walk.maybe ? "; what is asked here was not understood: " : "",
			walk.maybe ? walk.maybe->text : "");
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

static void check_closed(struct doctor *doctor, const struct door *door, enum family family)
{
	char text[BY_MAX];
	struct step ports[SEQUENCE_STEPS_MAX];
	size_t n = door_guarded(door, ports);

	for (size_t i = 0; i < n; i++) {
		struct packet packet = packet_to(doctor, door, family, ports[i]);
		struct walk walk;

		ruleset_walk(&doctor->ruleset, &packet, doctor->config->log_prefix, &walk);
		/* Where nothing decides, the drop is missing, which is another check's matter. */
		if (walk.verdict == VERDICT_ACCEPT && walk.by)
			doctor_say(doctor, FINDING_PROBLEM, "take that rule out",
				   "door %s, %s: port %u is open to everybody, by %s", door->name,
				   family_name(family), ports[i].port, walk_by(&walk, text));
	}
}

void doctor_check_closed(struct doctor *doctor)
{
	doctor_each_door(doctor, check_closed);
	if (doctor->n_said == 0)
		doctor_say(doctor, FINDING_OK, NULL,
			   "no port that a door guards is open to everybody");
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

void doctor_check_established(struct doctor *doctor)
{
	char text[BY_MAX];

	for (enum family family = 0; family < N_FAMILIES; family++) {
		struct packet packet = {.family = family,
					.protocol = IPPROTO_TCP,
					.flags = TCP_FLAG_ACK,
					.port = NO_PORT,
					.state = PACKET_ESTABLISHED};
		struct walk walk;

		set_arrival(doctor, &packet);
		ruleset_walk(&doctor->ruleset, &packet, doctor->config->log_prefix, &walk);
		if (family_is_used(doctor, family) && walk.verdict != VERDICT_ACCEPT)
			doctor_say(
				doctor, FINDING_PROBLEM,
				"accept them first of all: -m conntrack --ctstate ESTABLISHED, or "
				"ct state established",
				"%s: established connections are dropped, by %s: what was opened "
				"ends when the door closes",
				family_name(family), walk_by(&walk, text));
	}
	if (doctor->n_said == 0)
		doctor_say(doctor, FINDING_OK, NULL, "established connections go on");
}

/* What a door guards; without one that says so, a port of nobody's. */
static struct step any_guarded(const struct doctor *doctor)
{
	struct step ports[SEQUENCE_STEPS_MAX];

	for (size_t i = 0; i < doctor->config->n_doors; i++)
		if (door_guarded(&doctor->config->doors[i], ports) > 0)
			return ports[0];
	return (struct step){NO_PORT, IPPROTO_TCP};
}

void doctor_check_drop(struct doctor *doctor)
{
	struct step step = any_guarded(doctor);

	for (enum family family = 0; family < N_FAMILIES; family++) {
		struct packet packet = {.family = family,
					.protocol = step.protocol,
					.flags = step.protocol == IPPROTO_TCP ? TCP_FLAG_SYN : 0,
					.port = step.port,
					.state = PACKET_NEW};
		bool matters = family_is_used(doctor, family) || doctor->sides[family].has_address;
		struct walk walk;

		set_arrival(doctor, &packet);
		ruleset_walk(&doctor->ruleset, &packet, doctor->config->log_prefix, &walk);
		if (matters && walk.verdict == VERDICT_ACCEPT && !walk.by)
			doctor_say(doctor, FINDING_PROBLEM,
				   "drop by default: iptables -P INPUT DROP, or policy drop in nft",
				   "%s: packets that no rule accepts are let in",
				   family_name(family));
	}
	if (doctor->n_said == 0)
		doctor_say(doctor, FINDING_OK, NULL, "packets that no rule accepts are dropped");
}
