#include "cli/rules/forward.h"

#include <netinet/in.h>
#include <string.h>

#include "cli/rules/plan.h"
#include "config/config.h"

bool forward_any(const struct config *config)
{
	bool any = false;

	for (size_t i = 0; i < config->n_doors; i++)
		any = any || opening_forwards(&config->doors[i].opening);
	return any;
}

bool forward_any_docker(const struct config *config)
{
	bool any = false;

	for (size_t i = 0; i < config->n_doors; i++)
		any = any || config->doors[i].opening.docker;
	return any;
}

static bool any_masquerade(const struct config *config)
{
	bool any = false;

	for (size_t i = 0; i < config->n_doors; i++)
		any = any || config->doors[i].opening.masquerade;
	return any;
}

static bool is_always(const struct config *config)
{
	(void)config;
	return true;
}

const struct forward_jump forward_jumps[] = {
	{"filter", "INPUT", PLAN_IPTABLES_INPUT, false, is_always},
	{"filter", "FORWARD", PLAN_IPTABLES_FORWARD, true, forward_any},
	{"filter", DOCKER_USER, PLAN_IPTABLES_DOCKER, true, forward_any_docker},
	{"nat", "PREROUTING", PLAN_IPTABLES_NAT, true, forward_any},
	{"nat", "POSTROUTING", PLAN_IPTABLES_BACK, true, any_masquerade},
	{0},
};

/* Calls for each range of ports of each such door; with Docker, for one of a door with all. */
typedef void (*forward_fn)(const struct opening *opening, enum family family,
			   const struct port_range *range, FILE *file);

static void each_port(const struct plan *plan, bool docker, forward_fn fn, FILE *file)
{
	for (size_t i = 0; i < plan->config->n_doors; i++) {
		const struct opening *opening = &plan->config->doors[i].opening;

		if (docker ? !opening->docker : !opening_forwards(opening))
			continue;
		for (enum family family = 0; family < N_FAMILIES; family++) {
			for (size_t j = 0; j < opening->ports.n_ranges; j++)
				fn(opening, family, &opening->ports.ranges[j], file);
			if (opening->ports.is_all)
				fn(opening, family, NULL, file);
		}
	}
}

/* iptables */

static const char *const lines[N_FAMILIES] = {"-4 ", "-6 "};

/* What has been sent on from this port of ours. */
static void put_original(const struct port_range *range, FILE *file)
{
	char numbers[PORT_RANGE_TEXT_MAX];

	fputs(" -m conntrack --ctstate DNAT --ctdir ORIGINAL", file);
	if (range)
		fprintf(file, " --ctproto %s --ctorigdstport %s", protocol_word(range->protocol),
			port_range_numbers(range, ':', numbers));
}

static void put_set_lookup(const struct opening *opening, enum family family, FILE *file)
{
	fprintf(file, " -m set --match-set %s src", opening->set[family]);
}

static void put_established(const struct opening *opening, enum family family,
			    const struct port_range *range, FILE *file)
{
	char numbers[PORT_RANGE_TEXT_MAX];

	if (opening->forward[family].is_there)
		fprintf(file,
			"%s-A " PLAN_IPTABLES_FORWARD
			" -m conntrack --ctstate ESTABLISHED,RELATED --ctproto %s --ctorigdstport %s "
			"-m conntrack --ctstate DNAT -j ACCEPT\n",
			lines[family], protocol_word(range->protocol),
			port_range_numbers(range, ':', numbers));
}

/* Who has knocked is on the way that the door has sent them on. */
static void put_sent_on(const char *chain, const char *target, const struct opening *opening,
			enum family family, const struct port_range *range, FILE *file)
{
	char address[ADDRESS_TEXT_MAX];

	if (!opening->forward[family].is_there || !opening->set[family])
		return;
	fprintf(file, "%s-A %s -d %s", lines[family], chain,
		address_format(&opening->forward[family].address, address));
	put_original(range, file);
	put_set_lookup(opening, family, file);
	fprintf(file, " -j %s\n", target);
}

