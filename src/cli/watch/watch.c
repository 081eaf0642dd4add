/* knocktail watch: probes, knocks and doors as they come. */
#include <errno.h>
#include <inttypes.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <systemd/sd-event.h>
#include <unistd.h>

#include "cli/common/config.h"
#include "cli/common/json.h"
#include "cli/common/options.h"
#include "cli/common/output.h"
#include "cli/verb.h"
#include "cli/watch/bus.h"
#include "cli/watch/model.h"
#include "cli/watch/screen.h"
#include "config/config.h"
#include "core/probe.h"
#include "core/record.h"
#include "core/sequence.h"
#include "input/input.h"
#include "match/matcher.h"
#include "util/cleanup.h"
#include "util/clock.h"
#include "util/text/utf8.h"
#include "util/timestamp.h"

/* How often to look into the journal, how many records at a time, and how often to draw. */
#define LOOK_US UINT64_C(25000)
#define DRAW_US UINT64_C(250000)
enum { BATCH = 4096 };

/* A knock without a further step is shown for so long. */
#define KNOCK_US UINT64_C(30000000)

enum watch_form { FORM_SCREEN, FORM_LINES, FORM_JSON };

struct watch {
	enum watch_form form;
	sd_event *event;
	const struct config *config;
	struct matcher *matcher;
	struct input *input;
	struct watch_bus *bus;
	struct watch_model model;
	struct watch_probe probe; /* the one being judged */
	int error;
};

/* Lines */

static void print_json_line(struct json_object *object)
{
	puts(json_object_to_json_string_ext(object, JSON_C_TO_STRING_NOSLASHESCAPE));
	json_object_put(object);
}

static void print_probe(const struct watch *watch, const struct watch_probe *probe)
{
	char source[ADDRESS_TEXT_MAX], when[TIMESTAMP_TEXT_MAX];
	struct json_object *object;

	address_format(&probe->source, source);
	if (watch->form == FORM_LINES) {
		printf("%s\tprobe\t%s\t%u/%s", timestamp_format(probe->realtime_us, when), source,
		       probe->port, protocol_word(probe->protocol));
		if (*probe->door)
			printf("\t%s %u/%u", probe->door, probe->n_steps, probe->n_needed);
		putchar('\n');
		return;
	}
	object = json_object_new_object();
	json_put_time(object, "time", probe->realtime_us);
	json_put_text(object, "event", "probe");
	json_put_text(object, "source", source);
	json_put_number(object, "port", probe->port);
	json_put_text(object, "protocol", protocol_word(probe->protocol));
	if (*probe->door) {
		json_put_text(object, "door", probe->door);
		json_put_number(object, "step", probe->n_steps);
		json_put_number(object, "steps", probe->n_needed);
	}
	print_json_line(object);
}

static const char *const change_names[] = {
	[WATCH_LISTED] = "open",      [WATCH_OPENED] = "opened",    [WATCH_CLOSED] = "closed",
	[WATCH_JOINED] = "daemon up", [WATCH_LEFT] = "daemon down",
};

/* Whoever has the daemon's name on the bus is not trusted with the terminal. */
static void print_defused(const struct watch_door *door)
{
	struct watch_door shown = *door;

	utf8_defuse(shown.source);
	utf8_defuse(shown.door);
	printf("\t%s\t%s", shown.source, shown.door);
}

static void print_change(const struct watch *watch, enum watch_change change,
			 const struct watch_door *door)
{
	char when[TIMESTAMP_TEXT_MAX], until[TIMESTAMP_TEXT_MAX];
	struct json_object *object;

	if (watch->form == FORM_LINES) {
		printf("%s\t%s", timestamp_format(clock_us(CLOCK_REALTIME), when),
		       change_names[change]);
		if (door)
			print_defused(door);
		if (door && door->deadline_us > 0)
			printf("\tuntil %s", timestamp_format(door->deadline_us, until));
		putchar('\n');
		return;
	}
	object = json_object_new_object();
	json_put_time(object, "time", clock_us(CLOCK_REALTIME));
	json_put_text(object, "event", change_names[change]);
	if (door) {
		json_put_text(object, "door", door->door);
		json_put_text(object, "source", door->source);
		json_put_text(object, "user", *door->user ? door->user : NULL);
		json_put_time(object, "until", door->deadline_us);
	}
	print_json_line(object);
}

/* What happens */

static void on_change(void *userdata, enum watch_change change, const struct watch_door *door)
{
	struct watch *watch = userdata;

	switch (change) {
	case WATCH_LISTED:
	case WATCH_OPENED:
		watch_open(&watch->model, door);
		break;
	case WATCH_CLOSED:
		watch_close(&watch->model, door->door, door->source);
		break;
	case WATCH_JOINED:
	case WATCH_LEFT:
		watch->model.daemon = change == WATCH_JOINED;
		watch_close_all(&watch->model);
		break;
	}
	if (watch->form != FORM_SCREEN)
		print_change(watch, change, door);
}

