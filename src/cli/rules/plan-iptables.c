/* Rules for iptables and ip6tables, with sets of ipset's; and the same within ufw. */
#include "cli/rules/plan.h"

#include <string.h>

#include "cli/common/limits.h"
#include "cli/rules/forward.h"
#include "cli/rules/nflog.h"
#include "config/config.h"

/* Where things go: in a firewall of our own, or among ufw's chains. */
struct plan_place {
	const char *prefix; /* of every rule: "-4 ", "-6 " or nothing */
	const char *input;  /* the chain for what comes in */
	const char *log;    /* the chain that logs */
};

static void put_quoted(const char *text, FILE *file)
{
	fputc('"', file);
	for (; *text; text++) {
		if (*text == '"' || *text == '\\')
			fputc('\\', file);
		fputc(*text, file);
	}
	fputc('"', file);
}

/* What logs, with the prefix, to the end of the line. */
static void iptables_put_target(const struct plan *plan, FILE *file)
{
	if (plan->nflog_group > 0)
		fprintf(file, "-j NFLOG --nflog-group %u --nflog-size %d --nflog-prefix ",
			plan->nflog_group, PLAN_NFLOG_BYTES);
	else
		fputs("-j LOG --log-prefix ", file);
	put_quoted(plan->config->log_prefix, file);
	fputs(plan->log_options && plan->nflog_group == 0 ? " --log-tcp-options\n" : "\n", file);
}

static bool has_port(const struct door *door)
{
	return strchr(door->opening.entry, ',') != NULL;
}

/* The rules for a set of ports, with `rest` behind what each asks for. */
static void iptables_put_ports(const struct port_set *ports, const struct plan_place *place,
			       const char *rest, FILE *file)
{
	char numbers[PORT_RANGE_TEXT_MAX];

	if (ports->is_all)
		fprintf(file, "%s-A %s %s\n", place->prefix, place->input, rest);
	for (size_t i = 0; i < ports->n_ranges; i++)
		fprintf(file, "%s-A %s -p %s --dport %s %s\n", place->prefix, place->input,
			protocol_word(ports->ranges[i].protocol),
			port_range_numbers(&ports->ranges[i], ':', numbers), rest);
}

static void iptables_put_accept(const struct plan *plan, const struct plan_place *place,
				enum family family, FILE *file)
{
	for (size_t i = 0; i < plan->config->n_doors; i++) {
		const struct door *door = &plan->config->doors[i];
		char rest[128];

		if (door->opening.backend != BACKEND_IPSET || !door->opening.set[family] ||
		    opening_forwards(&door->opening))
			continue;
		snprintf(rest, sizeof rest, "-m set --match-set %s src%s -j ACCEPT",
			 door->opening.set[family], has_port(door) ? ",dst" : "");
		if (has_port(door))
			fprintf(file, "%s-A %s %s\n", place->prefix, place->input, rest);
		else
			iptables_put_ports(&door->opening.ports, place, rest, file);
	}
}

/* Packets that have to be logged for the sake of a door's flags, and that conntrack finds invalid:
 * before those are dropped. */
static void put_odd_flags(const struct plan *plan, const struct plan_place *place, const char *how,
			  FILE *file)
{
	for (size_t i = 0; i < plan->n_flags; i++) {
		if (plan->flags[i].is_new)
			continue;
		fprintf(file, "%s%s %s -p tcp --tcp-flags ", place->prefix, how, place->input);
		plan_put_flags(&plan->flags[i], file);
		fprintf(file, " -m conntrack --ctstate NEW,INVALID -j %s\n", place->log);
	}
}

/* The kernel goes on with the limits that a table was made with as long as any rule has it. So the
 * name is another one whenever the limits change. */
static const char *const tables[N_FAMILIES] = {
	[FAMILY_IPV4] = "knock_sources",
	[FAMILY_IPV6] = "knock_sources6",
};

