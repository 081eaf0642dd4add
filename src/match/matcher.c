#include "match/matcher.h"

#include <errno.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "config/config.h"
#include "core/other-log.h"
#include "core/probe.h"
#include "core/record.h"
#include "format/format.h"
#include "keys/burn.h"
#include "keys/one-time.h"
#include "match/keyed.h"
#include "match/overheard.h"
#include "util/cleanup.h"
#include "util/clock.h"

enum { NONE = UINT32_MAX };

/* How records are read: the kernel's, or those of another log. */
struct record_reader {
	struct format *format;
	uint64_t log;
};

/* A file of one-time sequences, and the match of the probe being fed that asks for one. */
struct stock {
	struct one_time *file;
	struct match match;
	bool asked;
	size_t watched; /* the line that is listened for */
};

/* A door whose file's line in force is listened for, broken or not. */
struct watched_line {
	uint32_t door;
	struct knock knock; /* its sequence: that of the line */
};

/* What the engine knows as one knock: a door's sequence, or a line of its file. */
struct engine_knock {
	uint32_t door;
	uint32_t stock; /* NONE: the sequence is the door's own */
	uint32_t line;	/* as one_time_sequence() counts */
};

struct matcher {
	struct record_reader readers[OTHER_LOGS_MAX + 1]; /* by record.log */
	size_t n_readers;
	struct engine *engine;
	struct keyed_matcher *keyed;
	matcher_stray_fn stray;
	void *stray_userdata;
	struct engine_knock *entries; /* by the engine's number */
	size_t n_entries;
	struct stock *stocks;
	size_t n_stocks;
	uint32_t *stock_of;	      /* by door */
	struct watched_line *watches; /* by the number of the overheard line */
	size_t n_watches;
	struct overheard *overheard; /* NULL: no door has a file */
	enum matcher_mode mode;
	struct matcher_counts counts;
	uint32_t boot;
	const struct record *record; /* the one that is being fed */
	bool probed;		     /* `probe` is the last record's */
	struct probe probe;
};

DEFINE_CLEANUP(struct matcher *, matcher_free)

static int make_readers(struct matcher *matcher, const struct config *config)
{
	struct format_error error;
	int r = format_new_kernel(config->log_prefix, &matcher->readers[0].format);

	matcher->n_readers = 1;
	for (size_t i = 0; r == 0 && i < config->n_logs; i++) {
		struct record_reader *reader = &matcher->readers[matcher->n_readers++];

		reader->log = config->logs[i].id;
		r = config->logs[i].form == LOG_FORM_KERNEL
			    ? format_new_relayed(config->log_prefix, &reader->format)
			    : format_new_custom(config->logs[i].pattern, &error, &reader->format);
	}
	return r == -EINVAL ? -EBADMSG : r;
}

/* The file's stock, which doors that name the same one share. */
static int find_stock(struct matcher *matcher, const char *path, uint32_t *ret)
{
	struct one_time *file;
	uint32_t i = 0;
	int r = one_time_open(path, NULL, NULL, &file);

	if (r < 0)
		return r;
	while (i < matcher->n_stocks && !one_time_same(matcher->stocks[i].file, file))
		i++;
	if (i == matcher->n_stocks)
		matcher->stocks[matcher->n_stocks++].file = file;
	else
		one_time_free(file);
	*ret = i;
	return 0;
}

/* Opens the files and counts the knocks. */
static int take_stock(struct matcher *matcher, const struct config *config)
{
	matcher->stocks = calloc(config->n_doors, sizeof *matcher->stocks);
	matcher->stock_of = calloc(config->n_doors, sizeof *matcher->stock_of);
	if (!matcher->stocks || !matcher->stock_of)
		return -ENOMEM;
	for (size_t i = 0; i < config->n_doors; i++) {
		const struct door *door = &config->doors[i];
		int r;

		matcher->stock_of[i] = NONE;
		matcher->n_entries += door->knock.sequence.n_steps > 0;
		if (!door->one_time_sequences)
			continue;
		r = find_stock(matcher, door->one_time_sequences, &matcher->stock_of[i]);
		if (r < 0)
			return r;
		matcher->n_entries += one_time_count(matcher->stocks[matcher->stock_of[i]].file);
	}
	return 0;
}

