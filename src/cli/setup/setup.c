/* knocktail setup: guards a port of a machine that has no door yet, by what the other verbs do.
 *
 * MUST: nothing is changed that has not been shown and agreed to. */
#include <errno.h>
#include <limits.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "cli/common/options.h"
#include "cli/rules/plan.h"
#include "cli/setup/answer.h"
#include "cli/setup/command.h"
#include "cli/setup/machine.h"
#include "cli/verb.h"
#include "config/config.h"
#include "core/door.h"
#include "match/checked-config.h"
#include "util/programs.h"
#include "util/replace.h"

#define DOOR_FILE KNOCKTAIL_CONF_D "/setup.conf"

enum { DOOR_TEXT_MAX = 1024, STEPS_MAX = 5 };

struct setup {
	const char *guard, *firewall, *open, *user; /* as given; NULL: to be asked for */
	bool by_sequence, yes;

	char guarded[ANSWER_MAX], kind[ANSWER_MAX], opened[ANSWER_MAX], who[ANSWER_MAX];
	char sequence[SETUP_SEQUENCE_MAX];
	const char *door_name;
	char door[DOOR_TEXT_MAX];
	size_t n_steps;
	const char *steps[STEPS_MAX][COMMAND_WORDS_MAX];
};

/* Answers */

static const char *guard_fault(const char *answer)
{
	struct port_range fault[2];
	struct port_set ports;

	if (port_set_parse(answer, &ports, fault) < 0 || ports.is_all)
		return "These are ports as in 22, 5000-5010/udp, each once";
	return NULL;
}

static const char *open_fault(const char *answer)
{
	return strcmp(answer, "none") == 0 ? NULL : guard_fault(answer);
}

static const char *kind_fault(const char *answer)
{
	for (size_t i = 0; variant_names[i]; i++)
		if (i != VARIANT_IPSET && strcmp(variant_names[i], answer) == 0)
			return NULL;
	return "It is one of nft, iptables, ufw and firewalld";
}

static const char *user_fault(const char *answer)
{
	return user_is_name(answer) ? NULL
				    : "A name has letters, digits, '.', '_' and '-', and no blanks";
}

/* Takes what was given, or what is suggested, or asks. */
static enum status setup_answer(const struct setup *setup, const char *given, const char *question,
				const char *suggested, answer_fault fault,
				char ret_answer[static ANSWER_MAX])
{
	const char *wrong;

	if (!given && !setup->yes) {
		if (answer_ask(question, suggested, fault, ret_answer))
			return STATUS_OK;
		fputs("knocktail setup: no answer: nothing was changed\n", stderr);
		return STATUS_FAILED;
	}
	given = given ? given : suggested;
	wrong = strlen(given) < ANSWER_MAX ? fault(given) : "it is too long";
	if (wrong) {
		fprintf(stderr, "knocktail setup: '%s': %s\n", given, wrong);
		return STATUS_USAGE;
	}
	snprintf(ret_answer, ANSWER_MAX, "%s", given);
	return STATUS_OK;
}

/* ufw and firewalld know themselves what is open to everybody. */
static bool setup_says_what_is_open(const struct setup *setup)
{
	return strcmp(setup->kind, "nft") == 0 || strcmp(setup->kind, "iptables") == 0;
}

static enum status setup_ask(struct setup *setup)
{
	const char *user = getenv("SUDO_USER");
	char open[ANSWER_MAX];
	struct port_range fault[2];
	struct port_set guarded;
	enum status status =
		setup_answer(setup, setup->guard, "Which ports are to open for a knock only?",
			     "22/tcp", guard_fault, setup->guarded);

	if (status == STATUS_OK)
		status = setup_answer(setup, setup->firewall,
				      "Which firewall: nft, iptables, ufw or firewalld?",
				      machine_firewall(), kind_fault, setup->kind);
	if (status == STATUS_OK && setup_says_what_is_open(setup)) {
		port_set_parse(setup->guarded, &guarded, fault);
		machine_open_ports(&guarded, open);
		status = setup_answer(setup, setup->open, "Which ports are open to everybody?",
				      open, open_fault, setup->opened);
	} else if (status == STATUS_OK && setup->open) {
		fprintf(stderr, "knocktail setup: --open: %s says itself what is open\n",
			setup->kind);
		status = STATUS_USAGE;
	}
	if (status == STATUS_OK && !setup->by_sequence)
		status = setup_answer(setup, setup->user, "Who knocks? A key gets this name:",
				      user && user_is_name(user) ? user : "admin", user_fault,
				      setup->who);
	return status;
}

/* Steps */

