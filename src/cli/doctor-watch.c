/* knocktail doctor --knock: one attempt, as it comes in, and where it ended.
 *
 * It does not ask the engine, which keeps less of a knock than somebody wants to know whose knock
 * has failed, but follows the doors' sequences by itself, slowly and in plain sight.
 *
 * MUST: no step of a sequence is shown, only its number; a port that was sent is the sender's own.
 */
#include "cli/doctor.h"

#include <errno.h>
#include <inttypes.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <systemd/sd-journal.h>
#include <time.h>

#include "config/config.h"
#include "core/probe.h"
#include "core/record.h"
#include "record/format.h"
#include "source/source.h"
#include "util/cleanup.h"
#include "util/duration.h"

/* How often the journal is looked at: nobody wakes us in time. */
enum { LOOK_MS = 50 };

/* How long the daemon may take to say what it did with a knock. */
#define ANSWER_US UINT64_C(3000000)

enum { SEEN_MAX = 64 };

/* How far a door's sequence has come, and how it last broke. */
struct watched {
	const struct door *door;
	struct sequence sequence; /* that in force; empty: none */
	unsigned n_done, n_best;
	uint64_t first_us; /* of the knock under way */
	uint16_t foreign;  /* the port that broke the best one; 0: none did */
	bool too_slow, complete, filtered;
};

struct watch {
	const struct config *config;
	struct address source;
	struct format *format;
	struct source *records;
	sd_journal *events;
	struct watched *progress;
	size_t n_progress;
	struct probe seen[SEEN_MAX]; /* to know what is sent again */
	size_t n_seen, n_others;
	uint64_t complete_us; /* on our clock; 0: no knock is complete */
	char *verdict;	      /* the daemon's word, or NULL */
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
	source_free(watch->records);
	sd_journal_close(watch->events);
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

static int watch_init(struct watch *watch, const struct door *only)
{
	int r = format_new_kernel(watch->config->log_prefix, &watch->format);

	watch->progress = calloc(watch->config->n_doors, sizeof watch->progress[0]);
	if (!watch->progress)
		return -ENOMEM;
	for (size_t i = 0; i < watch->config->n_doors; i++)
		if (!only || only == &watch->config->doors[i]) {
			struct watched *progress = &watch->progress[watch->n_progress++];

			progress->door = &watch->config->doors[i];
			doctor_find_sequence(progress->door, &progress->sequence);
		}
	if (r == 0)
		r = open_events(watch);
	if (r == 0)
		r = source_new_live(&(struct source_live){0}, &watch->records);
	return r;
}

static bool is_again(struct watch *watch, const struct probe *probe)
{
	for (size_t i = 0; i < watch->n_seen && i < SEEN_MAX; i++) {
		const struct probe *seen = &watch->seen[i];

		if (seen->source_port == probe->source_port && seen->port == probe->port &&
		    seen->protocol == probe->protocol &&
		    address_equal(&seen->target, &probe->target))
			return true;
	}
	watch->seen[watch->n_seen++ % SEEN_MAX] = *probe;
	return false;
}

static bool is_step(const struct watched *progress, unsigned step, const struct probe *probe)
{
	const struct step *expected = &progress->sequence.steps[step];

	return step < progress->sequence.n_steps && expected->port == probe->port &&
	       expected->protocol == probe->protocol;
}

/* Follows one door: simple, and right for sequences that do not overlap with themselves. */
static void follow(struct watched *progress, const struct probe *probe)
{
	const struct knock *knock = &progress->door->knock;

	if (progress->complete || progress->sequence.n_steps == 0)
		return;
	if (!filter_passes(&knock->filter, probe)) {
		progress->filtered = true;
		return;
	}
	if (progress->n_done > 0 && is_step(progress, progress->n_done, probe)) {
		if (probe->time_us - progress->first_us > knock->seq_timeout_us) {
			progress->too_slow = true;
			progress->n_done = 0;
		} else {
			progress->n_done++;
		}
	} else {
		if (progress->n_done > 0 && progress->n_done == progress->n_best)
			progress->foreign = probe->port;
		progress->n_done = is_step(progress, 0, probe) ? 1 : 0;
		progress->first_us = probe->time_us;
	}
	if (progress->n_done > progress->n_best) {
		progress->n_best = progress->n_done;
		progress->foreign = 0;
	}
	progress->complete = progress->n_done == progress->sequence.n_steps;
}

static void show(const struct watch *watch, const struct probe *probe)
{
	printf("probe %u/%s", probe->port, probe->protocol == IPPROTO_TCP ? "tcp" : "udp");
	for (size_t i = 0; i < watch->n_progress; i++)
		if (watch->progress[i].n_done > 0)
			printf("  %s %u/%u", watch->progress[i].door->name,
			       watch->progress[i].n_done, watch->progress[i].sequence.n_steps);
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
	if (is_again(watch, &probe))
		return;
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
	int r = source_follow(watch->records);

	while (r >= 0 && (r = source_next(watch->records, &record)) == SOURCE_RECORD)
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

static void explain_door(const struct watched *progress)
{
	const struct door *door = progress->door;
	unsigned n = progress->sequence.n_steps;
	char span[DURATION_TEXT_MAX];

	printf("door %s: ", door->name);
	if (door->source)
		puts("its probes are logged elsewhere, and not followed here");
	else if (!(door->auth & AUTH_SEQUENCE))
		puts("it opens by tokens or SPA knocks; the daemon has seen none that was whole");
	else if (n == 0)
		puts("no one-time sequence is left");
	else if (progress->n_best == 0 && progress->filtered)
		puts("none of the probes passed its tcpflags, interface and target");
	else if (progress->n_best == 0)
		puts("none of the probes was its first step");
	else if (progress->too_slow)
		printf("too slow: more than seq_timeout (%s) from the first step to step %u of "
		       "%u\n",
		       duration_format(door->knock.seq_timeout_us, span), progress->n_best + 1, n);
	else if (progress->foreign > 0)
		printf("broken after step %u of %u by port %u, which is not the next step\n",
		       progress->n_best, n, progress->foreign);
	else
		printf("it ended after step %u of %u: the next was not logged, or not sent\n",
		       progress->n_best, n);
}

static int explain(const struct watch *watch)
{
	char address[ADDRESS_TEXT_MAX];

	address_format(&watch->source, address);
	if (watch->verdict) {
		puts(watch->verdict);
		return watch->opened ? 0 : 1;
	}
	if (watch->complete_us > 0) {
		puts("the knock was complete, and the daemon has said nothing: does it run, with "
		     "this configuration? (systemctl status knocktaild)");
		return 1;
	}
	if (watch->n_seen == 0) {
		printf("nothing was logged from %s (from others: %zu): the packets did not arrive, "
		       "came from another address, or the firewall does not log them (knocktail "
		       "doctor)\n",
		       address, watch->n_others);
		return 1;
	}
	for (size_t i = 0; i < watch->n_progress; i++)
		explain_door(&watch->progress[i]);
	return 1;
}

int doctor_watch(const struct config *config, const struct door *only, const struct address *source,
		 uint64_t timeout_us)
{
	struct watch watch CLEANUP(watch_done) = {.config = config, .source = *source};
	char address[ADDRESS_TEXT_MAX];
	int r = watch_init(&watch, only);

	if (r < 0)
		return r;
	printf("watching for a knock from %s\n", address_format(source, address));
	fflush(stdout);
	r = wait_for_end(&watch, now_us() + timeout_us);
	return r < 0 ? r : explain(&watch);
}