/* All lines of a file are followed from the start, and those count that are in force when they are
 * complete: so nothing is compiled again for the next one. */
static void fill_entries(struct matcher *matcher, const struct config *config, struct knock *knocks)
{
	size_t n = 0;

	for (uint32_t i = 0; i < config->n_doors; i++) {
		const struct knock *knock = &config->doors[i].knock;
		const struct one_time *file = matcher_one_time(matcher, i);

		if (knock->sequence.n_steps > 0) {
			knocks[n] = *knock;
			matcher->entries[n++] = (struct engine_knock){i, NONE, 0};
		}
		for (uint32_t j = 0; file && j < one_time_count(file); j++) {
			knocks[n] = *knock;
			knocks[n].sequence = *one_time_sequence(file, j);
			matcher->entries[n++] = (struct engine_knock){i, matcher->stock_of[i], j};
		}
	}
}

static int compile_engine(struct matcher *matcher, const struct config *config)
{
	CLEANUP(cleanup_free) const struct knock **list = NULL;
	CLEANUP(cleanup_free) struct knock *knocks = NULL;
	struct engine_limits limits = {
		.max_sources = config->max_sources,
		.ipv6_prefix = config->ipv6_prefix,
	};

	list = calloc(matcher->n_entries + 1, sizeof *list);
	knocks = calloc(matcher->n_entries + 1, sizeof *knocks);
	matcher->entries = calloc(matcher->n_entries + 1, sizeof *matcher->entries);
	if (!list || !knocks || !matcher->entries)
		return -ENOMEM;
	fill_entries(matcher, config, knocks);
	for (size_t i = 0; i < matcher->n_entries; i++)
		list[i] = &knocks[i];
	randombytes_buf(limits.hash_key, sizeof limits.hash_key);
	return engine_new(&limits, list, matcher->n_entries, &matcher->engine);
}

/* Listens for the lines in force of a file. */
static void watch_stock(struct matcher *matcher, uint32_t stock)
{
	const struct one_time *file = matcher->stocks[stock].file;
	size_t current = one_time_current(file);

	matcher->stocks[stock].watched = current;
	for (size_t i = 0; i < matcher->n_watches; i++) {
		struct watched_line *watch = &matcher->watches[i];
		bool is_left = current < one_time_count(file);

		if (matcher->stock_of[watch->door] != stock)
			continue;
		if (is_left)
			watch->knock.sequence = *one_time_sequence(file, current);
		overheard_set(matcher->overheard, i, is_left ? &watch->knock : NULL);
	}
}

/* What the predecessor's knocks have used is not in force again. */
static void inherit_stocks(struct matcher *matcher, const struct matcher *predecessor)
{
	for (size_t i = 0; i < matcher->n_stocks; i++)
		for (size_t j = 0; j < predecessor->n_stocks; j++)
			one_time_inherit(matcher->stocks[i].file, predecessor->stocks[j].file);
}

static int watch_stocks(struct matcher *matcher, const struct config *config)
{
	int r;

	if (matcher->n_stocks == 0)
		return 0;
	matcher->watches = calloc(config->n_doors, sizeof *matcher->watches);
	if (!matcher->watches)
		return -ENOMEM;
	for (uint32_t i = 0; i < config->n_doors; i++)
		if (matcher->stock_of[i] != NONE)
			matcher->watches[matcher->n_watches++] =
				(struct watched_line){i, config->doors[i].knock};
	r = overheard_new(matcher->n_watches, config->ipv6_prefix, &matcher->overheard);
	for (uint32_t i = 0; r == 0 && i < matcher->n_stocks; i++)
		watch_stock(matcher, i);
	return r;
}