static void iptables_put_log(const struct plan *plan, const struct plan_place *place,
			     enum family family, FILE *file)
{
	if (plan->expected_alone)
		return;
	fprintf(file,
		"%s-A %s -m hashlimit --hashlimit-name %s --hashlimit-mode srcip %s"
		"--hashlimit-upto " LIMIT_SOURCE_RATE " --hashlimit-burst %d "
		"--hashlimit-htable-size %d --hashlimit-htable-max %d "
		"--hashlimit-htable-expire %d "
		"-m limit --limit " LIMIT_ALL_RATE " --limit-burst %d ",
		place->prefix, place->log, tables[family],
		family == FAMILY_IPV6 ? "--hashlimit-srcmask 64 " : "", LIMIT_SOURCE_BURST,
		LIMIT_TABLE_BUCKETS, LIMIT_TABLE_MAX, LIMIT_TABLE_EXPIRE_MS, LIMIT_ALL_BURST);
	iptables_put_target(plan, file);
}

/* Of all sources together, for what is expected is known to few. */
static void iptables_put_expected(const struct plan *plan, const struct plan_place *place,
				  FILE *file)
{
	if (!plan->expected)
		return;
	fprintf(file,
		"%s-A %s -m set --match-set %s dst -m limit --limit " LIMIT_ALL_RATE
		" --limit-burst %d ",
		place->prefix, place->log, plan->expected, LIMIT_ALL_BURST);
	iptables_put_target(plan, file);
	if (!plan->expected_alone)
		fprintf(file, "%s-A %s -m set --match-set %s dst -j RETURN\n", place->prefix,
			place->log, plan->expected);
}

static void put_jumps(const struct plan *plan, const struct plan_place *place, FILE *file)
{
	for (size_t i = 0; i < plan->n_flags; i++) {
		if (!plan->flags[i].is_new)
			continue;
		fprintf(file, "%s-A %s -p tcp --tcp-flags ", place->prefix, place->input);
		plan_put_flags(&plan->flags[i], file);
		fprintf(file, " -j %s\n", place->log);
	}
	fprintf(file, "%s-A %s -p udp -j %s\n", place->prefix, place->input, place->log);
}

static void put_set(const struct door *door, enum family family, FILE *file)
{
	bool is_alone = opening_opens_address(&door->opening, family);

	if (!is_alone)
		fprintf(file, "# Who has knocked with all of their networks, of %u bits.\n",
			door->opening.prefix[family]);
	fprintf(file, "create %s hash:%s%s family %s timeout 0\n", door->opening.set[family],
		is_alone ? "ip" : "net", has_port(door) ? ",port" : "",
		family == FAMILY_IPV6 ? "inet6" : "inet");
}

void plan_print_ipset(const struct plan *plan, FILE *file)
{
	fputs("# The sets that knocktail's doors open by. Load them before the rules, with\n"
	      "#\n"
	      "#\tknocktail rules ipset | ipset -exist restore\n"
	      "#\n"
	      "# which leaves sets that are there as they are.\n",
	      file);
	for (size_t i = 0; i < plan->config->n_doors; i++) {
		const struct door *door = &plan->config->doors[i];

		for (enum family family = 0; family < N_FAMILIES; family++)
			if (door->opening.backend == BACKEND_IPSET && door->opening.set[family] &&
			    plan_is_first(plan, i, family))
				put_set(door, family, file);
	}
	if (plan->expected)
		fprintf(file,
			"# The ports that keyed knocks are expected at, which the daemon keeps.\n"
			"create %s bitmap:port range 1024-65535 timeout 0\n",
			plan->expected);
}

#define INPUT PLAN_IPTABLES_INPUT
#define LOG   PLAN_IPTABLES_LOG

static const struct plan_place own_places[N_FAMILIES] = {
	[FAMILY_IPV4] = {"-4 ", INPUT, LOG},
	[FAMILY_IPV6] = {"-6 ", INPUT, LOG},
};
static const struct plan_place own_place = {"", INPUT, LOG};