static void put_accept(const struct opening *opening, enum family family,
		       const struct port_range *range, FILE *file)
{
	put_sent_on(PLAN_IPTABLES_FORWARD, "ACCEPT", opening, family, range, file);
}

/* That is another chain's, which may come later. */
static void put_docker_pass(const struct opening *opening, enum family family,
			    const struct port_range *range, FILE *file)
{
	put_sent_on(PLAN_IPTABLES_DOCKER, "RETURN", opening, family, range, file);
}

/* In both families alike. */
static void put_close(const struct opening *opening, enum family family,
		      const struct port_range *range, FILE *file)
{
	if (family != FAMILY_IPV4)
		return;
	fprintf(file, "-A %s", opening->docker ? PLAN_IPTABLES_DOCKER : PLAN_IPTABLES_FORWARD);
	put_original(range, file);
	fputs(" -j DROP\n", file);
}

/* Docker's own rules go on with it. */
static void put_docker_open(const struct opening *opening, enum family family,
			    const struct port_range *range, FILE *file)
{
	if (!opening->set[family])
		return;
	fprintf(file, "%s-A " PLAN_IPTABLES_DOCKER, lines[family]);
	put_original(range, file);
	put_set_lookup(opening, family, file);
	fputs(" -j RETURN\n", file);
}

void forward_put_chains(const struct plan *plan, FILE *file)
{
	if (forward_any(plan->config))
		fputs(":" PLAN_IPTABLES_FORWARD " - [0:0]\n", file);
	plan_put_chains(plan, true, ":", " - [0:0]", file);
	if (forward_any_docker(plan->config))
		fputs(":" PLAN_IPTABLES_DOCKER " - [0:0]\n", file);
}

void forward_put_filter(const struct plan *plan, FILE *file)
{
	if (forward_any(plan->config)) {
		fputs("\n# What is sent on to other machines, by the ports here: who is there "
		      "stays, who has knocked\n"
		      "# comes there, and nobody else, whatever sends them on.\n"
		      "-I FORWARD -j " PLAN_IPTABLES_FORWARD "\n",
		      file);
		each_port(plan, false, put_established, file);
		each_port(plan, false, put_accept, file);
		plan_put_chains(plan, true, "-A " PLAN_IPTABLES_FORWARD " -j ", "", file);
		each_port(plan, false, put_close, file);
	}
	if (forward_any_docker(plan->config)) {
		fputs("\n# What Docker publishes, by the ports here. " DOCKER_USER
		      " has to be there, which Docker makes when it\n"
		      "# starts, and then leaves alone; --apply makes it, too. Before Docker has, by "
		      "hand:\n"
		      "#\n"
		      "#\tfor i in iptables ip6tables; do $i -N " DOCKER_USER
		      " && $i -I FORWARD -j " DOCKER_USER "; done\n"
		      "#\n"
		      "-I " DOCKER_USER " -j " PLAN_IPTABLES_DOCKER "\n"
		      "-A " PLAN_IPTABLES_DOCKER
		      " -m conntrack --ctstate ESTABLISHED,RELATED -j RETURN\n",
		      file);
		each_port(plan, true, put_docker_open, file);
		each_port(plan, false, put_docker_pass, file);
		plan_put_chains(plan, true, "-A " PLAN_IPTABLES_DOCKER " -j ", "", file);
		each_port(plan, true, put_close, file);
	}
}

static void put_nat(const struct opening *opening, enum family family,
		    const struct port_range *range, FILE *file)
{
	char numbers[PORT_RANGE_TEXT_MAX], text[FORWARD_TEXT_MAX];

	if (!opening->forward[family].is_there || !opening->set[family])
		return;
	fprintf(file, "%s-A " PLAN_IPTABLES_NAT " -p %s --dport %s -m addrtype --dst-type LOCAL",
		lines[family], protocol_word(range->protocol),
		port_range_numbers(range, ':', numbers));
	put_set_lookup(opening, family, file);
	fprintf(file, " -j DNAT --to-destination %s\n",
		forward_format(&opening->forward[family], text));
}