int matcher_new(const struct config *config, enum matcher_mode mode,
		const struct matcher *predecessor, struct matcher **ret)
{
	CLEANUP(cleanup_matcher_free) struct matcher *matcher = calloc(1, sizeof *matcher);
	int r;

	if (!matcher)
		return -ENOMEM;
	if (sodium_init() < 0)
		return -EIO;
	matcher->mode = mode;
	r = make_readers(matcher, config);
	if (r == 0)
		r = take_stock(matcher, config);
	if (r == 0 && predecessor)
		inherit_stocks(matcher, predecessor);
	if (r == 0)
		r = watch_stocks(matcher, config);
	if (r == 0)
		r = compile_engine(matcher, config);
	if (r == 0)
		r = keyed_matcher_new(config, mode == MATCH_DRY_RUN,
				      predecessor ? predecessor->keyed : NULL, &matcher->keyed);
	if (r < 0)
		return r;
	if (predecessor) {
		engine_inherit(matcher->engine, predecessor->engine);
		matcher->counts = predecessor->counts;
		matcher->boot = predecessor->boot;
	}
	*ret = TAKE_PTR(matcher);
	return 0;
}

struct matcher *matcher_free(struct matcher *matcher)
{
	if (!matcher)
		return NULL;
	for (size_t i = 0; i < matcher->n_readers; i++)
		format_free(matcher->readers[i].format);
	for (size_t i = 0; i < matcher->n_stocks; i++)
		one_time_free(matcher->stocks[i].file);
	engine_free(matcher->engine);
	keyed_matcher_free(matcher->keyed);
	free(matcher->entries);
	free(matcher->stocks);
	free(matcher->stock_of);
	free(matcher->watches);
	overheard_free(matcher->overheard);
	free(matcher);
	return NULL;
}

/* One probe on its way through the engine. */
struct probe_feeding {
	struct matcher *matcher;
	match_fn fn;
	void *userdata;
};

/* The first door has the sequence, if one probe completes it for several. */
static void ask_stock(struct matcher *matcher, const struct engine_knock *entry,
		      const struct match *match)
{
	struct stock *stock = &matcher->stocks[entry->stock];

	if (entry->line != one_time_current(stock->file))
		return;
	if (stock->asked && stock->match.door < match->door)
		return;
	stock->asked = true;
	stock->match = *match;
}

static void on_match(void *userdata, const struct engine_match *of_engine)
{
	const struct probe_feeding *feeding = userdata;
	const struct engine_knock *entry = &feeding->matcher->entries[of_engine->knock];
	const struct match match = {
		.door = entry->door, .source = of_engine->source, .knock = KNOCK_SEQUENCE};

	if (entry->stock == NONE)
		feeding->fn(feeding->userdata, &match);
	else if (!feeding->matcher->record->past)
		ask_stock(feeding->matcher, entry, &match);
}

/* Listens for the next line where one has been used. */
static void watch_others(struct matcher *matcher)
{
	for (uint32_t i = 0; i < matcher->n_stocks; i++)
		if (one_time_current(matcher->stocks[i].file) != matcher->stocks[i].watched)
			watch_stock(matcher, i);
}

/* The line has come whole. If the engine has not found it, other ports were in between, which
 * whoever listens may have sent: they must not send it now. */
static void on_overheard(void *userdata, size_t line)
{
	const struct probe_feeding *feeding = userdata;
	struct matcher *matcher = feeding->matcher;
	uint32_t door = matcher->watches[line].door;
	struct stock *stock = &matcher->stocks[matcher->stock_of[door]];

	if (stock->asked)
		return;
	stock->asked = true;
	stock->match = (struct match){
		.door = door,
		.source = matcher->probe.source,
		.knock = KNOCK_SEQUENCE,
		.problem = "its sequence came whole, but with other ports in between: it is used "
			   "up",
		.refusal = REFUSAL_OTHER,
	};
}

/* From now on the next line is in force, though this one has yet to be marked as used. */
static void use_stock(const struct probe_feeding *feeding, struct stock *stock)
{
	const struct matcher *matcher = feeding->matcher;
	struct burn burn;

	burn_init_line(&burn, stock->file, one_time_current(stock->file), &stock->match.source,
		       matcher->record->realtime_us / US_PER_S);
	if (matcher->mode == MATCH_LIVE)
		stock->match.burn = &burn;
	one_time_advance(stock->file);
	feeding->fn(feeding->userdata, &stock->match);
}

