/* knocktail doctor --knock: one attempt, as it comes in, and where it ended.
 *
 * Each door has an engine of its own, which tells how far a knock has come as the daemon's does,
 * and is not kept from telling by another door whose knock begins alike.
 *
 * MUST: no step of a sequence is shown, only its number; a port that was sent is the sender's own.
 */
#include "cli/doctor/attempt.h"

#include <errno.h>
#include <inttypes.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <systemd/sd-journal.h>
#include <time.h>

#include "cli/common/json.h"
#include "config/config.h"
#include "core/engine/engine.h"
#include "core/probe.h"
#include "core/record.h"
#include "format/format.h"
#include "input/input.h"
#include "keys/one-time.h"
#include "util/cleanup.h"
#include "util/duration.h"

/* How often the journal is looked at: nobody wakes us in time. */
enum { LOOK_MS = 50 };

/* How long the daemon may take to say what it did with a knock. */
#define ANSWER_US UINT64_C(3000000)

enum { SENTENCE_MAX = 256 };

/* How far a door's sequence has come, and how it last broke. */
struct watched {
	const struct door *door;
	struct engine *engine; /* of the sequence in force; NULL: there is none */
	size_t n_needed, n_done, n_best;
	uint16_t foreign; /* the port that broke the best one; 0: none did */
	bool too_slow, complete, filtered;
};

struct watch {
	const struct config *config;
	struct address source;
	struct format *format;
	struct input *records;
	sd_journal *events;
	struct watched *progress;
	size_t n_progress;
	size_t n_probes, n_others;
	uint64_t complete_us;	    /* on our clock; 0: no knock is complete */
	char *verdict;		    /* the daemon's word, or NULL */
	struct json_object *probes; /* where they are put instead of being printed; NULL: nowhere */
	bool opened;
};

static uint64_t now_us(void)
{
	struct timespec now;

	clock_gettime(CLOCK_BOOTTIME, &now);
	return (uint64_t)now.tv_sec * 1000000 + (uint64_t)now.tv_nsec / 1000;
}

static void watch_done(struct watch *watch)
{
	format_free(watch->format);
	input_free(watch->records);
	sd_journal_close(watch->events);
	for (size_t i = 0; i < watch->n_progress; i++)
		engine_free(watch->progress[i].engine);
	free(watch->progress);
	free(watch->verdict);
}

/* What the daemon says of this source from now on. */
static int open_events(struct watch *watch)
{
	char address[ADDRESS_TEXT_MAX], *match CLEANUP(cleanup_free) = NULL;
	int r = sd_journal_open(&watch->events, SD_JOURNAL_LOCAL_ONLY | SD_JOURNAL_SYSTEM);

	if (r < 0)
		return r;
	if (asprintf(&match, "KNOCKTAIL_SOURCE=%s", address_format(&watch->source, address)) < 0) {
		match = NULL;
		return -ENOMEM;
	}
	r = sd_journal_get_fd(watch->events);
	if (r >= 0)
		r = sd_journal_add_match(watch->events, match, 0);
	if (r >= 0)
		r = sd_journal_add_match(watch->events, "_COMM=knocktaild", 0);
	if (r >= 0)
		r = sd_journal_seek_tail(watch->events);
	if (r >= 0)
		r = sd_journal_previous(watch->events);
	if (r == 0)
		r = sd_journal_seek_head(watch->events);
	return r < 0 ? r : 0;
}

static int watched_init(struct watched *watched, const struct config *config,
			const struct door *door)
{
	struct knock knock = door->knock;
	const struct knock *knocks[] = {&knock};
	const struct engine_limits limits = {.max_sources = 1, .ipv6_prefix = config->ipv6_prefix};

	*watched = (struct watched){.door = door};
	if (!one_time_find_sequence(door, &knock.sequence))
		return 0;
	watched->n_needed = knock.sequence.n_steps;
	return engine_new(&limits, knocks, 1, &watched->engine);
}

static int watch_init(struct watch *watch, const struct door *only)
{
	int r = format_new_kernel(watch->config->log_prefix, &watch->format);

	watch->progress = calloc(watch->config->n_doors, sizeof watch->progress[0]);
	if (!watch->progress)
		return -ENOMEM;
	for (size_t i = 0; i < watch->config->n_doors && r == 0; i++)
		if (!only || only == &watch->config->doors[i])
			r = watched_init(&watch->progress[watch->n_progress++], watch->config,
					 &watch->config->doors[i]);
	if (r == 0)
		r = open_events(watch);
	if (r == 0)
		r = input_new_live(&(struct input_live){0}, &watch->records);
	return r;
}

