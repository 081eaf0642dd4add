/* knocktap: knocks at a host, and goes in.
 *
 * MUST: what is sent does not depend on what comes back, but that it is no longer sent once the
 * port accepts. No key, token or sequence is printed. */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <sodium.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "core/secret.h"
#include "tap/complain.h"
#include "tap/connect.h"
#include "tap/destination.h"
#include "tap/hosts.h"
#include "tap/knock.h"
#include "tap/options.h"
#include "tap/relay.h"
#include "tap/send.h"
#include "util/cleanup.h"
#include "util/clock.h"

enum exit_status { STATUS_OK = 0, STATUS_FAILED = 1, STATUS_USAGE = 2 };

DEFINE_CLEANUP(struct secret *, secrets_free)

/* Fills in what follows from the rest, and tells what is missing. */
static enum exit_status command_line_complete(struct command_line *command_line)
{
	struct settings *settings = &command_line->settings;
	bool key_given = command_line->given & UINT32_C(1) << SETTING_KEY;

	if (hosts_apply(command_line->profile, command_line->name, settings) < 0)
		return STATUS_USAGE;
	if (!settings_has(settings, SETTING_HOST_NAME))
		settings_set(settings, SETTING_HOST_NAME, command_line->name);
	if (!settings_has(settings, SETTING_KNOCK))
		settings->knock =
			settings_has(settings, SETTING_KEY) ? KNOCK_TOKEN : KNOCK_SEQUENCE;
	/* Who names a key does not want a sequence to be sent in its place. */
	if (key_given && !(command_line->given & UINT32_C(1) << SETTING_KNOCK) &&
	    settings->knock == KNOCK_SEQUENCE)
		settings->knock = KNOCK_TOKEN;

	if (settings->knock == KNOCK_SEQUENCE && !settings_has(settings, SETTING_SEQUENCE))
		complain("%s: no ports to knock at, on the command line or in a profile",
			 command_line->name);
	else if (settings->knock != KNOCK_SEQUENCE && !settings_has(settings, SETTING_KEY))
		complain("%s: no key (--key FILE)", command_line->name);
	else if (settings->knock != KNOCK_SEQUENCE && !settings_has(settings, SETTING_DOOR))
		complain("%s: no door (--door NAME)", command_line->name);
	else
		return options_have_use(command_line) ? STATUS_OK : STATUS_USAGE;
	return STATUS_USAGE;
}

static enum exit_status resolve_host(const char *host, int family, struct destinations *ret)
{
	const char *problem = destinations_resolve(host, family, ret);

	if (!problem)
		return STATUS_OK;
	complain("%s: %s", host, problem);
	return STATUS_FAILED;
}

/* Where to knock and where to connect: the same, unless -W names another host than the profile. */
static enum exit_status resolve_all(const struct command_line *command_line,
				    struct destinations *ret_knock,
				    struct destinations *ret_connect)
{
	const struct settings *settings = &command_line->settings;
	const char *host = command_line->relays && command_line->name != command_line->relay_host
				   ? command_line->relay_host
				   : settings->host;
	enum exit_status status = resolve_host(host, settings->family, ret_connect);

	if (status != STATUS_OK)
		return status;
	*ret_knock = *ret_connect;
	if (strcmp(host, settings->host) == 0)
		return STATUS_OK;
	return resolve_host(settings->host,
			    settings->family == SETTINGS_BOTH ? SETTINGS_BOTH
							      : destinations_family(ret_connect),
			    ret_knock);
}

/* A raw socket for each family that is knocked over. */
static enum exit_status open_raw(const struct destinations *to, struct knock_means *means)
{
	int r = 0;