static void on_progress(void *userdata, const struct match_progress *progress)
{
	struct watch *watch = userdata;
	struct watch_probe *probe = &watch->probe;

	/* With doors of several filters, the one that is nearest to being opened. */
	if (*probe->door &&
	    probe->n_steps * progress->n_needed >= progress->n_steps * probe->n_needed)
		return;
	memcpy(probe->door, watch->config->doors[progress->door].name, sizeof probe->door);
	probe->n_steps = (unsigned)progress->n_steps;
	probe->n_needed = (unsigned)progress->n_needed;
}

/* The daemon says what comes of it. */
static void on_match(void *userdata, const struct match *match)
{
	(void)userdata;
	(void)match;
}

static void on_record(struct watch *watch, const struct record *record)
{
	const struct probe *probe;

	matcher_feed(watch->matcher, record, on_match, NULL);
	probe = matcher_probe(watch->matcher);
	if (!probe)
		return;
	watch->probe = (struct watch_probe){
		.realtime_us = record->realtime_us,
		.source = probe->source,
		.port = probe->port,
		.protocol = probe->protocol,
	};
	matcher_progress(watch->matcher, on_progress, watch);
	watch_add_probe(&watch->model, &watch->probe);
	if (watch->form != FORM_SCREEN)
		print_probe(watch, &watch->probe);
}

static int watch_read_journal(struct watch *watch)
{
	struct record record;
	int r = input_follow(watch->input);

	for (int i = 0; i < BATCH && r >= 0; i++) {
		r = input_next(watch->input, &record);
		if (r != INPUT_RECORD)
			break;
		on_record(watch, &record);
	}
	return r < 0 ? r : 0;
}

/* An error of the journal mends itself: the input reopens it. */
static int on_look(sd_event_source *timer, uint64_t time_us, void *userdata)
{
	struct watch *watch = userdata;

	(void)time_us;
	watch_read_journal(watch);
	if (watch->form != FORM_SCREEN && (fflush(stdout) != 0 || ferror(stdout)))
		return sd_event_exit(watch->event, STATUS_FAILED);
	sd_event_source_set_time_relative(timer, LOOK_US);
	return sd_event_source_set_enabled(timer, SD_EVENT_ONESHOT);
}

static int on_draw(sd_event_source *timer, uint64_t time_us, void *userdata)
{
	struct watch *watch = userdata;
	uint64_t now_us = clock_us(CLOCK_REALTIME);

	(void)time_us;
	watch_expire(&watch->model, now_us - KNOCK_US);
	screen_draw(&watch->model, now_us);
	if (ferror(stdout)) /* the terminal is gone, and there was no SIGHUP */
		return sd_event_exit(watch->event, STATUS_FAILED);
	/* Of a door that there is no room for, nobody knows whether it was opened or renewed. */
	if (watch->model.n_doors_left_out > 0) {
		watch_close_all(&watch->model);
		watch_bus_list(watch->bus);
	}
	sd_event_source_set_time_relative(timer, DRAW_US);
	return sd_event_source_set_enabled(timer, SD_EVENT_ONESHOT);
}

static int on_end(sd_event_source *source, const struct signalfd_siginfo *info, void *userdata)
{
	const struct watch *watch = userdata;

	(void)source;
	(void)info;
	return sd_event_exit(watch->event, STATUS_OK);
}

static int on_resize(sd_event_source *source, const struct signalfd_siginfo *info, void *userdata)
{
	const struct watch *watch = userdata;

	(void)source;
	(void)info;
	screen_draw(&watch->model, clock_us(CLOCK_REALTIME));
	return 0;
}

/* ^Z: the shell gets its terminal as it was. */
static int on_suspend(sd_event_source *source, const struct signalfd_siginfo *info, void *userdata)
{
	(void)info;
	screen_leave();
	raise(SIGSTOP);
	screen_enter();
	return on_resize(source, NULL, userdata);
}

static int on_key(sd_event_source *source, int fd, uint32_t events, void *userdata)
{
	const struct watch *watch = userdata;
	char key;

	(void)events;
	if (read(fd, &key, 1) != 1)
		return sd_event_source_set_enabled(source, SD_EVENT_OFF);
	return key == 'q' ? sd_event_exit(watch->event, STATUS_OK) : 0;
}

/* Setting up */

static int watch_add_signals(struct watch *watch)
{
	static const int ends[] = {SIGINT, SIGTERM, SIGHUP, SIGQUIT};
	sigset_t signals;
	int r = 0;

	sigemptyset(&signals);
	for (size_t i = 0; i < sizeof ends / sizeof ends[0]; i++)
		sigaddset(&signals, ends[i]);
	if (watch->form == FORM_SCREEN) {
		sigaddset(&signals, SIGWINCH);
		sigaddset(&signals, SIGTSTP);
	}
	if (sigprocmask(SIG_BLOCK, &signals, NULL) < 0)
		return -errno;
	for (size_t i = 0; i < sizeof ends / sizeof ends[0] && r >= 0; i++)
		r = sd_event_add_signal(watch->event, NULL, ends[i], on_end, watch);
	if (r >= 0 && watch->form == FORM_SCREEN)
		r = sd_event_add_signal(watch->event, NULL, SIGWINCH, on_resize, watch);
	if (r >= 0 && watch->form == FORM_SCREEN)
		r = sd_event_add_signal(watch->event, NULL, SIGTSTP, on_suspend, watch);
	return r;
}