static void on_match(void *userdata, const struct engine_match *match)
{
	struct watched *watched = userdata;

	(void)match;
	watched->complete = true;
}

static void on_progress(void *userdata, const struct engine_progress *progress)
{
	struct watched *watched = userdata;

	watched->n_done = progress->n_steps;
}

static void follow(struct watched *watched, const struct probe *probe)
{
	size_t n_before = watched->n_done;
	enum engine_state state;

	if (watched->complete || !watched->engine)
		return;
	if (!filter_passes(&watched->door->knock.filter, probe)) {
		watched->filtered = true;
		return;
	}
	state = engine_feed(watched->engine, probe, on_match, watched);
	watched->n_done = 0;
	engine_progress(watched->engine, probe, on_progress, watched);
	if (watched->n_done > watched->n_best) {
		watched->n_best = watched->n_done;
		watched->too_slow = false;
		watched->foreign = 0;
	} else if (watched->n_done == 0 && state == ENGINE_UNDERWAY) {
		watched->too_slow = true;
	} else if (watched->n_done < n_before && n_before == watched->n_best) {
		watched->foreign = probe->port;
	}
}

static void put_probe(const struct watch *watch, const struct probe *probe, const char *protocol)
{
	struct json_object *object = json_object_new_object();

	json_put_number(object, "port", probe->port);
	json_put_text(object, "protocol", protocol);
	if (json_object_array_add(watch->probes, object) < 0)
		json_object_put(object);
}

static void show(const struct watch *watch, const struct probe *probe)
{
	const char *protocol = probe->protocol == IPPROTO_TCP ? "tcp" : "udp";

	if (watch->probes) {
		put_probe(watch, probe, protocol);
		return;
	}
	printf("probe %u/%s", probe->port, protocol);
	for (size_t i = 0; i < watch->n_progress; i++)
		if (watch->progress[i].n_done > 0)
			printf("  %s %zu/%zu", watch->progress[i].door->name,
			       watch->progress[i].n_done, watch->progress[i].n_needed);
	putchar('\n');
	fflush(stdout);
}

static void take_record(struct watch *watch, const struct record *record)
{
	struct probe probe;

	if (format_parse(watch->format, record, &probe) != FORMAT_PROBE)
		return;
	if (!address_equal(&probe.source, &watch->source)) {
		watch->n_others++;
		return;
	}
	watch->n_probes++;
	for (size_t i = 0; i < watch->n_progress; i++) {
		follow(&watch->progress[i], &probe);
		if (watch->progress[i].complete && watch->complete_us == 0)
			watch->complete_us = now_us();
	}
	show(watch, &probe);
}

static int take_records(struct watch *watch)
{
	struct record record;
	int r = input_follow(watch->records);

	while (r >= 0 && (r = input_next(watch->records, &record)) == INPUT_RECORD)
		take_record(watch, &record);
	return r < 0 ? r : 0;
}

/* Of what the daemon says, the first that settles it. */
static int take_events(struct watch *watch)
{
	int r = sd_journal_process(watch->events);

	while (r >= 0 && !watch->verdict && (r = sd_journal_next(watch->events)) > 0) {
		const char *text;
		size_t length, skip = strlen("MESSAGE=");

		if (sd_journal_get_data(watch->events, "MESSAGE", (const void **)&text, &length) <
		    0)
			continue;
		watch->verdict = strndup(text + skip, length - skip);
		if (!watch->verdict)
			return -ENOMEM;
		watch->opened = strstr(watch->verdict, " opened for ") ||
				strstr(watch->verdict, " renewed for ");
	}
	return r < 0 ? r : 0;
}

static bool is_over(const struct watch *watch, uint64_t deadline_us)
{
	uint64_t now = now_us();

	return watch->verdict || now > deadline_us ||
	       (watch->complete_us > 0 && now > watch->complete_us + ANSWER_US);
}

static int wait_for_end(struct watch *watch, uint64_t deadline_us)
{
	int r = 0;

	while (r >= 0 && !is_over(watch, deadline_us)) {
		poll(NULL, 0, LOOK_MS);
		r = take_records(watch);
		if (r >= 0)
			r = take_events(watch);
	}
	return r < 0 ? r : 0;
}

