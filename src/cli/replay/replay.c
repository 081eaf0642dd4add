/* knocktail replay: the engine over the past. */
#include <errno.h>
#include <inttypes.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "cli/common/config.h"
#include "cli/common/journal-files.h"
#include "cli/common/json.h"
#include "cli/common/options.h"
#include "cli/common/output.h"
#include "cli/common/progress.h"
#include "cli/replay/batches.h"
#include "cli/replay/tally.h"
#include "cli/replay/unread.h"
#include "cli/verb.h"
#include "config/config.h"
#include "core/door.h"
#include "core/other-log.h"
#include "core/record.h"
#include "input/input.h"
#include "match/matcher.h"
#include "util/clock.h"
#include "util/timestamp.h"

struct replay_options {
	const char *config, *directory, *file, *text, *log;
	uint64_t since_us, until_us;
	bool json;
};

struct replay {
	const struct config *config;
	struct matcher *matcher;
	struct tally tally;
	struct unread unread;
	struct text_messages messages; /* which ask `unread` */
	struct json_object *knocks;    /* NULL: text is wanted */
	struct json_object *document;
	struct progress progress;
	int error;
};

/* The wall clock's time of the record; the kernel's since boot if the record has no date. */
static void format_time(const struct record *record, char text[static TIMESTAMP_TEXT_MAX])
{
	if (record->realtime_us > 0)
		timestamp_format(record->realtime_us, text);
	else
		snprintf(text, TIMESTAMP_TEXT_MAX, "[%12" PRIu64 ".%06" PRIu64 "]",
			 record->kernel_us / US_PER_S, record->kernel_us % US_PER_S);
}

static void replay_put_knock(struct replay *replay, const char *door, const char *source,
			     const char *user, const char *problem)
{
	struct json_object *object = json_object_new_object();

	json_put_time(object, "time", matcher_record(replay->matcher)->realtime_us);
	json_put_text(object, "door", door);
	json_put_text(object, "source", source);
	json_put_text(object, "user", user);
	json_put_text(object, "refused", problem);
	json_add(replay->knocks, object);
}

/* `door` is NULL: a request that names none. */
static void tell_knock(struct replay *replay, const char *door, const struct address *from,
		       const char *user, const char *problem)
{
	char when[TIMESTAMP_TEXT_MAX], source[ADDRESS_TEXT_MAX];

	address_format(from, source);
	if (replay->knocks) {
		replay_put_knock(replay, door, source, user, problem);
		return;
	}
	format_time(matcher_record(replay->matcher), when);
	progress_hide(&replay->progress);
	printf("%s  %s%s  %s", when, door ? "door " : "no door", door ? door : "", source);
	if (user)
		printf(" (%s)", user);
	if (problem)
		printf("  refused: %s", problem);
	putchar('\n');
}

static void on_match(void *userdata, const struct match *match)
{
	struct replay *replay = userdata;
	const struct door *door = &replay->config->doors[match->door];
	const char *problem = match->problem;

	if (!problem && !door_allows(door, &match->source))
		problem = "the source is not in allow";
	tell_knock(replay, door->name, &match->source, match->user, problem);
	if (problem)
		return;
	if (tally_add(&replay->tally, match->door, &match->source) < 0)
		replay->error = -ENOMEM;
}

static void on_stray(void *userdata, const struct matcher_stray *stray)
{
	tell_knock(userdata, NULL, &stray->source, stray->user, stray->reason);
}

static void replay_print_opened(void *userdata, const struct tally_item *item, size_t n)
{
	const struct config *config = userdata;
	char source[ADDRESS_TEXT_MAX];

	printf("door %s would have opened for %s", config->doors[item->door].name,
	       address_format(&item->source, source));
	if (n > 1)
		printf(" (%zu times)", n);
	putchar('\n');
}

static void print_summary(struct replay *replay, const struct matcher *matcher)
{
	const struct matcher_counts *counts = matcher_counts(matcher);

	printf("%" PRIu64 " records read, %" PRIu64 " of them probes", counts->records,
	       counts->probes);
	if (counts->damaged > 0)
		printf(", %" PRIu64 " damaged", counts->damaged);
	putchar('\n');
	if (replay->tally.n_items == 0)
		puts("no door would have opened");
	tally_each(&replay->tally, replay_print_opened, (void *)replay->config);
}

static void replay_put_opened(void *userdata, const struct tally_item *item, size_t n)
{
	const struct replay *replay = userdata;
	struct json_object *object = json_object_new_object();
	char source[ADDRESS_TEXT_MAX];

	json_put_text(object, "door", replay->config->doors[item->door].name);
	json_put_text(object, "source", address_format(&item->source, source));
	json_put_number(object, "times", n);
	json_add(json_object_object_get(replay->document, "opened"), object);
}

