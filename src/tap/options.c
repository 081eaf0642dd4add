#include "tap/options.h"

#include <errno.h>
#include <getopt.h>
#include <stdio.h>
#include <string.h>

#include "tap/complain.h"
#include "tap/destination.h"
#include "util/number.h"

enum {
	OPTION_DOOR = 256,
	OPTION_BOTH,
	OPTION_SPA,
	OPTION_SOURCE,
	OPTION_TIME,
	OPTION_WAIT,
	OPTION_TIMEOUT,
};

static const struct option long_options[] = {
	{"delay", required_argument, NULL, 'd'},
	{"udp", no_argument, NULL, 'u'},
	{"ipv4", no_argument, NULL, '4'},
	{"ipv6", no_argument, NULL, '6'},
	{"both", no_argument, NULL, OPTION_BOTH},
	{"key", required_argument, NULL, 'k'},
	{"door", required_argument, NULL, OPTION_DOOR},
	{"spa", no_argument, NULL, OPTION_SPA},
	{"source", required_argument, NULL, OPTION_SOURCE},
	{"time", required_argument, NULL, OPTION_TIME},
	{"wait", required_argument, NULL, OPTION_WAIT},
	{"timeout", required_argument, NULL, OPTION_TIMEOUT},
	{"verbose", no_argument, NULL, 'v'},
	{"help", no_argument, NULL, 'h'},
	{"version", no_argument, NULL, 'V'},
	{0},
};

/* The settings with an option of their own. */
static const struct {
	int option;
	enum setting setting;
	const char *name;
} setting_options[] = {
	{'d', SETTING_DELAY, "--delay"},
	{'k', SETTING_KEY, "--key"},
	{OPTION_DOOR, SETTING_DOOR, "--door"},
	{OPTION_SOURCE, SETTING_SOURCE, "--source"},
	{OPTION_TIME, SETTING_TIME, "--time"},
	{OPTION_WAIT, SETTING_WAIT, "--wait"},
	{OPTION_TIMEOUT, SETTING_TIMEOUT, "--timeout"},
};

enum { N_SETTING_OPTIONS = sizeof setting_options / sizeof setting_options[0] };

static const char help[] =
	"Usage: knocktap [OPTIONS] HOST PORT[/udp]...\n"
	"       knocktap [OPTIONS] --key FILE --door NAME [--spa] HOST\n"
	"       knocktap [OPTIONS] PROFILE\n"
	"       knocktap [OPTIONS] -W HOST:PORT [PROFILE [PORT[/udp]...]]\n"
	"\n"
	"Knocks at a host: with a sequence of ports, a token (eight ports for one use) or\n"
	"an encrypted request in one packet (SPA).\n"
	"\n"
	"  -k, --key FILE      the key for tokens and requests, or a page with it\n"
	"      --door NAME     the door that they are for\n"
	"      --spa           send a request instead of a token (needs CAP_NET_RAW)\n"
	"      --time SPAN     ask for the door to stay open so long (with --spa)\n"
	"      --source ADDR   bind it to our address as the server sees it; 'none': to\n"
	"                      none; 'auto' (default): to this machine's own, unless it\n"
	"                      is private\n"
	"  -u, --udp           ports without a protocol are UDP ports\n"
	"  -d, --delay MS      milliseconds between two packets (default: 50; tokens: 0)\n"
	"  -4, --ipv4          knock over IPv4\n"
	"  -6, --ipv6          knock over IPv6\n"
	"      --both          knock over both, where the host has them\n"
	"      --wait PORT     return when this TCP port accepts connections\n"
	"      --timeout SPAN  how long to try that, and -W (default: 10s)\n"
	"  -W HOST:PORT        connect there after the knock, and copy standard input and\n"
	"                      output\n"
	"  -F FILE             the profiles (default: ~/.config/knocktail/hosts)\n"
	"  -v, --verbose       say what is done\n"
	"  -h, --help          print this\n"
	"  -V, --version       print the version\n"
	"\n"
	"Exit status: 0 all was sent (and the port accepts), 1 it was not, 2 bad usage,\n"
	"profile or key. See knocktap(1).\n";

static enum options_result options_misused(void)
{
	fputs("Try 'knocktap --help'.\n", stderr);
	return OPTIONS_WRONG;
}

/* On the command line the last one counts. */
static int command_line_give(struct command_line *command_line, enum setting setting,
			     const char *value)
{
	uint32_t bit = UINT32_C(1) << setting;
	int r;

	command_line->settings.set &= ~bit;
	r = settings_set(&command_line->settings, setting, value);
	if (r < 0)
		return r;
	command_line->given |= bit;
	return 0;
}

/* knockd's -d is in milliseconds. */
static int give_delay(struct command_line *command_line, const char *value)
{
	uint64_t ms;
	char span[32];

	if (number_parse(value, strlen(value), &ms) < 0)
		return -EINVAL;
	snprintf(span, sizeof span, "%sms", value);
	return command_line_give(command_line, SETTING_DELAY, span);
}

static enum options_result take_setting(struct command_line *command_line, int option,
					const char *value)
{
	size_t i = 0;

	while (i < N_SETTING_OPTIONS && setting_options[i].option != option)
		i++;
	if (i == N_SETTING_OPTIONS)
		return options_misused();
	if (option == 'd') {
		if (give_delay(command_line, value) == 0)
			return OPTIONS_GO;
		complain("--delay %s: expected milliseconds, 60000 at most", value);
		return OPTIONS_WRONG;
	}
	if (command_line_give(command_line, setting_options[i].setting, value) == 0)
		return OPTIONS_GO;
	complain("%s %s: expected %s", setting_options[i].name, value,
		 setting_expected(setting_options[i].setting));
	return OPTIONS_WRONG;
}