static void setup_write_door(struct setup *setup)
{
	bool is_nft = strcmp(setup->kind, "nft") == 0 || strcmp(setup->kind, "firewalld") == 0;
	const char *table = is_nft ? "inet knock " : "";
	char knock[ANSWER_MAX + 64];

	setup->door_name =
		strcmp(setup->guarded, "22/tcp") == 0 || strcmp(setup->guarded, "22") == 0
			? "ssh"
			: "guarded";
	if (setup->by_sequence) {
		machine_sequence(setup->sequence);
		snprintf(knock, sizeof knock, "sequence = %s\n", setup->sequence);
	} else {
		snprintf(knock, sizeof knock, "auth = token\nusers = %s\n", setup->who);
	}
	snprintf(setup->door, sizeof setup->door,
		 "# Written by knocktail setup. See knocktail.conf(5).\n"
		 "[door %s]\n"
		 "%s"
		 "timeout = 30s\n"
		 "backend = %s\n"
		 "set = %sknock_%s\n"
		 "set_6 = %sknock_%s6\n"
		 "ports = %s\n",
		 setup->door_name, knock, is_nft ? "nft" : "ipset", table, setup->door_name, table,
		 setup->door_name, setup->guarded);
}

/* Words up to a NULL; the empty ones are left out. */
static void setup_add(struct setup *setup, const char *const words[])
{
	const char **argv = setup->steps[setup->n_steps++];
	size_t n = 0;

	for (size_t i = 0; words[i]; i++)
		if (words[i][0])
			argv[n++] = words[i];
}

#define ADD(...) setup_add(setup, (const char *const[]){__VA_ARGS__, NULL})

static bool setup_opens_others(const struct setup *setup)
{
	return setup_says_what_is_open(setup) && strcmp(setup->opened, "none") != 0;
}

static void setup_plan(struct setup *setup)
{
	bool opens = setup_opens_others(setup);

	setup_write_door(setup);
	if (!setup->by_sequence)
		ADD(command_knocktail, "keygen", isatty(STDOUT_FILENO) ? "--qr" : "", setup->who);
	ADD(command_knocktail, "check");
	ADD(PROGRAM_SYSTEMCTL, "enable", "--now", "knocktaild");
	ADD(command_knocktail, "rules", setup->kind, opens ? "--open" : "",
	    opens ? setup->opened : "", "--apply", "--install",
	    setup->yes ? "--yes" : "--confirm-by-knock", setup->yes ? "" : "--confirm-within",
	    setup->yes ? "" : "10min");
	ADD(command_knocktail, "doctor");
}

static void setup_show(const struct setup *setup)
{
	printf("\nThis file is written, %s:\n\n", DOOR_FILE);
	for (const char *line = setup->door; *line; line += strcspn(line, "\n") + 1)
		printf("  %.*s\n", (int)strcspn(line, "\n"), line);
	puts("\nand these commands are run:\n");
	for (size_t i = 0; i < setup->n_steps; i++)
		command_print(setup->steps[i]);
	putchar('\n');
}

static const char *agreement_fault(const char *answer)
{
	return strcmp(answer, "yes") == 0 || strcmp(answer, "no") == 0 ? NULL : "It is yes or no";
}

static bool setup_agreed(const struct setup *setup)
{
	char answer[ANSWER_MAX];

	return setup->yes ||
	       (answer_ask("Go on?", "no", agreement_fault, answer) && strcmp(answer, "yes") == 0);
}

/* With the owner and the mode of the main file, which holds no less. */
static enum status setup_write_file(const struct setup *setup)
{
	struct stat status;
	int r = stat(KNOCKTAIL_CONF, &status) < 0 ? -errno : 0;

	if (r == 0 && mkdir(KNOCKTAIL_CONF_D, 0755) < 0 && errno != EEXIST)
		r = -errno;
	if (r == 0)
		r = file_replace_path(DOOR_FILE, setup->door, strlen(setup->door),
				      status.st_mode & 0777, true);
	if (r == 0 && chown(DOOR_FILE, status.st_uid, status.st_gid) < 0)
		r = -errno;
	if (r < 0)
		fprintf(stderr, "knocktail setup: cannot write %s: %s\n", DOOR_FILE, strerror(-r));
	return r < 0 ? STATUS_FAILED : STATUS_OK;
}

static void setup_say_knock(const struct setup *setup)
{
	puts("\nFrom another machine, the knock is:\n");
	if (setup->by_sequence)
		printf("  knocktap HOST %s\n\n", setup->sequence);
	else
		printf("  knocktap --key %s.key --door %s HOST\n\n", setup->who, setup->door_name);
}