static const char own_head[] =
	"# What knocktail needs of iptables and ip6tables, made by `knocktail rules iptables`. "
	"Load it\n"
	"# with\n"
	"#\n"
	"#\tknocktail rules iptables --apply\n"
	"#\n"
	"# which takes it back if you have locked yourself out, or, once, with\n"
	"#\n"
	"#\tiptables-restore --noflush FILE && ip6tables-restore --noflush FILE\n"
	"#\n"
	"# Rules that are there stay and come first. What none of them decides comes here, and "
	"what is\n"
	"# not accepted here is logged and then dropped by the policy of INPUT. The sets have to "
	"be there\n"
	"# before: `knocktail rules ipset`. The lines with -4 are for iptables alone, those with "
	"-6 for\n"
	"# ip6tables.\n"
	"\n";

static const char own_chains[] = "*filter\n"
				 ":INPUT DROP [0:0]\n"
				 ":" INPUT " - [0:0]\n"
				 ":" LOG " - [0:0]\n";

static const char own_noise[] =
	"-4 -A " INPUT " -p icmp --icmp-type echo-request -j ACCEPT\n"
	"-4 -A " INPUT " -p icmp --icmp-type destination-unreachable -j ACCEPT\n"
	"-4 -A " INPUT " -p icmp --icmp-type time-exceeded -j ACCEPT\n"
	"-6 -A " INPUT " -p ipv6-icmp --icmpv6-type neighbour-solicitation -j ACCEPT\n"
	"-6 -A " INPUT " -p ipv6-icmp --icmpv6-type neighbour-advertisement -j ACCEPT\n"
	"-6 -A " INPUT " -p ipv6-icmp --icmpv6-type router-advertisement -j ACCEPT\n"
	"-6 -A " INPUT " -p ipv6-icmp --icmpv6-type echo-request -j ACCEPT\n"
	"-6 -A " INPUT " -p ipv6-icmp --icmpv6-type destination-unreachable -j ACCEPT\n"
	"-6 -A " INPUT " -p ipv6-icmp --icmpv6-type packet-too-big -j ACCEPT\n"
	"-6 -A " INPUT " -p ipv6-icmp --icmpv6-type time-exceeded -j ACCEPT\n"
	"-6 -A " INPUT " -p ipv6-icmp --icmpv6-type parameter-problem -j ACCEPT\n"
	"-6 -A " INPUT " -p ipv6-icmp -s fe80::/10 --icmpv6-type 130 -j ACCEPT\n"
	"-6 -A " INPUT " -p udp -s fe80::/10 --dport 546 -j ACCEPT\n";

static void iptables_put_open(const struct plan *plan, FILE *file)
{
	if (plan->open.n_ranges > 0)
		fputs("\n# What is open to everybody.\n", file);
	iptables_put_ports(&plan->open, &own_place, "-j ACCEPT", file);
}

static const char *plan_log_comment(const struct plan *plan)
{
	if (plan->expected_alone)
		return "# Of the rest, what comes to a port that a keyed knock is expected at is logged; "
		       "the daemon\n"
		       "# keeps the set of these.\n";
	if (plan->expected)
		return "# The rest is logged: what comes to a port that a keyed knock is expected at, "
		       "of which the\n"
		       "# daemon keeps the set, in any case; else so many lines of each source, and of "
		       "all together.\n"
		       "# In IPv6 a /64 is one source.\n";
	return "# The rest is logged, so many lines of each source, and of all together; in IPv6 a "
	       "/64 is one\n"
	       "# source.\n";
}

