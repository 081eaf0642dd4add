/* Rules for nft, in the table that the doors' sets are in. */
#include "cli/rules/plan.h"

#include <netinet/in.h>
#include <string.h>

#include "cli/common/limits.h"
#include "cli/rules/forward.h"
#include "cli/rules/nflog.h"
#include "config/config.h"
#include "core/probe.h"

static const uint8_t protocols[] = {IPPROTO_TCP, IPPROTO_UDP};
static const char *const family_words[] = {[FAMILY_IPV4] = "ip", [FAMILY_IPV6] = "ip6"};
static const char *const address_types[] = {
	[FAMILY_IPV4] = "ipv4_addr", [FAMILY_IPV6] = "ipv6_addr"};

/* Writes one word for each part of an entry, with points in between: the type of the set, or what a
 * rule has to look up in it. */
static void put_parts(const struct door *door, enum family family, bool is_type, FILE *file)
{
	const char *text = door->opening.entry, *between = "";

	while (*text) {
		size_t length = strcspn(text, " ");
		const char *type, *key;

		if (length == 4 && strncmp(text, "%IP%", 4) == 0) {
			type = address_types[family];
			key = family == FAMILY_IPV6 ? "ip6 saddr" : "ip saddr";
		} else if (strspn(text, "0123456789") == length) {
			type = "inet_service";
			key = "th dport";
		} else {
			type = "inet_proto";
			key = "meta l4proto";
		}
		if (length != 1 || *text != '.') {
			fprintf(file, "%s%s", between, is_type ? type : key);
			between = " . ";
		}
		text += length;
		text += strspn(text, " ");
	}
}

static void put_sets(const struct plan *plan, FILE *file)
{
	for (size_t i = 0; i < plan->config->n_doors; i++) {
		const struct door *door = &plan->config->doors[i];
		struct nft_name name;

		for (enum family family = 0; family < N_FAMILIES; family++) {
			if (door->opening.backend != BACKEND_NFT || !door->opening.set[family] ||
			    !plan_is_first(plan, i, family))
				continue;
			nft_name_split(door->opening.set[family], &name);
			if (!opening_opens_address(&door->opening, family))
				fprintf(file, "\t# With all of their networks, of %u bits.\n",
					door->opening.prefix[family]);
			fprintf(file, "\tset %s {\n\t\ttype ", name.set);
			put_parts(door, family, true, file);
			fputs(opening_opens_address(&door->opening, family)
				      ? "\n\t\tflags timeout\n\t}\n"
				      : "\n\t\tflags interval,timeout\n\t}\n",
			      file);
		}
	}
}

/* The rules for a set of ports, with `rest` behind what each asks for. */
static void put_port_rules(const struct port_set *ports, const char *rest, FILE *file)
{
	char numbers[PORT_RANGE_TEXT_MAX];

	if (ports->is_all)
		fprintf(file, "\t\t%s\n", rest);
	for (unsigned p = 0; p < sizeof protocols; p++) {
		size_t n = 0, n_put = 0;

		for (size_t i = 0; i < ports->n_ranges; i++)
			n += ports->ranges[i].protocol == protocols[p];
		if (n == 0)
			continue;
		fprintf(file, "\t\t%s dport %s", protocol_word(protocols[p]), n > 1 ? "{ " : "");
		for (size_t i = 0; i < ports->n_ranges; i++)
			if (ports->ranges[i].protocol == protocols[p])
				fprintf(file, "%s%s", n_put++ > 0 ? ", " : "",
					port_range_numbers(&ports->ranges[i], '-', numbers));
		fprintf(file, "%s %s\n", n > 1 ? " }" : "", rest);
	}
}

static void nft_put_accept(const struct plan *plan, FILE *file)
{
	for (size_t i = 0; i < plan->config->n_doors; i++) {
		const struct door *door = &plan->config->doors[i];
		struct nft_name name;

		for (enum family family = 0; family < N_FAMILIES; family++) {
			bool has_port = door->opening.entry && strchr(door->opening.entry, '.');
			char rest[128];

			if (door->opening.backend != BACKEND_NFT || !door->opening.set[family] ||
			    opening_forwards(&door->opening))
				continue;
			nft_name_split(door->opening.set[family], &name);
			if (has_port) {
				fputs("\t\t", file);
				put_parts(door, family, false, file);
				fprintf(file, " @%s accept\n", name.set);
				continue;
			}
			snprintf(rest, sizeof rest, "%s saddr @%s accept", family_words[family],
				 name.set);
			put_port_rules(&door->opening.ports, rest, file);
		}
	}
}

static void put_flag_names(uint8_t bits, FILE *file)
{
	static const char *const names[] = {"fin", "syn", "rst", "psh", "ack", "urg", "ecn", "cwr"};
	const char *between = "";

	if (bits == 0)
		fputs("0", file);
	for (unsigned i = 0; i < 8; i++) {
		if (!(bits & 1U << i))
			continue;
		fprintf(file, "%s%s", between, names[i]);
		between = " | ";
	}
}