static void use_stocks(const struct probe_feeding *feeding)
{
	struct matcher *matcher = feeding->matcher;

	for (size_t i = 0; i < matcher->n_stocks; i++) {
		if (!matcher->stocks[i].asked)
			continue;
		matcher->stocks[i].asked = false;
		use_stock(feeding, &matcher->stocks[i]);
	}
}

static bool read_probe(struct matcher *matcher, const struct record *record, struct probe *ret)
{
	const struct record_reader *reader;
	enum format_verdict verdict;

	if (record->log >= matcher->n_readers)
		return false;
	reader = &matcher->readers[record->log];
	verdict = format_parse(reader->format, record, ret);
	ret->log = reader->log;
	matcher->counts.damaged += verdict == FORMAT_DAMAGED;
	if (verdict == FORMAT_FOREIGN && record->log == 0 && !record->past)
		matcher->counts.full_tables += format_is_full_table(record);
	return verdict == FORMAT_PROBE;
}

bool matcher_begins(const struct matcher *matcher, uint32_t log, const char *text, size_t length)
{
	return log < matcher->n_readers &&
	       format_begins(matcher->readers[log].format, text, length);
}

static void on_answer(void *userdata, const struct keyed_answer *answer)
{
	const struct probe_feeding *feeding = userdata;
	const struct matcher *matcher = feeding->matcher;
	const struct request *request = answer->request;

	if (request->door != REQUEST_NOBODY)
		feeding->fn(feeding->userdata, &(struct match){
						       .door = request->door,
						       .source = request->source,
						       .problem = answer->reason,
						       .refusal = answer->refusal,
						       .burn = answer->burn,
						       .user = answer->user,
						       .key = answer->key,
						       .knock = request->kind,
						       .seconds = request->seconds,
					       });
	else if (matcher->stray)
		matcher->stray(matcher->stray_userdata, &(struct matcher_stray){
								.source = request->source,
								.user = answer->user,
								.reason = answer->reason,
								.refusal = answer->refusal,
							});
}

/* `probe` is what the record says; NULL: it is none. */
static enum engine_state decide_record(struct matcher *matcher, const struct record *record,
				       const struct probe *probe, match_fn fn, void *userdata)
{
	const struct probe_feeding feeding = {matcher, fn, userdata};
	enum engine_state state;

	/* Another boot, another clock: what was remembered cannot be compared any more. */
	if (record->boot != matcher->boot) {
		engine_forget(matcher->engine);
		keyed_matcher_forget(matcher->keyed);
		if (matcher->overheard)
			overheard_forget(matcher->overheard);
	}
	matcher->boot = record->boot;
	matcher->record = record;
	matcher->counts.records++;
	matcher->probed = probe != NULL;
	if (!probe)
		return ENGINE_QUIET;
	matcher->probe = *probe;
	matcher->counts.probes++;
	state = engine_feed(matcher->engine, probe, on_match, (void *)&feeding);
	watch_others(matcher);
	if (matcher->overheard && !record->past)
		overheard_feed(matcher->overheard, probe, on_overheard, (void *)&feeding);
	use_stocks(&feeding);
	if (keyed_matcher_feed(matcher->keyed, probe, record->realtime_us / US_PER_S, record->past,
			       on_answer, (void *)&feeding))
		state = ENGINE_UNDERWAY;
	return state;
}

enum engine_state matcher_feed(struct matcher *matcher, const struct record *record, match_fn fn,
			       void *userdata)
{
	struct probe probe;
	bool is_probe = read_probe(matcher, record, &probe);

	return decide_record(matcher, record, is_probe ? &probe : NULL, fn, userdata);
}