	for (size_t i = 0; r == 0 && i < to->n; i++) {
		const struct address address = destination_address(&to->items[i]);
		int *fd = &means->raw_fds[address_family(&address)];

		if (*fd < 0)
			r = send_syn_open(to->items[i].socket_address.ss_family, fd);
	}
	if (r == 0)
		return STATUS_OK;
	if (r == -EPERM || r == -EACCES)
		complain("a request in a SYN (SPA) needs a raw socket, and that needs root or "
			 "CAP_NET_RAW"
			 " (setcap cap_net_raw+ep knocktap); a token needs neither");
	else
		complain("no raw socket: %s", strerror(-r));
	return STATUS_FAILED;
}

/* The key and the raw socket, as far as this knock needs them. */
static enum exit_status prepare_means(const struct settings *settings,
				      const struct destinations *to, struct knock_means *means)
{
	char text[KNOCK_FAULT_SIZE];
	const char *problem;

	if (settings->knock == KNOCK_SEQUENCE)
		return STATUS_OK;
	if (secrets_new(N_KNOCK_SECRETS, &means->secrets) < 0) {
		complain("%s", strerror(ENOMEM));
		return STATUS_FAILED;
	}
	problem = knock_read_key(settings->key, (uint64_t)time(NULL), means->secrets, text);
	if (problem) {
		complain("%s: %s", settings->key, problem);
		return STATUS_USAGE;
	}
	return settings->knock == KNOCK_SPA ? open_raw(to, means) : STATUS_OK;
}

/* At all of them; one that cannot be reached from here does not keep the others from it. What is
 * sent again is not spoken of. */
static enum exit_status knock_all(const struct command_line *command_line,
				  struct knock_means *means, const struct destinations *to,
				  bool again)
{
	static const char *const kinds[] = {[KNOCK_SEQUENCE] = "a sequence",
					    [KNOCK_TOKEN] = "a token",
					    [KNOCK_SPA] = "a request"};
	enum exit_status status = STATUS_FAILED;

	for (size_t i = 0; i < to->n; i++) {
		struct address address = destination_address(&to->items[i]);
		char text[ADDRESS_TEXT_MAX];
		int r = knock_send(&command_line->settings, means, &to->items[i]);

		address_format(&address, text);
		if (r < 0 && !again)
			complain("cannot knock at %s: %s", text, strerror(-r));
		if (r == 0)
			status = STATUS_OK;
		if (r == 0 && !again && command_line->verbose)
			complain("sent %s to %s", kinds[command_line->settings.knock], text);
	}
	return status;
}

/* A connection's SYN that came before the door was open is lost, and so may any packet of the knock
 * be. So both are sent again, with half as much patience again as before: a door that opens at once
 * is not waited for, and a long way gets the time that it needs. */
static enum exit_status knock_until_open(const struct command_line *command_line,
					 struct knock_means *means,
					 const struct destinations *knock_at,
					 const struct destinations *connect_to, int *ret_fd)
{
	static const uint64_t first_us = 50000, longest_us = 1000000, lossy_us = 8000000,
			      longest_at_last_us = 3200000;
	const struct settings *settings = &command_line->settings;
	uint16_t port = command_line->relays ? command_line->relay_port : settings->wait_port;
	uint64_t began = clock_us(CLOCK_MONOTONIC), patience = first_us;
	uint64_t deadline = began + settings->delay_us + settings->timeout_us;
	int r;

	for (;;) {
		uint64_t longest = clock_us(CLOCK_MONOTONIC) < began + lossy_us
					   ? longest_us
					   : longest_at_last_us;

		/* The connection's SYN must not overtake the last of the knock. */
		send_pause(settings->delay_us);
		r = connect_try(connect_to, port, patience, deadline, ret_fd);
		if (r == 0 || clock_us(CLOCK_MONOTONIC) >= deadline)
			break;
		patience = patience * 3 / 2 < longest ? patience * 3 / 2 : longest;
		knock_renew(means, (uint64_t)time(NULL));
		knock_all(command_line, means, knock_at, true);
	}
	if (r < 0)
		complain("%s: cannot connect to port %u: %s",
			 command_line->relays ? command_line->relay_host : settings->host, port,
			 strerror(r == -EAGAIN ? ETIMEDOUT : -r));
	else if (command_line->verbose)
		complain("port %u accepts", port);
	return r < 0 ? STATUS_FAILED : STATUS_OK;
}