static void replay_print_json(struct replay *replay, const struct matcher *matcher)
{
	const struct matcher_counts *counts = matcher_counts(matcher);

	replay->document = json_object_new_object();
	json_put_number(replay->document, "records", counts->records);
	json_put_number(replay->document, "probes", counts->probes);
	json_put_number(replay->document, "damaged", counts->damaged);
	json_put_number(replay->document, "not_understood", replay->unread.n);
	json_put(replay->document, "knocks", replay->knocks);
	json_put(replay->document, "opened", json_object_new_array());
	tally_each(&replay->tally, replay_put_opened, replay);
	json_print(replay->document);
}

static void on_records(void *userdata, const struct record *records, size_t n)
{
	struct replay *replay = userdata;

	if (replay->error == 0)
		matcher_feed_all(replay->matcher, records, n, on_match, replay);
}

/* Text may come from a pipe, as it is written, and is judged line by line. */
static int replay_read_text(struct replay *replay, struct input *input)
{
	struct record record;
	int r;

	while ((r = input_next(input, &record)) == INPUT_RECORD) {
		if (replay->unread.log > 0)
			record.log = replay->unread.log;
		on_records(replay, &record, 1);
		progress_step(&replay->progress);
	}
	return r;
}

/* A journal is read as fast as the library can, and judged beside that. */
static int replay_read_journal(struct replay *replay, struct input *input)
{
	struct record record;
	struct batches *batches;
	int r = batches_new(on_records, replay, &batches);

	if (r < 0)
		return replay_read_text(replay, input);
	while ((r = input_next(input, &record)) == INPUT_RECORD) {
		batches_put(batches, &record);
		progress_step(&replay->progress);
	}
	batches_free(batches);
	return r;
}

/* Says which doors such text cannot open. False: that is all of them. */
static bool replay_tell_doors(const struct replay *replay, const char *log)
{
	const struct config *config = replay->config;
	size_t n_tried = 0;

	for (size_t i = 0; i < config->n_doors; i++) {
		const struct door *door = &config->doors[i];

		if (log ? door->log && strcasecmp(door->log, log) == 0 : !door->log)
			n_tried++;
		else if (!log)
			fprintf(stderr,
				"knocktail replay: door %s takes its probes from the log %s, which "
				"text has not: give --log\n",
				door->name, door->log);
	}
	if (log && n_tried == 0)
		fprintf(stderr, "knocktail replay: no door takes its probes from the log %s\n",
			log);
	return n_tried > 0;
}

/* Says what is the matter with lines. False: some were not understood. */
static bool replay_tell_lines(const struct replay *replay, const char *log)
{
	const struct matcher_counts *counts = matcher_counts(replay->matcher);

	if (log && counts->records > 0 && replay->unread.n_foreign >= counts->records)
		fprintf(stderr,
			"knocktail replay: no line is as the pattern of the log %s has it, with or "
			"without its head\n",
			log);
	else if (!log && counts->damaged > 0)
		fputs("knocktail replay: lines that begin with the prefix are not as the kernel "
		      "writes them: if they are another program's, such as ulogd's, give --log\n",
		      stderr);
	unread_report(&replay->unread);
	return replay->unread.n == 0 && (counts->damaged == 0 || counts->probes > 0);
}

/* Whether that is all that there is; complains if not. */
static bool replay_is_whole(const struct replay_options *options, struct input *input,
			    const struct replay *replay, int r)
{
	bool lost = input_lost(input), whole = true;

	if (r < 0)
		fprintf(stderr, "knocktail replay: stopped before the end: %s\n", strerror(-r));
	if (lost)
		fputs("knocktail replay: records are missing here: a file of the journal is "
		      "damaged, see journalctl --verify\n",
		      stderr);
	if (options->text) {
		whole = replay_tell_doors(replay, options->log);
		whole = replay_tell_lines(replay, options->log) && whole;
	} else if (options->directory) {
		whole = journal_files_check("replay", options->directory);
	}
	return r >= 0 && !lost && whole;
}

static enum status replay_feed(struct replay *replay, const struct replay_options *options,
			       struct input *input)
{
	bool complete;
	int r;

	matcher_set_stray(replay->matcher, on_stray, replay);
	progress_begin(&replay->progress);
	r = options->text ? replay_read_text(replay, input) : replay_read_journal(replay, input);
	progress_hide(&replay->progress);
	complete = replay_is_whole(options, input, replay, r < 0 ? r : replay->error);
	if (replay->knocks)
		replay_print_json(replay, replay->matcher);
	else
		print_summary(replay, replay->matcher);
	return complete ? STATUS_OK : STATUS_FAILED;
}

static int replay_open_input(const struct replay_options *options, struct replay *replay,
			     struct input **ret)
{
	const struct config *config = replay->config;
	const char *name = "the journal";
	int r;

	if (options->text) {
		name = options->text;
		r = input_new_text(name, &replay->messages, options->since_us, options->until_us,
				   ret);
	} else {
		if (options->directory)
			name = options->directory;
		if (options->file)
			name = options->file;
		r = input_new_journal(options->directory, options->file, options->since_us,
				      options->until_us, ret);
	}
	if (r == 0)
		r = input_listen(*ret, config->logs, config->n_logs);
	if (r < 0)
		fprintf(stderr, "knocktail replay: cannot read %s: %s\n", name, strerror(-r));
	else if (!options->text && !options->directory && !options->file && !input_sees_files(*ret))
		verb_warn_blind(&verb_replay);
	return r;
}