void plan_print_iptables(const struct plan *plan, FILE *file)
{
	fputs(own_head, file);
	nflog_put_comment(plan, file);
	fputs(own_chains, file);
	plan_put_chains(plan, false, ":", " - [0:0]", file);
	forward_put_chains(plan, file);
	fputs(PLAN_IPTABLES_JUMP "\n\n"
				 "# First of all, so that no reload cuts off who is already in.\n"
				 "-A " INPUT
				 " -m conntrack --ctstate ESTABLISHED,RELATED -j ACCEPT\n"
				 "-A " INPUT " -i lo -j ACCEPT\n",
	      file);
	put_odd_flags(plan, &own_place, "-A", file);
	fputs("-A " INPUT " -m conntrack --ctstate INVALID -j DROP\n\n"
	      "# What keeps the network itself going.\n",
	      file);
	fputs(own_noise, file);
	iptables_put_open(plan, file);
	fputs("\n# What is open to those who have knocked.\n", file);
	for (enum family family = 0; family < N_FAMILIES; family++)
		iptables_put_accept(plan, &own_places[family], family, file);
	plan_put_chains(plan, false, "-A " INPUT " -j ", "", file);
	fputs("\n# Noise that is not worth a line in the log.\n"
	      "-4 -A " INPUT " -m addrtype --dst-type BROADCAST -j DROP\n"
	      "-A " INPUT " -m addrtype --dst-type MULTICAST -j DROP\n"
	      "\n",
	      file);
	fputs(plan_log_comment(plan), file);
	put_jumps(plan, &own_place, file);
	iptables_put_expected(plan, &own_place, file);
	for (enum family family = 0; family < N_FAMILIES; family++)
		iptables_put_log(plan, &own_places[family], family, file);
	forward_put_filter(plan, file);
	fputs("COMMIT\n", file);
	forward_put_nat(plan, file);
}

#undef INPUT
#undef LOG

static const struct plan_place ufw_places[N_UFW_PARTS][N_FAMILIES] = {
	{{"", "ufw-before-input", PLAN_UFW_LOG}, {"", "ufw6-before-input", PLAN_UFW_LOG}},
	{{"", "ufw-after-input", PLAN_UFW_LOG}, {"", "ufw6-after-input", PLAN_UFW_LOG}},
};

void plan_print_ufw_part(const struct plan *plan, enum ufw_part part, enum family family,
			 FILE *file)
{
	const struct plan_place *place = &ufw_places[part][family];

	if (part == UFW_AFTER) {
		put_jumps(plan, place, file);
		return;
	}
	fprintf(file, ":%s - [0:0]\n", place->log);
	plan_put_chains(plan, false, ":", " - [0:0]", file);
	iptables_put_expected(plan, place, file);
	iptables_put_log(plan, place, family, file);
	put_odd_flags(plan, place, "-I", file);
	iptables_put_accept(plan, place, family, file);
	plan_put_chains(plan, false,
			family == FAMILY_IPV6 ? "-A ufw6-before-input -j "
					      : "-A ufw-before-input -j ",
			"", file);
}

void plan_print_ufw(const struct plan *plan, FILE *file)
{
	static const char *const files[N_UFW_PARTS][N_FAMILIES] = {
		{"before.rules", "before6.rules"},
		{"after.rules", "after6.rules"},
	};

	fputs("# What knocktail needs of ufw, made by `knocktail rules ufw`: lines for four files "
	      "of ufw's,\n"
	      "# in each of which they go right before the COMMIT of the table filter.\n"
	      "#\n"
	      "#\tknocktail rules ufw --apply\n"
	      "#\n"
	      "# loads them, and takes them back if you have locked yourself out; with --install it "
	      "then puts\n"
	      "# them into the files, and has the sets made at each boot before ufw starts. What is "
	      "open to\n"
	      "# everybody is ufw's own matter: `ufw allow`. ufw's own LOG rules are limited to a few "
	      "lines a\n"
	      "# minute, in which knocks vanish; these have a limit for each source, and one for all "
	      "that no\n"
	      "# honest use comes near.\n",
	      file);
	if (plan->nflog_group > 0)
		fputs("\n", file);
	nflog_put_comment(plan, file);
	for (unsigned part = 0; part < N_UFW_PARTS; part++)
		for (enum family family = 0; family < N_FAMILIES; family++) {
			fprintf(file, "\n# In /etc/ufw/%s:\n", files[part][family]);
			plan_print_ufw_part(plan, part, family, file);
		}
}
