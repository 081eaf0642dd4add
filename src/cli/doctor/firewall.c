/* The doctor's checks of the firewall: what would become of this packet, and of that one?
 *
 * MUST: no step of a sequence is shown, only its number. */
#include "cli/doctor/checks.h"

#include <errno.h>
#include <inttypes.h>
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "cli/common/daemon-user.h"
#include "cli/common/expected.h"
#include "cli/common/this-machine.h"
#include "cli/doctor/finding.h"
#include "cli/doctor/kernel.h"
#include "cli/doctor/limits.h"
#include "cli/doctor/packets.h"
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

	doctor->is_blind = r < 0;
	port_cuts_find(&doctor->ruleset, doctor->config->expected_ports, &doctor->cuts);
	if (r < 0)
		doctor_say(doctor, FINDING_UNKNOWN,
			   geteuid() == 0 ? "this needs CAP_NET_ADMIN, and CAP_NET_RAW for sets"
					  : "run this as root",
			   "it cannot be read: %s", problem[0] ? problem : strerror(-r));
	else
		doctor_say(doctor, FINDING_OK, NULL,
			   "tables read: %zu; packets from outside are assumed to arrive on %s",
			   doctor->ruleset.n_tables, doctor_arrival(doctor));
}

/* Nobody may ask the firewall: that says nothing of what is in it. */
static bool is_forbidden(const struct firewall *firewall)
{
	return strstr(firewall_problem(firewall), strerror(EPERM)) != NULL;
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
	if (firewall_new(NULL, &firewall) < 0)
		return;
	if (firewall_check_ports(firewall, config->expected_ports) == 0) {
		doctor->expects = true;
		doctor_say(doctor, FINDING_OK, NULL, "the set %s is there, for up to %zu ports",
			   config->expected_ports, n);
	} else if (is_forbidden(firewall)) {
		doctor_say(doctor, FINDING_UNKNOWN, "run this as root", "%s",
			   firewall_problem(firewall));
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

/* What becomes of what is not logged. */
static const char *verdict_word(const struct walk *walk)
{
	return walk->is_away		       ? "sent elsewhere"
	       : walk->verdict == VERDICT_DROP ? "dropped"
					       : "accepted";
}

static const char *walk_by(const struct walk *walk, char text[static BY_MAX])
{
	if (walk->is_away)
		return walk->moved->text;
	return outcome_by(walk->verdict == VERDICT_DROP ? &walk->dropped
			  : walk->accepted.is_possible	? &walk->accepted
							: &walk->fallen,
			  text);
}

/* One step that no rule logs. */
static void say_not_logged(struct doctor *doctor, const struct door *door, enum family family,
			   unsigned step, const struct walk *walk)
{
	char text[BY_MAX];
	const char *name = family_name(family), *by = walk_by(walk, text);

	/* What a limit keeps from most packets is not what decides. */
	bool is_decided = walk->verdict == VERDICT_DROP
				  ? walk->dropped.by && !walk->dropped.is_limited
				  : walk->accepted.by != NULL;

	if (walk->is_away || is_decided)
		doctor_say(doctor, FINDING_PROBLEM, log_advice,
			   "door %s, %s: step %u is %s before it is logged, by %s", door->name,
			   name, step, verdict_word(walk), by);
	else
		doctor_say(doctor, FINDING_PROBLEM, log_advice,
			   "door %s, %s: step %u is not logged: no rule logs packets like it",
			   door->name, name, step);
}

/* Why it is not sure that it is logged. */
static const char *walk_unsure(const struct walk *walk, char text[static BY_MAX])
{
	const struct rule_view *rule = walk->unsure;
	struct outcome doubted = {.by = rule, .doubt = rule};
	char doubt[BY_MAX];

	if (!rule || rule == walk->logged || rule->verdict == VERDICT_JUMP ||
	    rule->verdict == VERDICT_GOTO)
		snprintf(text, BY_MAX, "is logged only if more is true than can be told here: %s",
			 walk->logged->text);
	else
		snprintf(text, BY_MAX, "may be %s before it is logged, by %s%s",
			 rule->verdict == VERDICT_DROP	 ? "dropped"
			 : rule->verdict == VERDICT_MOVE ? "sent elsewhere"
							 : "accepted",
			 rule->text, outcome_doubt(&doubted, doubt));
	return text;
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
			struct packet packet = doctor_connection(doctor, door, family, step);
			struct walk walk;

			if (!(door->auth & auth))
				continue;
			packet.in_port_set = doctor->expects;
			ruleset_walk(&doctor->ruleset, &packet, doctor->config->log_prefix, &walk);
			if (!walk.logged)
				doctor_say(doctor, FINDING_PROBLEM, log_advice,
					   "door %s, %s: what comes to port %u/%s is not logged, "
					   "but %s by %s",
					   door->name, name, step.port,
					   auth == AUTH_SPA ? "tcp" : "udp", verdict_word(&walk),
					   walk_by(&walk, text));
			else if (auth == AUTH_SPA && packet.by_nflog)
				doctor_say(
					doctor, FINDING_WARNING, NULL,
					"door %s: SPA knocks are in TCP's options, of which ulogd "
					"writes nothing",
					door->name);
			else if (auth == AUTH_SPA && !walk.logged->log_options)
				doctor_say(
					doctor, FINDING_PROBLEM,
					"log them: --log-tcp-options, or in nft flags tcp options",
					"door %s, %s: SPA knocks are in TCP's options, which are "
					"not "
					"logged by %s",
					door->name, name, walk.logged->text);
			else if (walk.maybe_logged)
				doctor_say(doctor, FINDING_WARNING, NULL,
					   "door %s, %s: what comes to port %u/%s %s", door->name,
					   name, step.port, auth == AUTH_SPA ? "tcp" : "udp",
					   walk_unsure(&walk, text));
			if (doctor->n_said > 0)
				return;
		}
}

static void check_log(struct doctor *doctor, const struct door *door, enum family family)
{
	const char *prefix = doctor->config->log_prefix;
	const struct filter *filter = &door->knock.filter;
	struct sequence sequence;
	char text[BY_MAX];

	/* What others log is not this firewall's concern. */
	if (!filter_is_logged_here(filter))
		return;
	if (!ruleset_find_log(&doctor->ruleset, family, prefix, filter->by_nflog)) {
		if (filter->by_nflog) {
			doctor_say(doctor, FINDING_WARNING,
				   "see what `knocktail rules --nflog` prints, unless another "
				   "machine logs for this door",
				   "door %s, %s: no rule logs by NFLOG with the prefix \"%s\"",
				   door->name, family_name(family), prefix);
			return;
		}
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
		struct packet packet = doctor_probe(doctor, door, family, sequence.steps[i]);
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
			doctor_say(doctor, FINDING_WARNING, NULL, "door %s, %s: step %u %s",
				   door->name, family_name(family), i + 1,
				   walk_unsure(&walk, text));
	}
}

void doctor_check_log(struct doctor *doctor)
{
	doctor_each_door(doctor, check_log);
	kernel_judge_log(doctor);
	if (doctor->n_said == 0)
		doctor_say(doctor, FINDING_OK, NULL,
			   "every step of every door is logged with the prefix \"%s\"",
			   doctor->config->log_prefix);
}

/* What journald stores nothing of is as good as not logged. */
static bool walk_is_heard(const struct doctor *doctor, const struct walk *walk)
{
	return walk->logged && walk->logged->log_level <= doctor->max_level;
}

static void judge_limits(struct doctor *doctor, const struct door *door, enum family family,
			 const struct walk *walk, unsigned n_steps)
{
	if (!walk_is_heard(doctor, walk))
		return;
	doctor->n_limits_judged++;
	limits_judge(doctor, door, family, walk, n_steps);
}

/* The first step that is logged tells for all: they come by one rule, or one is named. */
static void check_limit(struct doctor *doctor, const struct door *door, enum family family)
{
	struct sequence sequence;

	if (door->auth & AUTH_TOKEN) {
		struct packet packet = doctor_connection(
			doctor, door, family, (struct step){keyed_ports[0], IPPROTO_UDP});
		struct walk walk;

		packet.in_port_set = doctor->expects;
		ruleset_walk(&doctor->ruleset, &packet, doctor->config->log_prefix, &walk);
		judge_limits(doctor, door, family, &walk, TOKEN_BURST);
	}
	if (!filter_is_logged_here(&door->knock.filter) || doctor->n_said > 0 ||
	    !one_time_find_sequence(door, &sequence))
		return;
	for (unsigned i = 0; i < sequence.n_steps; i++) {
		struct packet packet = doctor_probe(doctor, door, family, sequence.steps[i]);
		size_t n_said = doctor->n_said;
		struct walk walk;

		ruleset_walk(&doctor->ruleset, &packet, doctor->config->log_prefix, &walk);
		judge_limits(doctor, door, family, &walk, sequence.n_steps);
		if (doctor->n_said > n_said)
			return;
	}
}

/* Whether anything is logged here that a limit could keep out. */
static bool needs_log(const struct doctor *doctor)
{
	for (size_t i = 0; i < doctor->config->n_doors; i++)
		if (filter_is_logged_here(&doctor->config->doors[i].knock.filter) &&
		    doctor_looks_at(doctor, &doctor->config->doors[i]))
			return true;
	return false;
}

void doctor_check_limit(struct doctor *doctor)
{
	if (!doctor->logs_nothing)
		doctor_each_door(doctor, check_limit);
	if (doctor->n_limits_judged == 0 && needs_log(doctor)) {
		doctor_say(doctor, FINDING_OK, NULL,
			   "nothing is logged that a limit could keep out");
		return;
	}
	if (doctor->n_said == 0)
		doctor_say(doctor, FINDING_OK, NULL,
			   "a whole knock is logged at once, whoever else sends");
	limits_say_cost(doctor);
}

static void check_target(struct doctor *doctor, struct firewall *firewall, size_t number)
{
	const struct door *door = &doctor->config->doors[number];
	char of_user[DAEMON_USER_PROBLEM_MAX], absence[ABSENCE_TEXT_MAX];
	int r = firewall_check(firewall, &door->opening);

	if (r < 0 && doctor->lacks_target)
		doctor->lacks_target[number] = true;
	if (r < 0 && is_forbidden(firewall))
		doctor_say(doctor, FINDING_UNKNOWN, "run this as root", "door %s: %s", door->name,
			   firewall_problem(firewall));
	else if (r < 0)
		doctor_say(doctor, FINDING_PROBLEM,
			   "`knocktail rules` prints what makes it as it must be", "door %s: %s",
			   door->name, firewall_problem(firewall));
	else if (daemon_user_check(&door->opening, of_user) == -EACCES)
		doctor_say(doctor, FINDING_PROBLEM, "let the daemon's user execute and read it",
			   "door %s: %s", door->name, of_user);
	if (this_machine_lacks(door, absence))
		doctor_say(doctor, FINDING_WARNING, NULL, "door %s: %s", door->name, absence);
}

void doctor_check_target(struct doctor *doctor)
{
	struct firewall *firewall;
	int r = firewall_new(NULL, &firewall);

	if (r < 0) {
		doctor_say(doctor, FINDING_UNKNOWN, "run this as root",
			   "the firewall cannot be asked: %s", strerror(-r));
		return;
	}
	for (size_t i = 0; i < doctor->config->n_doors; i++)
		if (doctor_looks_at(doctor, &doctor->config->doors[i]))
			check_target(doctor, firewall, i);
	if (doctor->n_said == 0)
		doctor_say(doctor, FINDING_OK, NULL,
			   "all sets, chains and programs of the doors exist");
	firewall_free(firewall);
}
