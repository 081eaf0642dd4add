/* What a command of knockd's says to iptables. */
#pragma once

#include <net/if.h>
#include <stdbool.h>

enum { IPTABLES_PORTS_MAX = 256 };

struct iptables_rule {
	char ports[IPTABLES_PORTS_MAX]; /* as the key of knocktail.conf(5) has them */
	char interface[IF_NAMESIZE];	/* that packets come in at; "": any */
	char forward[32]; /* where they are sent on to, as the key has it; "": nowhere */
};

/* Whether the command adds a rule to INPUT that accepts some ports, or all, from the address of
 * whoever knocked, or one to PREROUTING of nat that sends some on, and nothing else. */
bool iptables_accepts(const char *text, struct iptables_rule *ret);

/* Whether the second command takes out the rule that the first one adds. */
bool iptables_undoes(const char *text, const char *undo);

/* Whether the command runs iptables for IPv4. */
bool iptables_is_ipv4(const char *text);