static bool is_waited_for(const struct command_line *command_line)
{
	return command_line->relays || settings_has(&command_line->settings, SETTING_WAIT);
}

/* Key and raw socket are gone when the knock is over. *ret_fd: the connection, if one was waited
 * for. */
static enum exit_status prepare_and_knock(const struct command_line *command_line,
					  const struct destinations *knock_at,
					  const struct destinations *connect_to, int *ret_fd)
{
	/* Between the two copies of a token, so that one gap in the way does not take both. */
	static const uint64_t apart_us = 30000;
	CLEANUP(cleanup_secrets_free) struct secret *secrets = NULL;
	CLEANUP(cleanup_close) int raw_4 = -1;
	CLEANUP(cleanup_close) int raw_6 = -1;
	struct knock_means means = {.raw_fds = {-1, -1}};
	enum exit_status status = prepare_means(&command_line->settings, knock_at, &means);

	secrets = means.secrets;
	raw_4 = means.raw_fds[FAMILY_IPV4];
	raw_6 = means.raw_fds[FAMILY_IPV6];
	knock_renew(&means, (uint64_t)time(NULL));
	if (status == STATUS_OK)
		status = knock_all(command_line, &means, knock_at, false);
	if (status != STATUS_OK)
		return status;
	if (is_waited_for(command_line))
		return knock_until_open(command_line, &means, knock_at, connect_to, ret_fd);
	if (command_line->settings.knock == KNOCK_TOKEN) {
		send_pause(apart_us);
		knock_all(command_line, &means, knock_at, true);
	}
	return STATUS_OK;
}

/* What -W does with the connection. */
static enum exit_status relay_all(int fd)
{
	int r = relay_run(fd, STDIN_FILENO, STDOUT_FILENO);

	if (r < 0)
		complain("connection lost: %s", strerror(-r));
	return r < 0 ? STATUS_FAILED : STATUS_OK;
}

static enum exit_status run_command_line(struct command_line *command_line)
{
	struct destinations knock_at, connect_to;
	CLEANUP(cleanup_close) int fd = -1;
	enum exit_status status = command_line_complete(command_line);

	if (status == STATUS_OK)
		status = resolve_all(command_line, &knock_at, &connect_to);
	if (status == STATUS_OK)
		status = prepare_and_knock(command_line, &knock_at, &connect_to, &fd);
	if (status == STATUS_OK && command_line->relays)
		status = relay_all(fd);
	return status;
}

/* A socket or a key must not become the standard input, output or error because whoever called has
 * closed that. */
static int fill_standard_files(void)
{
	int fd;

	do {
		fd = open("/dev/null", O_RDWR);
		if (fd < 0)
			return -errno;
	} while (fd <= STDERR_FILENO);
	close(fd);
	return 0;
}

int main(int argc, char *argv[])
{
	struct command_line command_line;
	int r = fill_standard_files();

	if (r < 0) {
		complain("/dev/null: %s", strerror(-r));
		return STATUS_FAILED;
	}
	/* It reads files that its user names. */
	if (geteuid() != getuid() || getegid() != getgid()) {
		complain("it must not be set-user-ID: use setcap cap_net_raw+ep");
		return STATUS_USAGE;
	}
	signal(SIGPIPE, SIG_IGN);
	switch (options_parse(argc, argv, &command_line)) {
	case OPTIONS_WRONG:
		return STATUS_USAGE;
	case OPTIONS_DONE:
		return fflush(stdout) == 0 ? STATUS_OK : STATUS_FAILED;
	case OPTIONS_GO:
		break;
	}
	if (sodium_init() < 0) {
		complain("cannot initialise libsodium");
		return STATUS_FAILED;
	}
	return run_command_line(&command_line);
}