static void explain_door(const struct watched *watched, char text[static SENTENCE_MAX])
{
	const struct door *door = watched->door;
	char span[DURATION_TEXT_MAX];
	const char *words = NULL;

	if (door->log)
		words = "its probes are logged elsewhere, and not followed here";
	else if (!(door->auth & AUTH_SEQUENCE))
		words = "it opens by tokens or SPA knocks; the daemon has seen none that was whole";
	else if (!watched->engine)
		words = "no one-time sequence is left";
	else if (watched->complete)
		words = "its knock was complete";
	else if (watched->n_best == 0 && watched->filtered)
		words = "none of the probes passed its tcpflags, interface and target";
	else if (watched->n_best == 0)
		words = "none of the probes was its first step";
	if (words)
		snprintf(text, SENTENCE_MAX, "%s", words);
	else if (watched->too_slow)
		snprintf(text, SENTENCE_MAX,
			 "too slow: more than seq_timeout (%s) from the first step to step %zu of "
			 "%zu",
			 duration_format(door->knock.seq_timeout_us, span), watched->n_best + 1,
			 watched->n_needed);
	else if (watched->foreign > 0)
		snprintf(text, SENTENCE_MAX,
			 "broken after step %zu of %zu by port %u, which is not the next step",
			 watched->n_best, watched->n_needed, watched->foreign);
	else
		snprintf(text, SENTENCE_MAX,
			 "it ended after step %zu of %zu: the next was not logged, or not sent",
			 watched->n_best, watched->n_needed);
}

/* What can be said of the whole; NULL: each door has something of its own. */
static const char *explain(const struct watch *watch, char text[static SENTENCE_MAX])
{
	char address[ADDRESS_TEXT_MAX];

	if (watch->verdict)
		return watch->verdict;
	if (watch->complete_us > 0)
		return "the knock was complete, and the daemon has said nothing: does it run, with "
		       "this configuration? (systemctl status knocktaild)";
	if (watch->n_probes > 0)
		return NULL;
	snprintf(text, SENTENCE_MAX,
		 "nothing was logged from %s (from others: %zu): the packets did not arrive, came "
		 "from another address, or the firewall does not log them (knocktail doctor)",
		 address_format(&watch->source, address), watch->n_others);
	return text;
}

static void print_end(const struct watch *watch)
{
	char text[SENTENCE_MAX];
	const char *whole = explain(watch, text);

	if (whole)
		puts(whole);
	for (size_t i = 0; !whole && i < watch->n_progress; i++) {
		explain_door(&watch->progress[i], text);
		printf("door %s: %s\n", watch->progress[i].door->name, text);
	}
}

static void print_json_end(const struct watch *watch)
{
	struct json_object *document = json_object_new_object(), *doors = json_object_new_array();
	char text[SENTENCE_MAX];

	json_put_text(document, "source", address_format(&watch->source, text));
	json_put(document, "opened", json_object_new_boolean(watch->opened));
	json_put_text(document, "text", explain(watch, text));
	json_put(document, "probes", watch->probes);
	for (size_t i = 0; doors && i < watch->n_progress; i++) {
		const struct watched *watched = &watch->progress[i];
		struct json_object *object = json_object_new_object();

		explain_door(watched, text);
		json_put_text(object, "door", watched->door->name);
		json_put_number(object, "steps",
				watched->complete ? watched->n_needed : watched->n_best);
		json_put_number(object, "needed", watched->n_needed);
		json_put_text(object, "text", text);
		if (json_object_array_add(doors, object) < 0)
			json_object_put(object);
	}
	json_put(document, "doors", doors);
	json_print(document);
}

int doctor_watch(const struct config *config, const struct door *only, const struct address *source,
		 uint64_t timeout_us, bool json)
{
	struct watch watch CLEANUP(watch_done) = {.config = config, .source = *source};
	char address[ADDRESS_TEXT_MAX];
	int r = watch_init(&watch, only);

	if (r < 0)
		return r;
	if (json && !(watch.probes = json_object_new_array()))
		return -ENOMEM;
	/* Whoever waits for it to begin finds it there even if the rest is for a program. */
	fprintf(json ? stderr : stdout, "watching for a knock from %s\n",
		address_format(source, address));
	fflush(stdout);
	r = wait_for_end(&watch, now_us() + timeout_us);
	if (r < 0)
		return r;
	if (json)
		print_json_end(&watch);
	else
		print_end(&watch);
	return watch.opened ? 0 : 1;
}
