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
#include "cli/common/output.h"
#include "config/config.h"
#include "core/engine/engine.h"
#include "core/other-log.h"
#include "core/probe.h"
#include "core/record.h"
#include "format/format.h"
#include "input/input.h"
#include "keys/one-time.h"
#include "util/cleanup.h"
#include "util/clock.h"
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

struct attempt {
	const struct config *config;
	struct address source;
	struct format *format, *relayed; /* of the kernel's log, and of others that pass it on */
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

static void attempt_done(struct attempt *attempt)
{
	format_free(attempt->format);
	format_free(attempt->relayed);
	input_free(attempt->records);
	sd_journal_close(attempt->events);
	for (size_t i = 0; i < attempt->n_progress; i++)
		engine_free(attempt->progress[i].engine);
	free(attempt->progress);
	free(attempt->verdict);
}

/* What the daemon says of this source from now on. */
static int open_events(struct attempt *attempt)
{
	char address[ADDRESS_TEXT_MAX], *match CLEANUP(cleanup_free) = NULL;
	int r = sd_journal_open(&attempt->events, SD_JOURNAL_LOCAL_ONLY | SD_JOURNAL_SYSTEM);

	if (r < 0)
		return r;
	if (asprintf(&match, "KNOCKTAIL_SOURCE=%s", address_format(&attempt->source, address)) <
	    0) {
		match = NULL;
		return -ENOMEM;
	}
	r = sd_journal_get_fd(attempt->events);
	if (r >= 0)
		r = sd_journal_add_match(attempt->events, match, 0);
	if (r >= 0)
		r = sd_journal_add_match(attempt->events, "_COMM=knocktaild", 0);
	if (r >= 0)
		r = sd_journal_seek_tail(attempt->events);
	if (r >= 0)
		r = sd_journal_previous(attempt->events);
	if (r == 0)
		r = sd_journal_seek_head(attempt->events);
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

static int attempt_init(struct attempt *attempt, const struct door *only)
{
	const struct config *config = attempt->config;
	int r = format_new_kernel(config->log_prefix, &attempt->format);

	if (r == 0)
		r = format_new_relayed(config->log_prefix, &attempt->relayed);
	attempt->progress = calloc(attempt->config->n_doors, sizeof attempt->progress[0]);
	if (!attempt->progress)
		return -ENOMEM;
	for (size_t i = 0; i < attempt->config->n_doors && r == 0; i++)
		if (!only || only == &attempt->config->doors[i])
			r = watched_init(&attempt->progress[attempt->n_progress++], attempt->config,
					 &attempt->config->doors[i]);
	if (r == 0)
		r = open_events(attempt);
	if (r == 0)
		r = input_new_live(&(struct input_live){0}, &attempt->records);
	if (r == 0)
		r = input_listen(attempt->records, config->logs, config->n_logs);
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

static void watched_follow(struct watched *watched, const struct probe *probe)
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

static void put_probe(const struct attempt *attempt, const struct probe *probe,
		      const char *protocol)
{
	struct json_object *object = json_object_new_object();

	json_put_number(object, "port", probe->port);
	json_put_text(object, "protocol", protocol);
	json_add(attempt->probes, object);
}

static void attempt_show_probe(const struct attempt *attempt, const struct probe *probe)
{
	const char *protocol = probe->protocol == IPPROTO_TCP ? "tcp" : "udp";

	if (attempt->probes) {
		put_probe(attempt, probe, protocol);
		return;
	}
	printf("probe %u/%s", probe->port, protocol);
	for (size_t i = 0; i < attempt->n_progress; i++)
		if (attempt->progress[i].n_done > 0)
			printf("  %s %zu/%zu", attempt->progress[i].door->name,
			       attempt->progress[i].n_done, attempt->progress[i].n_needed);
	putchar('\n');
	fflush(stdout);
}

/* Other logs than what this machine's firewall logs are not followed. */
static bool attempt_read_probe(const struct attempt *attempt, const struct record *record,
			       struct probe *ret)
{
	const struct other_log *log =
		record->log > 0 ? &attempt->config->logs[record->log - 1] : NULL;

	if (log && log->form != LOG_FORM_KERNEL)
		return false;
	if (format_parse(log ? attempt->relayed : attempt->format, record, ret) != FORMAT_PROBE)
		return false;
	ret->log = log ? log->id : OTHER_LOG_KERNEL;
	return true;
}

static void take_record(struct attempt *attempt, const struct record *record)
{
	struct probe probe;

	if (!attempt_read_probe(attempt, record, &probe))
		return;
	if (!address_equal(&probe.source, &attempt->source)) {
		attempt->n_others++;
		return;
	}
	attempt->n_probes++;
	for (size_t i = 0; i < attempt->n_progress; i++) {
		watched_follow(&attempt->progress[i], &probe);
		if (attempt->progress[i].complete && attempt->complete_us == 0)
			attempt->complete_us = clock_us(CLOCK_BOOTTIME);
	}
	attempt_show_probe(attempt, &probe);
}

static int attempt_take_records(struct attempt *attempt)
{
	struct record record;
	int r = input_follow(attempt->records);

	while (r >= 0 && (r = input_next(attempt->records, &record)) == INPUT_RECORD)
		take_record(attempt, &record);
	return r < 0 ? r : 0;
}

/* Of what the daemon says, the first that settles it. */
static int take_events(struct attempt *attempt)
{
	int r = sd_journal_process(attempt->events);

	while (r >= 0 && !attempt->verdict && (r = sd_journal_next(attempt->events)) > 0) {
		const char *text;
		size_t length, skip = strlen("MESSAGE=");

		if (sd_journal_get_data(attempt->events, "MESSAGE", (const void **)&text, &length) <
		    0)
			continue;
		attempt->verdict = strndup(text + skip, length - skip);
		if (!attempt->verdict)
			return -ENOMEM;
		attempt->opened = strstr(attempt->verdict, " opened for ") ||
				  strstr(attempt->verdict, " renewed for ");
	}
	return r < 0 ? r : 0;
}

static bool is_over(const struct attempt *attempt, uint64_t deadline_us)
{
	uint64_t now = clock_us(CLOCK_BOOTTIME);

	return attempt->verdict || now > deadline_us ||
	       (attempt->complete_us > 0 && now > attempt->complete_us + ANSWER_US);
}

static int wait_for_end(struct attempt *attempt, uint64_t deadline_us)
{
	int r = 0;

	while (r >= 0 && !is_over(attempt, deadline_us)) {
		poll(NULL, 0, LOOK_MS);
		r = attempt_take_records(attempt);
		if (r >= 0)
			r = take_events(attempt);
	}
	return r < 0 ? r : 0;
}

static void explain_door(const struct watched *watched, char text[static SENTENCE_MAX])
{
	const struct door *door = watched->door;
	char span[DURATION_TEXT_MAX];
	const char *words = NULL;

	if (!filter_is_logged_here(&door->knock.filter))
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
static const char *attempt_explain(const struct attempt *attempt, char text[static SENTENCE_MAX])
{
	char address[ADDRESS_TEXT_MAX];

	if (attempt->verdict)
		return attempt->verdict;
	if (attempt->complete_us > 0)
		return "the knock completed, but the daemon did not react: is it running, with this "
		       "configuration? (systemctl status knocktaild)";
	if (attempt->n_probes > 0)
		return NULL;
	snprintf(text, SENTENCE_MAX,
		 "nothing was logged from %s (from others: %zu): the packets did not arrive, came "
		 "from another address, or the firewall does not log them (knocktail doctor)",
		 address_format(&attempt->source, address), attempt->n_others);
	return text;
}

static void print_end(const struct attempt *attempt)
{
	char text[SENTENCE_MAX];
	const char *whole = attempt_explain(attempt, text);

	if (whole)
		output_print("%s\n", whole);
	for (size_t i = 0; !whole && i < attempt->n_progress; i++) {
		explain_door(&attempt->progress[i], text);
		output_print("door %s: %s\n", attempt->progress[i].door->name, text);
	}
}

static void print_json_end(const struct attempt *attempt)
{
	struct json_object *document = json_object_new_object(), *doors = json_object_new_array();
	char text[SENTENCE_MAX];

	json_put_text(document, "source", address_format(&attempt->source, text));
	json_put(document, "opened", json_object_new_boolean(attempt->opened));
	json_put_text(document, "text", attempt_explain(attempt, text));
	json_put(document, "probes", attempt->probes);
	for (size_t i = 0; i < attempt->n_progress; i++) {
		const struct watched *watched = &attempt->progress[i];
		struct json_object *object = json_object_new_object();

		explain_door(watched, text);
		json_put_text(object, "door", watched->door->name);
		json_put_number(object, "steps",
				watched->complete ? watched->n_needed : watched->n_best);
		json_put_number(object, "needed", watched->n_needed);
		json_put_text(object, "text", text);
		json_add(doors, object);
	}
	json_put(document, "doors", doors);
	json_print(document);
}

int attempt_follow(const struct config *config, const struct door *only,
		   const struct address *source, uint64_t timeout_us, bool json)
{
	struct attempt attempt CLEANUP(attempt_done) = {.config = config, .source = *source};
	char address[ADDRESS_TEXT_MAX];
	int r = attempt_init(&attempt, only);

	if (r < 0)
		return r;
	if (json && !(attempt.probes = json_object_new_array()))
		return -ENOMEM;
	/* Whoever waits for it to begin finds it there even if the rest is for a program. */
	fprintf(json ? stderr : stdout, "watching for a knock from %s\n",
		address_format(source, address));
	fflush(stdout);
	r = wait_for_end(&attempt, clock_us(CLOCK_BOOTTIME) + timeout_us);
	if (r < 0)
		return r;
	if (json)
		print_json_end(&attempt);
	else
		print_end(&attempt);
	return attempt.opened ? ATTEMPT_OPENED : ATTEMPT_IN_VAIN;
}
