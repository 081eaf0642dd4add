#include "cli/rules/plan.h"

#include <errno.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include "cli/common/expected.h"
#include "cli/rules/nflog.h"
#include "config/config.h"
#include "core/keyed/expected.h"
#include "core/probe.h"
#include "util/text/stream.h"

enum { IPTABLES_PREFIX_MAX = 29, NFLOG_PREFIX_MAX = 63 };

const char *const variant_names[] = {"ipset", "iptables", "ufw", "nft", "firewalld", NULL};

/* Which backends' doors the rules of a variant can open. */
static const unsigned backends[N_VARIANTS] = {
	[VARIANT_IPSET] = 1U << BACKEND_IPSET | 1U << BACKEND_IPTABLES | 1U << BACKEND_COMMAND,
	[VARIANT_IPTABLES] = 1U << BACKEND_IPSET | 1U << BACKEND_IPTABLES | 1U << BACKEND_COMMAND,
	[VARIANT_UFW] = 1U << BACKEND_IPSET | 1U << BACKEND_IPTABLES | 1U << BACKEND_COMMAND,
	[VARIANT_NFT] = 1U << BACKEND_NFT | 1U << BACKEND_COMMAND,
	[VARIANT_FIREWALLD] = 1U << BACKEND_NFT | 1U << BACKEND_COMMAND,
};

/* Which have rules for what is forwarded; the sets are the same. */
static const bool looks_beyond[N_VARIANTS] = {
	[VARIANT_IPSET] = true,
	[VARIANT_IPTABLES] = true,
	[VARIANT_NFT] = true,
};

__attribute__((format(printf, 2, 3))) static int plan_refuse(const struct door *door,
							     const char *format, ...)
{
	va_list arguments;

	fputs("knocktail rules: ", stderr);
	if (door)
		fprintf(stderr, "door %s: ", door->name);
	va_start(arguments, format);
	vfprintf(stderr, format, arguments);
	va_end(arguments);
	fputc('\n', stderr);
	return -EINVAL;
}

void nft_name_split(const char *set, struct nft_name *ret)
{
	*ret = (struct nft_name){0};
	/* The configuration's parser has seen to three words. */
	sscanf(set, "%7s %63s %63s", ret->family, ret->table, ret->set);
}

void plan_nft_table(const struct plan *plan, struct nft_name *ret)
{
	*ret = (struct nft_name){.family = "inet", .table = "knock"};
	for (size_t i = 0; i < plan->config->n_doors; i++)
		for (enum family family = 0; family < N_FAMILIES; family++)
			if (plan->config->doors[i].opening.backend == BACKEND_NFT &&
			    plan->config->doors[i].opening.set[family])
				nft_name_split(plan->config->doors[i].opening.set[family], ret);
}

static const char *any_set(const struct door *door)
{
	return door->opening.set[FAMILY_IPV4] ? door->opening.set[FAMILY_IPV4]
					      : door->opening.set[FAMILY_IPV6];
}

/* All sets lie in one table, for a set can only be looked up from its own, and a table that accepts
 * does not save a packet from another one. */
static int check_tables(const struct config *config, enum variant variant)
{
	struct nft_name first = {0}, name;

	for (size_t i = 0; i < config->n_doors; i++) {
		const struct door *door = &config->doors[i];

		for (enum family family = 0; family < N_FAMILIES; family++) {
			if (door->opening.backend != BACKEND_NFT || !door->opening.set[family])
				continue;
			nft_name_split(door->opening.set[family], &name);
			if (variant == VARIANT_FIREWALLD && strcmp(name.table, "firewalld") == 0)
				return plan_refuse(
					door,
					"firewalld removes what others put into its table: use "
					"one of knocktail's own, set = inet knock %s",
					name.set);
			if (strcmp(name.family, "inet") != 0)
				return plan_refuse(door,
						   "its set is in a table of the family %s: put it "
						   "into one of inet, which sees IPv4 and IPv6",
						   name.family);
			if (*first.table && strcmp(first.table, name.table) != 0)
				return plan_refuse(door,
						   "its set is in the table %s and another door's "
						   "in %s: put all into one",
						   name.table, first.table);
			first = name;
		}
	}
	return 0;
}