/* At most ENGINE_EXPECTED_MAX. */
static enum engine_state feed_some(struct matcher *matcher, const struct record *records, size_t n,
				   match_fn fn, void *userdata)
{
	struct probe probes[ENGINE_EXPECTED_MAX];
	const struct probe *of[ENGINE_EXPECTED_MAX]; /* each record */
	enum engine_state state = ENGINE_QUIET;
	size_t n_probes = 0;

	for (size_t i = 0; i < n; i++) {
		bool is_probe = read_probe(matcher, &records[i], &probes[n_probes]);

		of[i] = is_probe ? &probes[n_probes++] : NULL;
	}
	engine_expect(matcher->engine, probes, n_probes);
	for (size_t i = 0; i < n; i++)
		state = decide_record(matcher, &records[i], of[i], fn, userdata);
	return state;
}

enum engine_state matcher_feed_all(struct matcher *matcher, const struct record *records, size_t n,
				   match_fn fn, void *userdata)
{
	enum engine_state state = ENGINE_QUIET;

	for (size_t i = 0; i < n; i += ENGINE_EXPECTED_MAX) {
		size_t left = n - i;

		state = feed_some(matcher, records + i,
				  left < ENGINE_EXPECTED_MAX ? left : ENGINE_EXPECTED_MAX, fn,
				  userdata);
	}
	return state;
}

const struct record *matcher_record(const struct matcher *matcher)
{
	return matcher->record;
}

void matcher_set_stray(struct matcher *matcher, matcher_stray_fn fn, void *userdata)
{
	matcher->stray = fn;
	matcher->stray_userdata = userdata;
}

void matcher_tend(struct matcher *matcher, uint64_t realtime_us)
{
	keyed_matcher_tend(matcher->keyed, realtime_us / US_PER_S);
}

bool matcher_knows(const struct matcher *matcher, const struct matcher *predecessor,
		   const char *user, const struct key_id *key, uint64_t realtime_us)
{
	return keyed_matcher_know(matcher->keyed, predecessor ? predecessor->keyed : NULL, user,
				  key, realtime_us / US_PER_S);
}

bool matcher_has_key(const struct matcher *matcher, const struct key_id *key)
{
	return keyed_matcher_has_key(matcher->keyed, key);
}

void matcher_expiries(const struct matcher *matcher, uint64_t from_us, uint64_t to_us,
		      matcher_expiry_fn fn, void *userdata)
{
	keyed_matcher_expiries(matcher->keyed, from_us / US_PER_S, to_us / US_PER_S, fn, userdata);
}

struct expected_ports *matcher_expected(const struct matcher *matcher)
{
	return keyed_matcher_expected(matcher->keyed);
}

const struct keyed_counts *matcher_keyed_counts(const struct matcher *matcher)
{
	return keyed_matcher_counts(matcher->keyed);
}

struct progress_asker {
	const struct matcher *matcher;
	match_progress_fn fn;
	void *userdata;
};

static void on_progress(void *userdata, const struct engine_progress *progress)
{
	const struct progress_asker *telling = userdata;

	telling->fn(telling->userdata,
		    &(struct match_progress){
			    .door = telling->matcher->entries[progress->knock].door,
			    .n_steps = progress->n_steps,
			    .n_needed = progress->n_needed,
			    .source = progress->source,
		    });
}

void matcher_progress(const struct matcher *matcher, match_progress_fn fn, void *userdata)
{
	struct progress_asker telling = {matcher, fn, userdata};

	if (matcher->probed)
		engine_progress(matcher->engine, &matcher->probe, on_progress, &telling);
}

const struct one_time *matcher_one_time(const struct matcher *matcher, size_t door)
{
	uint32_t stock = matcher->stock_of[door];

	return stock != NONE ? matcher->stocks[stock].file : NULL;
}

const struct matcher_counts *matcher_counts(const struct matcher *matcher)
{
	return &matcher->counts;
}

size_t matcher_sources(const struct matcher *matcher)
{
	return engine_sources(matcher->engine);
}

const struct probe *matcher_probe(const struct matcher *matcher)
{
	return matcher->probed ? &matcher->probe : NULL;
}