static void nft_put_flags(const struct plan *plan, bool are_new, FILE *file)
{
	for (size_t i = 0; i < plan->n_flags; i++) {
		const struct plan_flags *flags = &plan->flags[i];

		if (flags->is_new != are_new)
			continue;
		fputs("\t\t", file);
		if (!are_new)
			fputs("ct state new,invalid ", file);
		fputs("tcp flags & (", file);
		put_flag_names(flags->set | flags->clear, file);
		fputs(") == ", file);
		put_flag_names(flags->set, file);
		fputs(" jump knocktail_log\n", file);
	}
}

/* How a source is told from others, and the set of the slots that they share. */
static const struct {
	const char *any, *one, *slots;
} sources[N_FAMILIES] = {
	[FAMILY_IPV4] = {"ip saddr != 0.0.0.0", "ip saddr", "knocktail_slots"},
	[FAMILY_IPV6] = {"ip6 saddr != ::", "ip6 saddr & ffff:ffff:ffff:ffff::",
			 "knocktail_slots6"},
};

/* What logs, with the prefix, to the end of the line. */
static void nft_put_target(const struct plan *plan, FILE *file)
{
	fprintf(file, "log prefix \"%s\"", plan->config->log_prefix);
	if (plan->nflog_group > 0)
		fprintf(file, " group %u snaplen %d", plan->nflog_group, PLAN_NFLOG_BYTES);
	else if (plan->log_options)
		fputs(" flags tcp options", file);
	fputc('\n', file);
}

/* Of all sources together, for what is expected is known to few. */
static void nft_put_expected(const struct plan *plan, FILE *file)
{
	static const char looked_up[] = "meta l4proto { tcp, udp } th dport";
	struct nft_name name;

	if (!plan->expected)
		return;
	nft_name_split(plan->expected, &name);
	fprintf(file, "\t\t%s @%s limit rate " LIMIT_ALL_RATE " burst %d packets ", looked_up,
		name.set, LIMIT_ALL_BURST);
	nft_put_target(plan, file);
	if (!plan->expected_alone)
		fprintf(file, "\t\t%s @%s return\n", looked_up, name.set);
}

static void nft_put_log(const struct plan *plan, FILE *file)
{
	fputs("\tchain knocktail_log {\n", file);
	nft_put_expected(plan, file);
	for (enum family family = 0; !plan->expected_alone && family < N_FAMILIES; family++) {
		fprintf(file,
			"\t\t%s update @%s { jhash %s mod %d limit rate " LIMIT_SOURCE_RATE
			" burst %d packets } limit rate " LIMIT_ALL_RATE " burst %d packets ",
			sources[family].any, sources[family].slots, sources[family].one,
			LIMIT_SLOTS, LIMIT_SOURCE_BURST, LIMIT_ALL_BURST);
		nft_put_target(plan, file);
	}
	fputs("\t}\n", file);
}

static const char head[] =
	"#!/usr/sbin/nft -f\n"
	"# What knocktail needs of nft, made by `knocktail rules nft`. Load it with\n"
	"#\n"
	"#\tknocktail rules nft --apply\n"
	"#\n"
	"# which takes it back if you have locked yourself out, or with `nft -f FILE`, as often as "
	"you\n"
	"# like: it replaces its own chains, and sets keep what is in them.\n"
	"#\n"
	"# Everything is dropped that is not accepted here, even if a chain of yours accepts it: "
	"in nft an\n"
	"# accept elsewhere does not save a packet from this drop. What shall be open to everybody "
	"has to\n"
	"# be said here, too: `knocktail rules nft --open 80,443`.\n"
	"\n";

static const char beside_head[] =
	"#!/usr/sbin/nft -f\n"
	"# What knocktail needs beside firewalld, made by `knocktail rules firewalld`: a table of "
	"its own\n"
	"# that stands before firewalld's, for a firewalld set cannot hold addresses for a "
	"time. Load\n"
	"# it with\n"
	"#\n"
	"#\tknocktail rules firewalld --apply\n"
	"#\n"
	"# which takes it back if you have locked yourself out, or with `nft -f FILE`; --install "
	"has it\n"
	"# loaded at each boot.\n"
	"#\n"
	"# Here the guarded ports are closed to who has not knocked. firewalld has to let them in\n"
	"# (firewall-cmd --permanent --add-service=ssh), and decides on all others. What it opens "
	"to\n"
	"# everybody is said here, too, so that it is not logged: --open 80,443.\n"
	"\n";

static const char slots_comment[] =
	"\t# The limits of the sources, each in a slot that the kernel chooses by a random seed: "
	"so these\n"
	"\t# sets cannot be full, whatever sources somebody invents. In IPv6 a /64 is one "
	"source.\n";

static void put_expected_set(const struct plan *plan, FILE *file)
{
	struct nft_name name;

	if (!plan->expected)
		return;
	nft_name_split(plan->expected, &name);
	fprintf(file,
		"\t# The ports that keyed knocks are expected at, which the daemon keeps.\n"
		"\tset %s {\n\t\ttype inet_service\n\t\tflags timeout\n\t}\n",
		name.set);
}

