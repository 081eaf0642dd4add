/* knocktaild: its command line and its exit status. */
#include <errno.h>
#include <getopt.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <syslog.h>

#include "daemon/kernel/doorbell.h"
#include "daemon/manager.h"
#include "daemon/sweep.h"
#include "util/log.h"

enum { STATUS_STOPPED = 0, STATUS_FAILED = 1, STATUS_USAGE = 2 };

static const char help[] =
	"Usage: knocktaild [-c FILE]\n"
	"\n"
	"Follows the firewall's records in the journal and opens a door after the right\n"
	"knock. Stays in the foreground; SIGHUP reloads the configuration, SIGTERM ends.\n"
	"\n"
	"  -c, --config FILE   the configuration (default: " KNOCKTAIL_CONF ")\n"
	"      --sweep         close what a dead daemon has left open, and exit\n"
	"      --pass-kmsg     as root, before the daemon: open /dev/kmsg for it; exit\n"
	"  -h, --help          print this\n"
	"  -V, --version       print the version\n"
	"\n"
	"RUNTIME_DIRECTORY (" RUNSTATEDIR "/knocktail) and STATE_DIRECTORY (" LOCALSTATEDIR
	"/lib/knocktail)\n"
	"are where it keeps what a successor needs.\n"
	"See knocktaild(8) and knocktail.conf(5).\n";

/* The first of the directories that systemd names, or the usual place. The text is the
 * environment's. */
static const char *directory_from(const char *variable, const char *usual)
{
	char *directory = getenv(variable);

	if (!directory || !*directory)
		return usual;
	directory[strcspn(directory, ":")] = '\0';
	return directory;
}

static int run_daemon(const struct manager_options *options)
{
	struct manager *manager;
	int r = manager_new(options, &manager);

	if (r == -EBADMSG)
		return STATUS_USAGE;
	if (r == -ENOMEM)
		log_line(LOG_ERR, "there is not enough memory to start");
	if (r < 0)
		return STATUS_FAILED;
	r = manager_run(manager);
	manager_free(manager);
	return r < 0 ? STATUS_FAILED : STATUS_STOPPED;
}

static int run_pass_kmsg(void)
{
	int r = doorbell_pass_kmsg();

	if (r >= 0)
		return STATUS_STOPPED;
	log_line(LOG_NOTICE, "cannot pass /dev/kmsg to the daemon: %s", strerror(-r));
	return STATUS_FAILED;
}

int main(int argc, char *argv[])
{
	enum { OPTION_SWEEP = 256, OPTION_PASS_KMSG };
	static const struct option long_options[] = {
		{"config", required_argument, NULL, 'c'},
		{"sweep", no_argument, NULL, OPTION_SWEEP},
		{"pass-kmsg", no_argument, NULL, OPTION_PASS_KMSG},
		{"help", no_argument, NULL, 'h'},
		{"version", no_argument, NULL, 'V'},
		{0},
	};
	struct manager_options options = {
		.config_path = KNOCKTAIL_CONF,
		.runtime_directory = directory_from("RUNTIME_DIRECTORY", RUNSTATEDIR "/knocktail"),
		.state_directory =
			directory_from("STATE_DIRECTORY", LOCALSTATEDIR "/lib/knocktail"),
	};
	bool sweep = false, pass_kmsg = false;
	int c;

	while ((c = getopt_long(argc, argv, "c:hV", long_options, NULL)) != -1) {
		switch (c) {
		case 'c':
			options.config_path = optarg;
			break;
		case OPTION_SWEEP:
			sweep = true;
			break;
		case OPTION_PASS_KMSG:
			pass_kmsg = true;
			break;
		case 'h':
			fputs(help, stdout);
			return STATUS_STOPPED;
		case 'V':
			puts("knocktaild " PACKAGE_VERSION "\nbuilt with " BUILT_WITH);
			return STATUS_STOPPED;
		default:
			fputs("Try 'knocktaild --help'.\n", stderr);
			return STATUS_USAGE;
		}
	}
	if (optind < argc) {
		fprintf(stderr, "knocktaild: unexpected argument '%s'\nTry 'knocktaild --help'.\n",
			argv[optind]);
		return STATUS_USAGE;
	}
	if (pass_kmsg)
		return run_pass_kmsg();
	if (sweep)
		return sweep_run(options.runtime_directory) < 0 ? STATUS_FAILED : STATUS_STOPPED;
	return run_daemon(&options);
}
