/* knocktail check: is the configuration right, and can its doors be opened? */
#include <errno.h>
#include <getopt.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#include "cli/verb.h"
#include "config/config.h"
#include "firewall/firewall.h"
#include "judge/load.h"

static void never_done(void *owner, int error, const char *problem, uint64_t now_us)
{
	(void)owner;
	(void)error;
	(void)problem;
	(void)now_us;
}

/* Asks the firewall for what the doors name. */
static enum status check_live(const struct config *config)
{
	struct firewall *firewall;
	enum status status = STATUS_OK;
	int r = firewall_new(never_done, &firewall);

	if (r < 0) {
		fprintf(stderr, "knocktail check: cannot reach the firewall: %s\n", strerror(-r));
		return STATUS_FAILED;
	}
	for (size_t i = 0; i < config->n_doors; i++) {
		if (firewall_check(firewall, &config->doors[i]) < 0) {
			fprintf(stderr, "door %s: %s\n", config->doors[i].name,
				firewall_problem(firewall));
			status = STATUS_FAILED;
		}
	}
	firewall_free(firewall);
	return status;
}

static enum status check(const char *path, bool live)
{
	struct config *config;
	enum status status;
	size_t n_warnings;
	int r = load_config(path, &config, &n_warnings);

	if (r < 0)
		return r == -EBADMSG ? STATUS_USAGE : STATUS_FAILED;
	status = live ? check_live(config) : STATUS_OK;
	if (status == STATUS_OK)
		printf("%s: ok (doors: %zu, warnings: %zu)\n", path, config->n_doors, n_warnings);
	config_free(config);
	return status;
}

static enum status run(int argc, char *argv[])
{
	enum { OPTION_LIVE = 256 };
	static const struct option options[] = {
		{"config", required_argument, NULL, 'c'},
		{"live", no_argument, NULL, OPTION_LIVE},
		{"help", no_argument, NULL, 'h'},
		{0},
	};
	const char *path = KNOCKTAIL_CONF;
	bool live = false;
	int c;

	while ((c = getopt_long(argc, argv, "c:h", options, NULL)) != -1) {
		switch (c) {
		case 'c':
			path = optarg;
			break;
		case OPTION_LIVE:
			live = true;
			break;
		case 'h':
			return verb_help(&verb_check);
		default:
			return verb_misused(&verb_check);
		}
	}
	if (verb_check_end(&verb_check, argc, argv) != STATUS_OK)
		return STATUS_USAGE;
	return check(path, live);
}

const struct verb verb_check = {
	.name = "check",
	.summary = "validate the configuration",
	.help = "Usage: knocktail check [-c FILE] [--live]\n"
		"\n"
		"Says what is wrong with the configuration, with file and line.\n"
		"\n"
		"  -c, --config FILE  the configuration (default: " KNOCKTAIL_CONF ")\n"
		"      --live         also ask the firewall whether what the doors name is there\n"
		"                     and can hold a timeout (needs CAP_NET_ADMIN)\n"
		"  -h, --help         print this\n"
		"\n"
		"Exit status: 0 it is right, 1 a door cannot be opened as things are, 2 it is "
		"wrong.\n",
	.run = run,
};
