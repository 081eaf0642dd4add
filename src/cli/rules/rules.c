/* knocktail rules: what the firewall needs for the configuration. */
#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cli/common/config.h"
#include "cli/common/options.h"
#include "cli/common/process.h"
#include "cli/doctor/moved.h"
#include "cli/doctor/packets.h"
#include "cli/rules/apply.h"
#include "cli/rules/boot.h"
#include "cli/rules/nflog.h"
#include "cli/rules/plan.h"
#include "cli/rules/unload.h"
#include "cli/verb.h"
#include "config/config.h"
#include "util/cleanup.h"
#include "util/duration.h"
#include "util/number.h"

#define US_PER_S UINT64_C(1000000)

struct rules_options {
	const char *config;
	enum variant variant;
	struct port_set open;
	unsigned nflog_group; /* 0: it is not given */
	bool ulogd;
	bool apply, by_knock, agreed, install, remove;
	uint64_t confirm_us;
};

static void (*const printers[N_VARIANTS])(const struct plan *plan, FILE *file) = {
	[VARIANT_IPSET] = plan_print_ipset,
	[VARIANT_IPTABLES] = plan_print_iptables,
	[VARIANT_UFW] = plan_print_ufw,
	[VARIANT_NFT] = plan_print_nft,
	[VARIANT_FIREWALLD] = plan_print_firewalld,
};

static enum status rules_install(const struct plan *plan, enum variant variant)
{
	char problem[PROGRAM_PROBLEM_MAX] = "";
	int r = boot_check(variant, problem);

	if (r == 0)
		r = boot_install(plan, variant, problem);
	if (r < 0) {
		fprintf(stderr, "knocktail rules: not installed: %s\n",
			problem[0] ? problem : strerror(-r));
		return STATUS_FAILED;
	}
	printf("From the next boot on the %s are loaded before the network comes up; if they cannot "
	       "be,\nnobody is let in. What is loaded now has not been changed: --apply does that.\n",
	       variant == VARIANT_IPSET ? "sets" : "rules");
	return STATUS_OK;
}

static enum status rules_remove(const struct config *config, enum variant variant)
{
	struct removal removal = {0};
	char pid[PROCESS_PID_SIZE];

	boot_remove(variant, &removal);
	unload(config, variant, &removal);
	if (!removal.any)
		puts("Nothing of these rules was there.");
	else if (process_find("knocktaild", pid))
		puts("knocktaild still runs, and opens nothing any more: systemctl disable --now "
		     "knocktaild");
	return removal.failed ? STATUS_FAILED : STATUS_OK;
}

/* What is open to everybody needs no door; one that guards all ports may well leave some of them.
 */
static bool open_is_guarded(const struct config *config, const struct port_set *open)
{
	for (size_t i = 0; i < config->n_doors; i++) {
		char text[PORT_RANGE_TEXT_MAX];
		struct port_range common;
		struct port_set guarded;

		doctor_guarded(&config->doors[i], &guarded);
		if (guarded.is_all || !port_set_common(&guarded, open, &common))
			continue;
		fprintf(stderr,
			"knocktail rules: --open: %s is what door %s guards, and would be open to "
			"everybody\n",
			port_range_format(&common, text), config->doors[i].name);
		return true;
	}
	return false;
}

static enum status rules_make(const struct config *config, const struct rules_options *options)
{
	struct plan plan;

	if (open_is_guarded(config, &options->open))
		return STATUS_USAGE;
	if (plan_make(config, &options->open, options->nflog_group, options->variant, &plan) < 0)
		return STATUS_FAILED;
	if (options->ulogd) {
		nflog_print_ulogd(&plan, "", stdout);
		return STATUS_OK;
	}
	if (options->variant != VARIANT_IPSET)
		moved_warn(config);
	if (options->apply)
		return apply(&(const struct application){
			.plan = &plan,
			.variant = options->variant,
			.install = options->install,
			.by_knock = options->by_knock,
			.agreed = options->agreed,
			.confirm_us = options->confirm_us,
		});
	if (options->install)
		return rules_install(&plan, options->variant);
	printers[options->variant](&plan, stdout);
	return STATUS_OK;
}

static enum status rules_execute(const struct rules_options *options)
{
	struct config *config;
	enum status status = verb_load_config(options->config, &config);

	if (status != STATUS_OK)
		return status;
	status = options->remove ? rules_remove(config, options->variant)
				 : rules_make(config, options);
	config_free(config);
	return status;
}

static int parse_open(const char *text, void *userdata)
{
	struct port_set *ret = userdata;
	struct port_range fault[2];

	if (port_set_parse(text, ret, fault) == 0 && !ret->is_all)
		return 0;
	fprintf(stderr,
		"knocktail rules: '%s' is not a list of ports such as 80,443,60000-61000/udp, each once\n",
		text);
	return -EINVAL;
}