static void put_masquerade(const struct opening *opening, enum family family,
			   const struct port_range *range, FILE *file)
{
	char address[ADDRESS_TEXT_MAX];

	if (!opening->masquerade || !opening->forward[family].is_there)
		return;
	fprintf(file, "%s-A " PLAN_IPTABLES_BACK " -d %s", lines[family],
		address_format(&opening->forward[family].address, address));
	put_original(range, file);
	fputs(" -j MASQUERADE\n", file);
}

void forward_put_nat(const struct plan *plan, FILE *file)
{
	if (!forward_any(plan->config))
		return;
	fputs("\n*nat\n:" PLAN_IPTABLES_NAT " - [0:0]\n", file);
	if (any_masquerade(plan->config))
		fputs(":" PLAN_IPTABLES_BACK " - [0:0]\n", file);
	plan_put_chains(plan, true, ":", " - [0:0]", file);
	fputs("# Where who has knocked is sent on to.\n"
	      "-I PREROUTING -j " PLAN_IPTABLES_NAT "\n",
	      file);
	each_port(plan, false, put_nat, file);
	plan_put_chains(plan, true, "-A " PLAN_IPTABLES_NAT " -j ", "", file);
	if (any_masquerade(plan->config)) {
		fputs("# As if from here, so that answers come back by here.\n"
		      "-I POSTROUTING -j " PLAN_IPTABLES_BACK "\n",
		      file);
		each_port(plan, false, put_masquerade, file);
	}
	fputs("COMMIT\n", file);
}

void forward_omit_jumps(char *text, const char *loaded)
{
	for (const struct forward_jump *jump = forward_jumps; jump->to; jump++) {
		char line[96], there[96], *at;

		snprintf(line, sizeof line, "\n-%c %s -j %s\n", jump->is_first ? 'I' : 'A',
			 jump->from, jump->to);
		snprintf(there, sizeof there, "] -A %s -j %s\n", jump->from, jump->to);
		at = strstr(text, line);
		if (at && (!loaded || strstr(loaded, there)))
			at[1] = '#';
	}
}

/* nft */

static const char *const nft_words[N_FAMILIES] = {"ip", "ip6"};
static const char *const nfproto[N_FAMILIES] = {"ipv4", "ipv6"};

static void nft_put_original(const struct port_range *range, FILE *file)
{
	char numbers[PORT_RANGE_TEXT_MAX];

	fputs("ct status dnat ct direction original", file);
	if (range)
		fprintf(file, " meta l4proto %s ct original proto-dst %s",
			protocol_word(range->protocol), port_range_numbers(range, '-', numbers));
}

static void nft_put_lookup(const struct opening *opening, enum family family, FILE *file)
{
	struct nft_name name;

	nft_name_split(opening->set[family], &name);
	fprintf(file, " %s saddr @%s", nft_words[family], name.set);
}

static void nft_put_accept_on(const struct opening *opening, enum family family,
			      const struct port_range *range, FILE *file)
{
	char address[ADDRESS_TEXT_MAX];

	if (!opening->set[family])
		return;
	fprintf(file, "\t\tmeta nfproto %s ", nfproto[family]);
	nft_put_original(range, file);
	if (opening->forward[family].is_there)
		fprintf(file, " %s daddr %s", nft_words[family],
			address_format(&opening->forward[family].address, address));
	nft_put_lookup(opening, family, file);
	fputs(" accept\n", file);
}

static void nft_put_close(const struct opening *opening, enum family family,
			  const struct port_range *range, FILE *file)
{
	(void)opening;
	if (family != FAMILY_IPV4)
		return;
	fputs("\t\t", file);
	nft_put_original(range, file);
	fputs(" drop\n", file);
}