static void put_slots(const struct plan *plan, FILE *file)
{
	if (plan->expected_alone)
		return;
	fputs(slots_comment, file);
	for (enum family family = 0; family < N_FAMILIES; family++)
		fprintf(file,
			"\tset %s {\n\t\ttype mark\n\t\tsize %d\n"
			"\t\tflags dynamic,timeout\n\t\ttimeout 2m\n\t}\n",
			sources[family].slots, LIMIT_SLOTS_MAX);
}

static const char chains[] = "\tchain knocktail_log {\n\t}\n"
			     "\tchain knocktail_input {\n"
			     "\t\ttype filter hook input priority %s;\n\t}\n}\n";

static const char first_rules[] =
	"\tchain knocktail_input {\n"
	"\t\t# First of all, so that no reload cuts off who is already in.\n"
	"\t\tct state established,related accept\n"
	"\t\tiif \"lo\" accept\n";

static const char network_rules[] =
	"\n"
	"\t\t# What keeps the network itself going.\n"
	"\t\ticmp type { echo-request, destination-unreachable, time-exceeded } accept\n"
	"\t\ticmpv6 type { nd-neighbor-solicit, nd-neighbor-advert, nd-router-advert, "
	"echo-request, "
	"destination-unreachable, packet-too-big, time-exceeded, parameter-problem } accept\n"
	"\t\tip6 saddr fe80::/10 icmpv6 type mld-listener-query accept\n"
	"\t\tip6 saddr fe80::/10 udp dport 546 accept\n";

/* The guarded ports are closed here; on all others firewalld decides. */
static void put_closed(const struct plan *plan, FILE *file)
{
	fputs("\n\t\t# Closed to everybody else; firewalld decides on what is left.\n", file);
	for (size_t i = 0; i < plan->config->n_doors; i++) {
		const struct door *door = &plan->config->doors[i];
		const char *port = door->opening.entry ? door->opening.entry : "";

		put_port_rules(&door->opening.ports, "drop", file);
		/* The part of an entry that is a number. */
		for (; door->opening.backend == BACKEND_NFT && *port; port += strspn(port, " ")) {
			size_t length = strcspn(port, " ");

			if (strspn(port, "0123456789") == length)
				fprintf(file, "\t\tmeta l4proto { tcp, udp } th dport %.*s drop\n",
					(int)length, port);
			port += length;
		}
	}
}

/* Then nothing is left for firewalld to decide on, and the network's own needs are. */
static bool guards_all(const struct plan *plan)
{
	for (size_t i = 0; i < plan->config->n_doors; i++)
		if (plan->config->doors[i].opening.ports.is_all)
			return true;
	return false;
}

static void nft_put_open(const struct plan *plan, FILE *file)
{
	if (plan->open.n_ranges > 0)
		fputs("\n\t\t# What is open to everybody.\n", file);
	put_port_rules(&plan->open, "accept", file);
}

static void put_tables(const struct plan *plan, bool beside, FILE *file)
{
	const char *noise = beside ? "accept" : "drop";
	struct nft_name name;

	plan_nft_table(plan, &name);
	fprintf(file, "table inet %s {\n\t# Who has knocked.\n", name.table);
	put_sets(plan, file);
	put_expected_set(plan, file);
	put_slots(plan, file);
	forward_put_nft_chains(plan, file);
	fprintf(file, chains, beside ? "filter - 1; policy accept" : "filter; policy drop");
	fprintf(file, "\nflush chain inet %s knocktail_input\nflush chain inet %s knocktail_log\n",
		name.table, name.table);
	forward_put_nft_commands(plan, name.table, file);
	fprintf(file, "\ntable inet %s {\n", name.table);
	forward_put_nft_rules(plan, file);
	nft_put_log(plan, file);
	fputs(first_rules, file);
	nft_put_flags(plan, false, file);
	fprintf(file, "\t\tct state invalid %s\n", noise);
	if (!beside || guards_all(plan))
		fputs(network_rules, file);
	nft_put_open(plan, file);
	fputs("\n\t\t# What is open to those who have knocked.\n", file);
	nft_put_accept(plan, file);
	fprintf(file,
		"\n\t\t# Noise that is not worth a line in the log.\n"
		"\t\tfib daddr type { broadcast, multicast, anycast } %s\n"
		"\n\t\t# %s\n",
		noise,
		plan->expected_alone
			? "Of the rest, what comes to a port that a keyed knock is expected at is logged."
		: plan->expected
			? "The rest is logged: what comes to a port that a keyed knock is expected at in "
			  "any\n\t\t# case, else so many lines of each source, and of all together."
			: "The rest is logged, so many lines of each source, and of all together.");
	nft_put_flags(plan, true, file);
	fputs("\t\tmeta l4proto udp jump knocktail_log\n", file);
	if (beside)
		put_closed(plan, file);
	fputs("\t}\n}\n", file);
}

void plan_print_nft(const struct plan *plan, FILE *file)
{
	fputs(head, file);
	nflog_put_comment(plan, file);
	put_tables(plan, false, file);
}

void plan_print_firewalld(const struct plan *plan, FILE *file)
{
	fputs(beside_head, file);
	nflog_put_comment(plan, file);
	put_tables(plan, true, file);
}