/* Whether rules can be written that look an element such as the door's up. */
static int check_entry(const struct door *door)
{
	bool has_port = strchr(door->opening.entry, ':') || strchr(door->opening.entry, ',') ||
			strchr(door->opening.entry, '.');

	if (door->opening.backend == BACKEND_IPSET && has_port &&
	    (strncmp(door->opening.entry, "%IP%,", 5) != 0 || strchr(door->opening.entry + 5, ',')))
		return plan_refuse(door,
				   "which type of set its entry belongs to is not known here");
	if (!has_port && port_set_is_empty(&door->opening.ports))
		return plan_refuse(
			door, "it is not said which port it opens: ports = 22/tcp for example");
	return 0;
}

static int plan_check_door(const struct door *door, enum variant variant)
{
	if (!(backends[variant] & 1U << door->opening.backend))
		return plan_refuse(door, "rules of %s cannot look up what its backend %s opens",
				   variant_names[variant],
				   door->opening.backend == BACKEND_IPSET      ? "ipset"
				   : door->opening.backend == BACKEND_IPTABLES ? "iptables"
									       : "nft");
	if (!looks_beyond[variant] && (opening_forwards(&door->opening) || door->opening.docker))
		return plan_refuse(
			door,
			"rules of %s do not reach what is behind this machine, which they "
			"would leave open: use rules of %s in their place",
			variant_names[variant], variant == VARIANT_UFW ? "iptables" : "nft");
	if (door->opening.backend == BACKEND_IPSET || door->opening.backend == BACKEND_NFT)
		return any_set(door) ? check_entry(door) : -EINVAL;
	return 0;
}

static void add_flags(struct plan *plan, uint8_t set, uint8_t clear)
{
	bool is_new =
		(set & TCP_FLAG_SYN) && !(set & ~(TCP_FLAG_SYN | TCP_FLAG_ECE | TCP_FLAG_CWR));

	for (size_t i = 0; i < plan->n_flags; i++)
		if (plan->flags[i].set == set && plan->flags[i].clear == clear)
			return;
	if (plan->n_flags < PLAN_FLAGS_MAX)
		plan->flags[plan->n_flags++] = (struct plan_flags){set, clear, is_new};
}

static bool is_nft(enum variant variant)
{
	return variant == VARIANT_NFT || variant == VARIANT_FIREWALLD;
}

/* Whether rules of the variant can look the set up, and if so, in which table. */
static bool plan_sees(const struct plan *plan, enum variant variant, const char *set)
{
	struct nft_name ours, name;

	if (!is_nft(variant))
		return !strchr(set, ' ');
	plan_nft_table(plan, &ours);
	nft_name_split(set, &name);
	return strcmp(name.family, ours.family) == 0 && strcmp(name.table, ours.table) == 0;
}

static int plan_expect(struct plan *plan, enum variant variant)
{
	const struct config *config = plan->config;
	size_t n;
	int r;

	if (!config_listens_for(config, AUTH_TOKEN | AUTH_SPA))
		return 0;
	r = config_count_expected(config, &n);
	if (r < 0) {
		fprintf(stderr, "knocktail rules: cannot read the keys: %s\n", strerror(-r));
		return r;
	}
	if (n > EXPECTED_MAX) {
		fprintf(stderr,
			"knocktail rules: keyed knocks may be expected at %zu ports, more than a tenth of "
			"all: they are logged within the limits by source\n",
			n);
	} else if (!plan_sees(plan, variant, config->expected_ports)) {
		fprintf(stderr,
			"knocktail rules: expected_ports = %s is not a set that these rules can look "
			"up: keyed knocks are logged within the limits by source\n",
			config->expected_ports);
	} else {
		plan->expected = config->expected_ports;
		plan->expected_alone = !config_listens_for(config, AUTH_SEQUENCE);
	}
	return 0;
}