static void nft_put_nat(const struct opening *opening, enum family family,
			const struct port_range *range, FILE *file)
{
	char numbers[PORT_RANGE_TEXT_MAX], text[FORWARD_TEXT_MAX];

	if (!opening->forward[family].is_there || !opening->set[family])
		return;
	fprintf(file, "\t\tfib daddr type local %s dport %s", protocol_word(range->protocol),
		port_range_numbers(range, '-', numbers));
	nft_put_lookup(opening, family, file);
	fprintf(file, " dnat %s to %s\n", nft_words[family],
		forward_format(&opening->forward[family], text));
}

static void nft_put_masquerade(const struct opening *opening, enum family family,
			       const struct port_range *range, FILE *file)
{
	char address[ADDRESS_TEXT_MAX];

	if (!opening->masquerade || !opening->forward[family].is_there)
		return;
	fprintf(file, "\t\t%s daddr %s ", nft_words[family],
		address_format(&opening->forward[family].address, address));
	nft_put_original(range, file);
	fputs(" masquerade\n", file);
}

static bool any_beyond(const struct config *config)
{
	return forward_any(config) || forward_any_docker(config);
}

/* The chains, and whether the configuration needs them. The first comes before what others, Docker
 * too, have at the hook. */
static const struct {
	const char *name, *hook;
	bool (*is_needed)(const struct config *config);
} nft_chains[] = {
	{PLAN_NFT_FORWARD, "filter hook forward priority filter - 10", any_beyond},
	{PLAN_NFT_NAT, "nat hook prerouting priority dstnat - 1", forward_any},
	{PLAN_NFT_BACK, "nat hook postrouting priority srcnat - 1", any_masquerade},
};

enum { N_NFT_CHAINS = sizeof nft_chains / sizeof nft_chains[0] };

void forward_put_nft_chains(const struct plan *plan, FILE *file)
{
	for (size_t i = 0; i < N_NFT_CHAINS; i++)
		if (nft_chains[i].is_needed(plan->config))
			fprintf(file, "\tchain %s {\n\t\ttype %s; policy accept;\n\t}\n",
				nft_chains[i].name, nft_chains[i].hook);
}

/* What is not needed any more must not go on sending somebody on. */
void forward_put_nft_commands(const struct plan *plan, const char *table, FILE *file)
{
	for (size_t i = 0; i < N_NFT_CHAINS; i++)
		if (nft_chains[i].is_needed(plan->config))
			fprintf(file, "flush chain inet %s %s\n", table, nft_chains[i].name);
		else
			fprintf(file, "add chain inet %s %s\ndelete chain inet %s %s\n", table,
				nft_chains[i].name, table, nft_chains[i].name);
}

void forward_put_nft_rules(const struct plan *plan, FILE *file)
{
	if (any_beyond(plan->config)) {
		fputs("\tchain " PLAN_NFT_FORWARD " {\n"
		      "\t\t# What is sent on, by the ports here: who is there stays, who has knocked "
		      "comes there, and\n\t\t# nobody else, whatever sends them on.\n"
		      "\t\tct state established,related accept\n",
		      file);
		each_port(plan, false, nft_put_accept_on, file);
		each_port(plan, true, nft_put_accept_on, file);
		each_port(plan, false, nft_put_close, file);
		each_port(plan, true, nft_put_close, file);
		fputs("\t}\n", file);
	}
	if (forward_any(plan->config)) {
		fputs("\tchain " PLAN_NFT_NAT " {\n"
		      "\t\t# Where who has knocked is sent on to.\n",
		      file);
		each_port(plan, false, nft_put_nat, file);
		fputs("\t}\n", file);
	}
	if (any_masquerade(plan->config)) {
		fputs("\tchain " PLAN_NFT_BACK " {\n"
		      "\t\t# As if from here, so that answers come back by here.\n",
		      file);
		each_port(plan, false, nft_put_masquerade, file);
		fputs("\t}\n", file);
	}
}