/* 0 is where all goes that asks for no group, which others may read. */
static int parse_group(const char *text, void *userdata)
{
	unsigned *ret = userdata;
	uint64_t group;

	if (number_parse(text, strlen(text), &group) == 0 && group >= 1 && group <= UINT16_MAX) {
		*ret = (unsigned)group;
		return 0;
	}
	fprintf(stderr, "knocktail rules: '%s' is not a group of NFLOG: 1 to 65535\n", text);
	return -EINVAL;
}

/* Whether the options go together; says why not. */
static bool rules_agree(const struct rules_options *options)
{
	const char *problem = NULL;

	if (options->remove && (options->apply || options->install))
		problem = "--remove goes with neither --apply nor --install";
	else if (options->by_knock && !options->apply)
		problem = "--confirm-by-knock goes with --apply";
	else if (options->agreed && (!options->apply || options->by_knock))
		problem = "--yes goes with --apply, without --confirm-by-knock";
	else if (options->nflog_group > 0 && (options->remove || options->variant == VARIANT_IPSET))
		problem =
			"--nflog is for rules that log: it goes neither with --remove nor with sets";
	else if (options->ulogd && options->nflog_group == 0)
		problem = "--ulogd goes with --nflog";
	else if (options->ulogd && (options->apply || options->install))
		problem = "--ulogd prints: it goes with neither --apply nor --install";
	if (problem)
		fprintf(stderr, "knocktail rules: %s\n", problem);
	return !problem;
}

static enum status parse_variant(int argc, char *argv[], struct rules_options *options)
{
	const char *name;

	if (optind == argc) {
		fputs("knocktail rules: missing firewall type (ipset, iptables, ufw, nft, firewalld)\n",
		      stderr);
		return verb_misused(&verb_rules);
	}
	name = argv[optind++];
	while (options->variant < N_VARIANTS && strcmp(variant_names[options->variant], name) != 0)
		options->variant++;
	if (options->variant == N_VARIANTS) {
		fprintf(stderr, "knocktail rules: unknown firewall type '%s'\n", name);
		return verb_misused(&verb_rules);
	}
	return verb_check_end(&verb_rules, argc, argv);
}

static enum status rules_run(int argc, char *argv[])
{
	struct rules_options wanted = {.config = KNOCKTAIL_CONF, .confirm_us = 60 * US_PER_S};
	enum status status;
	const struct verb_option options[] = {
		{"config", 'c', .text = &wanted.config},
		{"open", .parse = parse_open, .userdata = &wanted.open},
		{"nflog", .parse = parse_group, .userdata = &wanted.nflog_group},
		{"ulogd", .given = &wanted.ulogd},
		{"apply", .given = &wanted.apply},
		{"confirm-by-knock", .given = &wanted.by_knock},
		{"yes", .given = &wanted.agreed},
		{"install", .given = &wanted.install},
		{"remove", .given = &wanted.remove},
		{"confirm-within", .span_us = &wanted.confirm_us},
		{0},
	};

	if (!options_read(&verb_rules, argc, argv, options, &status))
		return status;
	if (parse_variant(argc, argv, &wanted) != STATUS_OK)
		return STATUS_USAGE;
	return rules_agree(&wanted) ? rules_execute(&wanted) : verb_misused(&verb_rules);
}

const struct verb verb_rules = {
	.name = "rules",
	.summary = "print, load, install or remove the rules for the configuration",
	.help = "Usage: knocktail rules ipset|iptables|ufw|nft|firewalld [-c FILE] [--open PORTS]\n"
		"                       [--nflog GROUP [--ulogd]]\n"
		"                       [--apply [--confirm-within SPAN] [--confirm-by-knock]]\n"
		"                       [--apply --yes] [--install]\n"
		"       knocktail rules ipset|iptables|ufw|nft|firewalld [-c FILE] --remove\n"
		"\n"
		"Prints the rules that log knocks and let in whoever has knocked, ready to load.\n"
		"\n"
		"  -c, --config FILE          the configuration\n"
		"                             (default: " KNOCKTAIL_CONF ")\n"
		"      --open PORTS           what is open to everybody: 80,443,60000-61000/udp\n"
		"      --nflog GROUP          log by NFLOG, where the kernel writes no LOG line\n"
		"      --ulogd                print what ulogd needs for that, and no rules\n"
		"      --apply                load them, and take them back unless you confirm\n"
		"      --confirm-within SPAN  how long that waits (default: 60s)\n"
		"      --confirm-by-knock     wait for a knock that opens a door, which confirms\n"
		"                             them\n"
		"      --yes                  keep them at once: nobody is asked\n"
		"      --install              have them loaded at each boot, before the network\n"
		"      --remove               take them out again, those that are loaded too\n"
		"  -h, --help                 print this\n"
		"\n"
		"Exit status: 0 printed, kept, installed or removed; 1 not, or taken back; 2 bad\n"
		"usage or configuration.\n",
	.run = rules_run,
};
