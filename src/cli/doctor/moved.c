#include "cli/doctor/moved.h"

#include <netinet/in.h>
#include <stdio.h>

#include "cli/doctor/finding.h"
#include "cli/doctor/network.h"
#include "cli/doctor/packets.h"
#include "config/config.h"
#include "core/door.h"
#include "ruleset/load.h"

/* Docker's chain for rules of others; it comes before Docker's own. */
static void say_how(const struct doctor *doctor, const struct door *door, enum family family,
		    const struct port_range *ports)
{
	const char *interface = doctor->sides[family].interface;
	char numbers[PORT_RANGE_TEXT_MAX];

	fputs("  If Docker publishes it, docker = yes in the door has the rules of iptables and nft guard "
	      "it.\n",
	      stderr);
	if (door->opening.backend != BACKEND_IPSET || !door->opening.set[family]) {
		fputs("  Look its set up in FORWARD, before what accepts it.\n", stderr);
		return;
	}
	fprintf(stderr,
		"  In FORWARD (with Docker: in DOCKER-USER) this does, of %s:\n"
		"    -I DOCKER-USER %s%s%s-p %s -m conntrack --ctstate NEW --ctorigdstport %s "
		"--ctdir ORIGINAL -m set ! --match-set %s src -j DROP\n",
		family == FAMILY_IPV6 ? "ip6tables" : "iptables", interface[0] ? "-i " : "",
		interface, interface[0] ? " " : "", protocol_word(ports->protocol),
		port_range_numbers(ports, ':', numbers), door->opening.set[family]);
}

/* Whether rules guard it that look at what is sent on: those of some door. */
static bool is_guarded_beyond(const struct config *config, const struct step *port)
{
	bool is_guarded = false;

	for (size_t i = 0; i < config->n_doors; i++) {
		const struct opening *opening = &config->doors[i].opening;

		is_guarded = is_guarded || ((opening->docker || opening_forwards(opening)) &&
					    port_set_has(&opening->ports, port));
	}
	return is_guarded;
}

/* Of ports that no rule tells apart. */
static void warn_of_piece(const struct doctor *doctor, const struct door *door, enum family family,
			  const struct port_range *ports)
{
	const struct step port = {ports->first, ports->protocol};
	struct packet packet = doctor_connection(doctor, door, family, port);
	char numbers[PORT_RANGE_TEXT_MAX];
	struct walk walk;

	if (is_guarded_beyond(doctor->config, &port))
		return;
	ruleset_walk(&doctor->ruleset, &packet, "", &walk);
	/* All ports are this machine's. */
	if (!walk.moved ||
	    (door->opening.ports.is_all && (!walk.is_away || walk.verdict == VERDICT_DROP)))
		return;
	fprintf(stderr,
		"knocktail rules: door %s, %s: port %s%s is sent to another %s, by %s: INPUT does "
		"not guard it\n",
		door->name, family_name(family), port_range_numbers(ports, '-', numbers),
		ports->protocol == IPPROTO_UDP ? "/udp" : "", walk.is_away ? "machine" : "port",
		walk.moved->text);
	if (walk.is_away)
		say_how(doctor, door, family, ports);
}

static void warn_of_door(struct doctor *doctor, const struct door *door, enum family family)
{
	struct port_set ports;

	doctor_guarded(door, &ports);
	for (size_t i = 0; i < ports.n_ranges; i++) {
		struct port_range piece = {0};

		while (port_cuts_next(&doctor->cuts, &ports.ranges[i], &piece))
			warn_of_piece(doctor, door, family, &piece);
	}
}

void moved_warn(const struct config *config)
{
	struct doctor doctor = {.config = config};
	char problem[RULESET_PROBLEM_MAX];

	if (ruleset_read(&doctor.ruleset, problem) == 0) {
		port_cuts_find(&doctor.ruleset, config->expected_ports, &doctor.cuts);
		doctor_look_at_network(&doctor);
		doctor_each_door(&doctor, warn_of_door);
		doctor_forget_network(&doctor);
	}
	ruleset_done(&doctor.ruleset);
}