static int set_up(struct watch *watch)
{
	int r = sd_event_new(&watch->event);

	if (r >= 0)
		r = watch_add_signals(watch);
	if (r >= 0)
		r = sd_event_add_time(watch->event, NULL, CLOCK_MONOTONIC, 0, 1000, on_look, watch);
	if (r >= 0 && watch->form == FORM_SCREEN)
		r = sd_event_add_time(watch->event, NULL, CLOCK_MONOTONIC, 0, 1000, on_draw, watch);
	if (r >= 0 && watch->form == FORM_SCREEN) {
		/* Whoever has closed standard input, or put a file there, has no keys. */
		r = sd_event_add_io(watch->event, NULL, STDIN_FILENO, EPOLLIN, on_key, watch);
		if (r == -EPERM || r == -EBADF)
			r = 0;
	}
	if (r >= 0)
		r = watch_bus_new(watch->event, on_change, watch, &watch->bus);
	return r < 0 ? r : 0;
}

static int watch_open_input(struct watch *watch)
{
	const struct input_live options = {0};
	int r = input_new_live(&options, &watch->input);

	if (r == 0)
		r = input_listen(watch->input, watch->config->logs, watch->config->n_logs);
	if (r < 0)
		fprintf(stderr, "knocktail watch: cannot follow the journal: %s\n", strerror(-r));
	else if (!input_sees_files(watch->input))
		verb_warn_blind(&verb_watch);
	return r;
}

static enum status run_loop(struct watch *watch)
{
	int r = set_up(watch);

	if (r < 0) {
		fprintf(stderr, "knocktail watch: cannot set up: %s\n", strerror(-r));
		return STATUS_FAILED;
	}
	if (watch->form == FORM_SCREEN)
		screen_enter();
	r = sd_event_loop(watch->event);
	screen_leave();
	if (r < 0)
		fprintf(stderr, "knocktail watch: %s\n", strerror(-r));
	return r < 0 ? STATUS_FAILED : (enum status)r;
}

static enum status watch_execute(const char *path, enum watch_form form)
{
	struct watch *watch = calloc(1, sizeof *watch);
	struct config *config = NULL;
	enum status status;
	int r;

	if (!watch)
		return STATUS_FAILED;
	watch->form = form;
	status = verb_load_config(path, &config);
	if (status != STATUS_OK) {
		free(watch);
		return status;
	}
	watch->config = config;
	status = STATUS_FAILED;
	r = matcher_new(config, MATCH_DRY_RUN, NULL, &watch->matcher);
	if (r < 0)
		fprintf(stderr, "knocktail watch: cannot set up the doors: %s\n", strerror(-r));
	else if (watch_open_input(watch) == 0)
		status = run_loop(watch);
	watch_bus_free(watch->bus);
	input_free(watch->input);
	matcher_free(watch->matcher);
	sd_event_unref(watch->event);
	config_free(config);
	free(watch);
	return status;
}

static enum status watch_run(int argc, char *argv[])
{
	const char *path = KNOCKTAIL_CONF;
	bool chosen = !output_is_terminal(stdout), json = false;
	enum status status;
	const struct verb_option options[] = {
		{"config", 'c', .text = &path},
		{"output", 'o', .json = &json, .given = &chosen},
		{0},
	};

	if (!options_read(&verb_watch, argc, argv, options, &status))
		return status;
	if (verb_check_end(&verb_watch, argc, argv) != STATUS_OK)
		return STATUS_USAGE;
	if (!chosen)
		return watch_execute(path, FORM_SCREEN);
	return watch_execute(path, json ? FORM_JSON : FORM_LINES);
}

const struct verb verb_watch = {
	.name = "watch",
	.summary = "show probes, knocks and doors as they come",
	.help = "Usage: knocktail watch [-c FILE] [-o text|json]\n"
		"\n"
		"Shows the probes that the firewall logs, how far each source is with which door,\n"
		"and the doors that stand open, with the time that is left. On a terminal it\n"
		"takes the whole screen until 'q' or ^C; otherwise, and with -o, it prints one\n"
		"line each.\n"
		"\n"
		"  -c, --config FILE  the configuration (default: " KNOCKTAIL_CONF ")\n"
		"  -o, --output FORM  text: lines on a terminal, too; json: a document a line\n"
		"  -h, --help         print this\n"
		"\n"
		"Exit status: 0 it was ended, 1 something failed, 2 bad usage or configuration.\n",
	.run = watch_run,
};