int plan_make(const struct config *config, const struct port_set *open, unsigned nflog_group,
	      enum variant variant, struct plan *ret)
{
	struct plan plan = {.config = config, .open = *open, .nflog_group = nflog_group};
	size_t prefix_max = nflog_group > 0 ? NFLOG_PREFIX_MAX : IPTABLES_PREFIX_MAX;
	int r;

	if (!is_nft(variant) && variant != VARIANT_IPSET && strlen(config->log_prefix) > prefix_max)
		return plan_refuse(
			NULL, "log_prefix is longer than the %zu characters that iptables takes",
			prefix_max);
	if (is_nft(variant) && strpbrk(config->log_prefix, "\"$"))
		return plan_refuse(NULL, "nft takes no log_prefix that holds a '\"' or a '$'");
	/* New connections are always logged: a SYN to a foreign port breaks a knock. */
	add_flags(&plan, TCP_FLAG_SYN, TCP_FLAG_ACK);
	for (size_t i = 0; i < config->n_doors; i++) {
		const struct filter *filter = &config->doors[i].knock.filter;

		if (plan_check_door(&config->doors[i], variant) < 0)
			return -EINVAL;
		plan.log_options = plan.log_options || (config->doors[i].auth & AUTH_SPA);
		/* "syn" alone: what comes first of all is a SYN without ACK. */
		if (filter->flags_set != TCP_FLAG_SYN || (filter->flags_clear & ~TCP_FLAG_ACK))
			add_flags(&plan, filter->flags_set, filter->flags_clear);
	}
	if (is_nft(variant) && check_tables(config, variant) < 0)
		return -EINVAL;
	if (variant != VARIANT_IPSET && nflog_check(&plan) < 0)
		return -EINVAL;
	r = plan_expect(&plan, variant);
	if (r < 0)
		return r;
	*ret = plan;
	return 0;
}

bool plan_is_first(const struct plan *plan, size_t door, enum family family)
{
	const char *set = plan->config->doors[door].opening.set[family];

	for (size_t i = 0; i < door; i++)
		if (plan->config->doors[i].opening.set[family] &&
		    strcmp(plan->config->doors[i].opening.set[family], set) == 0)
			return false;
	return true;
}

void plan_put_chains(const struct plan *plan, bool forward, const char *before, const char *after,
		     FILE *file)
{
	for (size_t i = 0; i < plan->config->n_doors; i++) {
		const struct opening *opening = &plan->config->doors[i].opening;
		bool is_first = opening->backend == BACKEND_IPTABLES &&
				opening_forwards(opening) == forward;

		for (size_t j = 0; j < i && is_first; j++)
			is_first =
				!plan->config->doors[j].opening.chain ||
				strcmp(plan->config->doors[j].opening.chain, opening->chain) != 0;
		if (is_first)
			fprintf(file, "%s%s%s\n", before, opening->chain, after);
	}
}

void plan_put_flags(const struct plan_flags *flags, FILE *file)
{
	static const struct {
		uint8_t bit;
		const char *name;
	} names[] = {
		{TCP_FLAG_FIN, "FIN"}, {TCP_FLAG_SYN, "SYN"}, {TCP_FLAG_RST, "RST"},
		{TCP_FLAG_PSH, "PSH"}, {TCP_FLAG_ACK, "ACK"}, {TCP_FLAG_URG, "URG"},
	};

	for (unsigned part = 0; part < 2; part++) {
		uint8_t bits = part == 0 ? flags->set | flags->clear : flags->set;
		const char *between = "";

		if (part == 1)
			fputc(' ', file);
		if (!(bits & 0x3f))
			fputs("NONE", file);
		for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
			if (!(bits & names[i].bit))
				continue;
			fprintf(file, "%s%s", between, names[i].name);
			between = ",";
		}
	}
}

char *plan_to_text(const struct plan *plan, void (*printer)(const struct plan *plan, FILE *file))
{
	char *text = NULL;
	FILE *file = text_stream_open(&text, NULL);

	if (!file)
		return NULL;
	printer(plan, file);
	fclose(file);
	return text;
}
