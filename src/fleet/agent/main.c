/* knocktail-fleetd: its command line and its exit status. */
#include <errno.h>
#include <getopt.h>
#include <signal.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <systemd/sd-daemon.h>
#include <systemd/sd-event.h>

#include "fleet/agent/agent.h"
#include "fleet/config.h"
#include "fleet/key.h"
#include "fleet/seal.h"
#include "util/log.h"

enum { STATUS_STOPPED = 0, STATUS_FAILED = 1, STATUS_USAGE = 2 };

static const char help[] =
	"Usage: knocktail-fleetd [-c FILE]\n"
	"\n"
	"Has the doors that open here open on the other hosts of the fleet, too, and the\n"
	"other way round. Stays in the foreground; SIGTERM ends.\n"
	"\n"
	"  -c, --config FILE  the configuration (default:\n"
	"                     " KNOCKTAIL_FLEET_CONF ")\n"
	"  -h, --help         print this\n"
	"  -V, --version      print the version\n"
	"\n"
	"RUNTIME_DIRECTORY (" RUNSTATEDIR "/knocktail-fleet) and STATE_DIRECTORY\n"
	"(" LOCALSTATEDIR "/lib/knocktail-fleet) are where it keeps what it knows.\n"
	"See knocktail-fleetd(8) and knocktail-fleet.conf(5).\n";

static const char *directory_from(const char *variable, const char *usual)
{
	const char *directory = getenv(variable);

	return directory && *directory ? directory : usual;
}

static void on_complaint(void *userdata, unsigned line, const char *text)
{
	const char *const *path = userdata;

	if (line > 0)
		log_line(LOG_ERR, "%s:%u: %s", *path, line, text);
	else
		log_line(LOG_ERR, "%s: %s", *path, text);
}

static int seal_read(const struct fleet_config *config, struct fleet_seal **ret)
{
	struct secret key;
	const char *fault;
	int r = fleet_key_read(config->key, &key, &fault);

	if (r < 0) {
		log_line(LOG_ERR, "%s: %s", config->key, fault);
		return r;
	}
	r = fleet_seal_new(&key, config->name, ret);
	secret_wipe(&key);
	if (r < 0)
		log_line(LOG_ERR, "%s: %s", config->key, strerror(-r));
	return r;
}

static int event_set_up(sd_event *event)
{
	sigset_t signals;
	int r;

	sigemptyset(&signals);
	sigaddset(&signals, SIGTERM);
	sigaddset(&signals, SIGINT);
	if (sigprocmask(SIG_BLOCK, &signals, NULL) < 0)
		return -errno;
	/* Without a handler the loop ends. */
	r = sd_event_add_signal(event, NULL, SIGTERM, NULL, NULL);
	if (r >= 0)
		r = sd_event_add_signal(event, NULL, SIGINT, NULL, NULL);
	if (r >= 0)
		r = sd_event_set_watchdog(event, true);
	return r < 0 ? r : 0;
}

static int run(const struct agent_options *options)
{
	struct agent *agent = NULL;
	sd_event *event = NULL;
	int r = sd_event_new(&event);

	if (r >= 0)
		r = event_set_up(event);
	if (r >= 0)
		r = agent_new(event, options, &agent);
	if (r >= 0) {
		sd_notify(false, "READY=1");
		r = sd_event_loop(event);
		sd_notify(false, "STOPPING=1");
	}
	if (r < 0)
		log_line(LOG_ERR, "cannot go on: %s", strerror(-r));
	agent_free(agent);
	sd_event_unref(event);
	return r < 0 ? STATUS_FAILED : STATUS_STOPPED;
}

static int run_configured(const char *path)
{
	struct fleet_config *config = NULL;
	struct fleet_seal *seal = NULL;
	int status = STATUS_USAGE;
	int r = fleet_config_load(path, on_complaint, &path, &config);

	if (r < 0 && r != -EBADMSG)
		log_line(LOG_ERR, "%s: %s", path, r == -EBADF ? "it is not a file" : strerror(-r));
	if (r == 0)
		r = seal_read(config, &seal);
	if (r == -ENOMEM)
		status = STATUS_FAILED;
	else if (r == 0)
		status = run(&(struct agent_options){
			.config = config,
			.seal = seal,
			.state_directory = directory_from("STATE_DIRECTORY",
							  LOCALSTATEDIR "/lib/knocktail-fleet"),
			.runtime_directory =
				directory_from("RUNTIME_DIRECTORY", RUNSTATEDIR "/knocktail-fleet"),
		});
	fleet_seal_free(seal);
	fleet_config_free(config);
	return status;
}

int main(int argc, char *argv[])
{
	static const struct option long_options[] = {
		{"config", required_argument, NULL, 'c'},
		{"help", no_argument, NULL, 'h'},
		{"version", no_argument, NULL, 'V'},
		{0},
	};
	const char *path = KNOCKTAIL_FLEET_CONF;
	int c;

	while ((c = getopt_long(argc, argv, "c:hV", long_options, NULL)) != -1) {
		switch (c) {
		case 'c':
			path = optarg;
			break;
		case 'h':
			fputs(help, stdout);
			return STATUS_STOPPED;
		case 'V':
			puts("knocktail-fleetd " PACKAGE_VERSION "\nbuilt with " BUILT_WITH);
			return STATUS_STOPPED;
		default:
			fputs("Try 'knocktail-fleetd --help'.\n", stderr);
			return STATUS_USAGE;
		}
	}
	if (optind < argc) {
		fprintf(stderr, "knocktail-fleetd: unexpected argument '%s'\n", argv[optind]);
		return STATUS_USAGE;
	}
	if (sodium_init() < 0) {
		fputs("knocktail-fleetd: libsodium cannot be used\n", stderr);
		return STATUS_FAILED;
	}
	return run_configured(path);
}