static enum options_result take_batches(struct command_line *command_line, const char *value)
{
	if (endpoint_parse(value, command_line->relay_host, sizeof(command_line->relay_host),
			   &command_line->relay_port) < 0) {
		complain("-W %s: expected HOST:PORT", value);
		return OPTIONS_WRONG;
	}
	command_line->relays = true;
	return OPTIONS_GO;
}

static enum options_result take_option(struct command_line *command_line, int option, bool *udp)
{
	switch (option) {
	case 'u':
		*udp = true;
		return OPTIONS_GO;
	case '4':
	case '6':
		command_line_give(command_line, SETTING_ADDRESS_FAMILY,
				  option == '4' ? "inet" : "inet6");
		return OPTIONS_GO;
	case OPTION_BOTH:
		command_line_give(command_line, SETTING_ADDRESS_FAMILY, "both");
		return OPTIONS_GO;
	case OPTION_SPA:
		command_line_give(command_line, SETTING_KNOCK, knock_kind_name(KNOCK_SPA));
		return OPTIONS_GO;
	case 'F':
		command_line->profile = optarg;
		return OPTIONS_GO;
	case 'W':
		return take_batches(command_line, optarg);
	case 'v':
		command_line->verbose = true;
		return OPTIONS_GO;
	case 'h':
		fputs(help, stdout);
		return OPTIONS_DONE;
	case 'V':
		puts("knocktap " PACKAGE_VERSION);
		return OPTIONS_DONE;
	default:
		return take_setting(command_line, option, optarg);
	}
}

/* The ports, as one text with all protocols spelled out. */
static enum options_result take_ports(struct command_line *command_line, int n, char *ports[],
				      bool udp)
{
	char text[SEQUENCE_STEPS_MAX * sizeof "65535/udp,"] = "";
	size_t length = 0;

	if (n > SEQUENCE_STEPS_MAX) {
		complain("more than %d ports", SEQUENCE_STEPS_MAX);
		return OPTIONS_WRONG;
	}
	for (int i = 0; i < n; i++) {
		struct step step;

		if (step_parse(ports[i], &step) < 0) {
			complain("%s: expected PORT, PORT/udp or PORT:udp", ports[i]);
			return OPTIONS_WRONG;
		}
		if (udp && !strpbrk(ports[i], "/:"))
			step.protocol = IPPROTO_UDP;
		length += (size_t)snprintf(text + length, sizeof text - length, "%u/%s,", step.port,
					   protocol_word(step.protocol));
	}
	command_line_give(command_line, SETTING_SEQUENCE, text);
	if (command_line->given & UINT32_C(1) << SETTING_KNOCK) {
		complain("ports and --spa cannot be combined");
		return OPTIONS_WRONG;
	}
	command_line_give(command_line, SETTING_KNOCK, knock_kind_name(KNOCK_SEQUENCE));
	return OPTIONS_GO;
}

static enum options_result take_arguments(struct command_line *command_line, int n,
					  char *arguments[], bool udp)
{
	if (n > 0)
		command_line->name = arguments[0];
	else if (command_line->relays)
		command_line->name = command_line->relay_host;
	if (!command_line->name) {
		complain("no host");
		return options_misused();
	}
	if (strlen(command_line->name) > SETTINGS_HOST_MAX || !*command_line->name) {
		complain("expected the name of a host, not '%.300s'", command_line->name);
		return OPTIONS_WRONG;
	}
	if (n > 1)
		return take_ports(command_line, n - 1, arguments + 1, udp);
	if (udp) {
		complain("--udp without ports does nothing");
		return OPTIONS_WRONG;
	}
	return OPTIONS_GO;
}

enum options_result options_parse(int argc, char *argv[], struct command_line *ret)
{
	struct command_line command_line = {0};
	enum options_result result = OPTIONS_GO;
	bool udp = false;
	int option;

	settings_init(&command_line.settings);
	while (result == OPTIONS_GO &&
	       (option = getopt_long(argc, argv, "d:u46k:W:F:vhV", long_options, NULL)) != -1)
		result = take_option(&command_line, option, &udp);
	if (result == OPTIONS_GO)
		result = take_arguments(&command_line, argc - optind, argv + optind, udp);
	/* The name may be our own copy of -W's. */
	if (result == OPTIONS_GO) {
		bool own = command_line.name == command_line.relay_host;

		*ret = command_line;
		if (own)
			ret->name = ret->relay_host;
	}
	return result;
}

/* What an option is for, if that is not what is done here; or NULL. */
static const char *missed_use(const struct command_line *command_line, enum setting setting)
{
	const struct settings *settings = &command_line->settings;

	switch (setting) {
	case SETTING_KEY:
	case SETTING_DOOR:
	case SETTING_SOURCE:
		return settings->knock != KNOCK_SEQUENCE ? NULL : "knocks without ports";
	case SETTING_TIME:
		return settings->knock == KNOCK_SPA ? NULL : "--spa";
	case SETTING_DELAY:
		return settings->knock != KNOCK_SPA ? NULL : "several packets";
	case SETTING_WAIT:
		return !command_line->relays ? NULL : "use without -W";
	case SETTING_TIMEOUT:
		return command_line->relays || settings_has(settings, SETTING_WAIT)
			       ? NULL
			       : "--wait and -W";
	default:
		return NULL;
	}
}

bool options_have_use(const struct command_line *command_line)
{
	for (size_t i = 0; i < N_SETTING_OPTIONS; i++) {
		enum setting setting = setting_options[i].setting;
		const char *use = missed_use(command_line, setting);

		if (command_line->given & UINT32_C(1) << setting && use) {
			complain("%s does nothing here: it is for %s", setting_options[i].name,
				 use);
			return false;
		}
	}
	return true;
}
