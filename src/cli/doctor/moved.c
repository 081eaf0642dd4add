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
		    struct step port)
{
	const char *interface = doctor->sides[family].interface;

	if (door->opening.backend != BACKEND_IPSET || !door->opening.set[family]) {
		fputs("  Look its set up in FORWARD, before what accepts it.\n", stderr);
		return;
	}
	fprintf(stderr,
		"  In FORWARD (with Docker: in DOCKER-USER) this does, of %s:\n"
		"    -I DOCKER-USER %s%s%s-p %s -m conntrack --ctstate NEW --ctorigdstport %u "
		"--ctdir ORIGINAL -m set ! --match-set %s src -j DROP\n",
		family == FAMILY_IPV6 ? "ip6tables" : "iptables", interface[0] ? "-i " : "",
		interface, interface[0] ? " " : "", port.protocol == IPPROTO_UDP ? "udp" : "tcp",
		port.port, door->opening.set[family]);
}

static void warn_of_door(struct doctor *doctor, const struct door *door, enum family family)
{
	struct step ports[SEQUENCE_STEPS_MAX];
	size_t n = doctor_guarded(door, ports);

	for (size_t i = 0; i < n; i++) {
		struct packet packet = doctor_connection(doctor, door, family, ports[i]);
		struct walk walk;

		ruleset_walk(&doctor->ruleset, &packet, "", &walk);
		if (!walk.moved)
			continue;
		fprintf(stderr,
			"knocktail rules: door %s, %s: port %u is sent to another %s, by %s: INPUT "
			"does not guard it\n",
			door->name, family_name(family), ports[i].port,
			walk.is_away ? "machine" : "port", walk.moved->text);
		if (walk.is_away)
			say_how(doctor, door, family, ports[i]);
	}
}

void moved_warn(const struct config *config)
{
	struct doctor doctor = {.config = config};
	char problem[RULESET_PROBLEM_MAX];

	if (ruleset_read(&doctor.ruleset, problem) == 0) {
		doctor_look_at_network(&doctor);
		doctor_each_door(&doctor, warn_of_door);
		doctor_forget_network(&doctor);
	}
	ruleset_done(&doctor.ruleset);
}