static enum status replay_judge(const struct replay_options *options, struct replay *replay)
{
	struct input *input = NULL;
	enum status status = STATUS_FAILED;

	if (replay_open_input(options, replay, &input) == 0) {
		replay->knocks = options->json ? json_object_new_array() : NULL;
		status = replay_feed(replay, options, input);
		tally_done(&replay->tally);
	}
	input_free(input);
	return status;
}

/* The log whose records the lines of text are; complains if there is no such section. */
static bool replay_find_log(const struct replay_options *options, const struct config *config,
			    uint32_t *ret)
{
	*ret = 0;
	if (!options->log)
		return true;
	for (size_t i = 0; i < config->n_logs; i++)
		if (strcasecmp(config->logs[i].name, options->log) == 0)
			*ret = (uint32_t)i + 1;
	if (*ret == 0)
		fprintf(stderr, "knocktail replay: %s has no section [log %s]\n", options->config,
			options->log);
	return *ret > 0;
}

static enum status replay_execute(const struct replay_options *options)
{
	struct config *config = NULL;
	struct matcher *matcher = NULL;
	enum status status = verb_load_config(options->config, &config);
	uint32_t log = 0;
	int r;

	if (status == STATUS_OK && !replay_find_log(options, config, &log))
		status = STATUS_USAGE;
	if (status != STATUS_OK) {
		config_free(config);
		return status;
	}
	r = matcher_new(config, MATCH_DRY_RUN, NULL, &matcher);
	if (r < 0) {
		fprintf(stderr, "knocktail replay: cannot set up the doors: %s\n", strerror(-r));
		status = STATUS_FAILED;
	} else {
		struct replay replay = {
			.config = config,
			.matcher = matcher,
			.unread = {matcher, config->log_prefix, .log = log},
		};

		replay.messages = unread_messages(&replay.unread);
		status = replay_judge(options, &replay);
	}
	matcher_free(matcher);
	config_free(config);
	return status;
}

static enum status replay_check_options(const struct replay_options *options)
{
	if ((options->directory != NULL) + (options->file != NULL) + (options->text != NULL) > 1) {
		fputs("knocktail replay: --directory, --file and --text cannot be combined\n",
		      stderr);
		return verb_misused(&verb_replay);
	}
	if (options->log && !options->text) {
		fputs("knocktail replay: --log goes with --text\n", stderr);
		return verb_misused(&verb_replay);
	}
	if (options->since_us >= options->until_us) {
		fputs("knocktail replay: --since is not before --until\n", stderr);
		return verb_misused(&verb_replay);
	}
	return STATUS_OK;
}

static enum status replay_run(int argc, char *argv[])
{
	struct replay_options wanted = {.config = KNOCKTAIL_CONF, .until_us = UINT64_MAX};
	enum status status;
	const struct verb_option options[] = {
		{"config", 'c', .text = &wanted.config},
		{"directory", .text = &wanted.directory},
		{"file", .text = &wanted.file},
		{"text", .text = &wanted.text},
		{"since", .time_us = &wanted.since_us},
		{"until", .time_us = &wanted.until_us},
		{"output", 'o', .json = &wanted.json},
		{"log", .text = &wanted.log},
		{0},
	};

	if (!options_read(&verb_replay, argc, argv, options, &status))
		return status;
	if (verb_check_end(&verb_replay, argc, argv) != STATUS_OK ||
	    replay_check_options(&wanted) != STATUS_OK)
		return STATUS_USAGE;
	return replay_execute(&wanted);
}

const struct verb verb_replay = {
	.name = "replay",
	.summary = "run the knocks of the past through the configuration; opens nothing",
	.help = "Usage: knocktail replay [-c FILE] [--directory DIR | --file FILE |\n"
		"                         --text FILE [--log NAME]] [--since TIME] [--until TIME]\n"
		"                        [-o text|json]\n"
		"\n"
		"Prints each knock that would have opened a door, and for whom. Changes nothing.\n"
		"\n"
		"  -c, --config FILE    the configuration\n"
		"                       (default: " KNOCKTAIL_CONF ")\n"
		"      --directory DIR  read the journal files in DIR instead of this machine's\n"
		"      --file FILE      read one journal file\n"
		"      --text FILE      read lines of text: dmesg's, syslog's, or journalctl's\n"
		"                       short forms; - is standard input\n"
		"      --log NAME       the lines are entries of the [log NAME] section, not the\n"
		"                       kernel's\n"
		"      --since TIME     leave out what is older: \"2026-11-22 21:00\", today,\n"
		"      --until TIME     and what is not: yesterday, @1700000000, -2h\n"
		"  -o, --output FORM    text (default) or json\n"
		"  -h, --help           print this\n"
		"\n"
		"Exit status: 0 all was read and understood, 1 something was not, 2 bad usage or\n"
		"configuration.\n",
	.run = replay_run,
};