static enum status setup_stop(const struct setup *setup, size_t at, int r)
{
	fflush(stdout);
	if (r < 0)
		fprintf(stderr, "knocktail setup: %s: %s\n", setup->steps[at][0], strerror(-r));
	fputs("knocktail setup: stopped. When the cause is mended, go on with these; to take back "
	      "what was\ndone, remove " DOOR_FILE ":\n\n",
	      stderr);
	for (; at < setup->n_steps; at++)
		command_print(setup->steps[at]);
	return STATUS_FAILED;
}

/* A key that the user has is as good as a new one. */
static bool setup_has_key(const struct setup *setup)
{
	char path[PATH_MAX];

	snprintf(path, sizeof path, "%s/%s.key", KNOCKTAIL_KEYS, setup->who);
	return access(path, F_OK) == 0;
}

static enum status setup_execute(const struct setup *setup)
{
	if (setup_write_file(setup) != STATUS_OK)
		return STATUS_FAILED;
	for (size_t i = 0; i < setup->n_steps; i++) {
		const char *verb = setup->steps[i][1];
		bool loads = strcmp(verb, "rules") == 0;
		int r;

		if (strcmp(verb, "keygen") == 0 && setup_has_key(setup)) {
			printf("%s has a key already: %s/%s.key\n", setup->who, KNOCKTAIL_KEYS,
			       setup->who);
			continue;
		}
		if (loads)
			setup_say_knock(setup);
		command_print(setup->steps[i]);
		r = command_run(setup->steps[i]);
		if (r != 0)
			return setup_stop(setup, i, r);
	}
	return STATUS_OK;
}

/* What speaks against it; NULL: nothing. */
static const char *setup_hindrance(void)
{
	struct complaints complaints;
	struct config *config = NULL;
	int r;

	if (geteuid() != 0)
		return "this needs root (sudo)";
	if (access(DOOR_FILE, F_OK) == 0)
		return DOOR_FILE " is there: it has been run before (knocktail doctor says what is "
				 "missing)";
	if (access(KNOCKTAIL_CONF, R_OK) < 0)
		return "cannot read " KNOCKTAIL_CONF ": is knocktail installed?";
	r = checked_config_load(KNOCKTAIL_CONF, &config, &complaints);
	complaints_done(&complaints);
	config_free(config);
	return r == 0 ? KNOCKTAIL_CONF " has doors: this is for a machine that has none" : NULL;
}

static enum status setup_run(int argc, char *argv[])
{
	struct setup setup = {0};
	const struct verb_option options[] = {
		{"guard", .text = &setup.guard},
		{"firewall", .text = &setup.firewall},
		{"open", .text = &setup.open},
		{"user", .text = &setup.user},
		{"sequence", .given = &setup.by_sequence},
		{"yes", .given = &setup.yes},
		{0},
	};
	const char *hindrance;
	enum status status;

	if (!options_read(&verb_setup, argc, argv, options, &status))
		return status;
	if (verb_check_end(&verb_setup, argc, argv) != STATUS_OK)
		return STATUS_USAGE;
	if (setup.by_sequence && setup.user) {
		fputs("knocktail setup: --user has a key, and a sequence has none\n", stderr);
		return verb_misused(&verb_setup);
	}
	hindrance = setup_hindrance();
	if (hindrance) {
		fprintf(stderr, "knocktail setup: %s\n", hindrance);
		return STATUS_FAILED;
	}
	status = setup_ask(&setup);
	if (status != STATUS_OK)
		return status;
	setup_plan(&setup);
	setup_show(&setup);
	if (!setup_agreed(&setup)) {
		puts("Nothing was changed.");
		return STATUS_FAILED;
	}
	return setup_execute(&setup);
}

const struct verb verb_setup = {
	.name = "setup",
	.summary = "guard a port: asks, shows what it will do, and does it",
	.help = "Usage: knocktail setup [--guard PORTS] [--firewall KIND] [--open PORTS]\n"
		"                       [--user NAME | --sequence] [--yes]\n"
		"\n"
		"Closes ports to all but those who have knocked, on a machine that has no door\n"
		"yet: asks for what is not given, shows the configuration and the commands, and\n"
		"after a yes runs these. The rules stay when a knock has opened the door, and are\n"
		"taken back otherwise.\n"
		"\n"
		"      --guard PORTS    what is guarded: 22 or 80,443,60000-61000/udp\n"
		"      --firewall KIND  nft, iptables, ufw or firewalld\n"
		"      --open PORTS     what is open to everybody, or none; with nft and iptables\n"
		"      --user NAME      who gets a key; a door that tokens open\n"
		"      --sequence       ports in an order instead, which any client can send\n"
		"      --yes            ask nothing: take what is suggested, and keep the rules\n"
		"  -h, --help           print this\n"
		"\n"
		"Exit status: 0 a knock opens the door, 1 it was stopped, 2 bad usage.\n",
	.run = setup_run,
};
