#include "match/matcher.h"

#include <errno.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "config/config.h"
#include "core/other-log.h"
#include "core/probe.h"
#include "core/record.h"
#include "format/format.h"
#include "keys/one-time.h"
#include "match/keyed.h"
#include "util/cleanup.h"

enum { NONE = UINT32_MAX };

/* One way to read records: the kernel's, or that of another origin. */
struct reader {
	struct format *format;
	uint64_t origin;
};

/* A file of one-time sequences, and the match of the probe being fed that asks for one. */
struct stock {
	struct one_time *file;
	struct match match;
	bool asked;
};

/* What the engine knows as one knock: a door's sequence, or a line of its file. */
struct entry {
	uint32_t door;
	uint32_t stock; /* NONE: the sequence is the door's own */
	uint32_t line;	/* as one_time_sequence() counts */
};

struct judge {
	struct reader readers[ORIGINS_MAX + 1]; /* by record.origin */
	size_t n_readers;
	struct engine *engine;
	struct keyed_doors *keyed;
	judge_stray_fn stray;
	void *stray_userdata;
	struct entry *entries; /* by the engine's number */
	size_t n_entries;
	struct stock *stocks;
	size_t n_stocks;
	uint32_t *stock_of; /* by door */
	size_t n_asked;
	enum judge_mode mode;
	struct judge_counts counts;
	uint32_t boot;
	const struct record *record; /* the one that is being judged */
	bool probed;		     /* `probe` is the last record's */
	struct probe probe;
	char problem[200];
};

DEFINE_CLEANUP(struct judge *, judge_free)

static int make_readers(struct judge *judge, const struct config *config)
{
	struct format_error error;
	int r = format_new_kernel(config->log_prefix, &judge->readers[0].format);

	judge->n_readers = 1;
	for (size_t i = 0; r == 0 && i < config->n_origins; i++) {
		struct reader *reader = &judge->readers[judge->n_readers++];

		reader->origin = config->origins[i].id;
		r = format_new_custom(config->origins[i].pattern, &error, &reader->format);
	}
	return r == -EINVAL ? -EBADMSG : r;
}

static void ignore_complaint(void *userdata, unsigned line, bool warning, const char *text)
{
	(void)userdata;
	(void)line;
	(void)warning;
	(void)text;
}

/* The file's stock, which doors that name the same one share. */
static int find_stock(struct judge *judge, const char *path, uint32_t *ret)
{
	struct one_time *file;
	uint32_t i = 0;
	int r = one_time_open(path, ignore_complaint, NULL, &file);

	if (r < 0)
		return r;
	while (i < judge->n_stocks && !one_time_same(judge->stocks[i].file, file))
		i++;
	if (i == judge->n_stocks)
		judge->stocks[judge->n_stocks++].file = file;
	else
		one_time_free(file);
	*ret = i;
	return 0;
}

/* Opens the files and counts the knocks. */
static int take_stock(struct judge *judge, const struct config *config)
{
	judge->stocks = calloc(config->n_doors, sizeof *judge->stocks);
	judge->stock_of = calloc(config->n_doors, sizeof *judge->stock_of);
	if (!judge->stocks || !judge->stock_of)
		return -ENOMEM;
	for (size_t i = 0; i < config->n_doors; i++) {
		const struct door *door = &config->doors[i];
		int r;

		judge->stock_of[i] = NONE;
		judge->n_entries += door->knock.sequence.n_steps > 0;
		if (!door->one_time_sequences)
			continue;
		r = find_stock(judge, door->one_time_sequences, &judge->stock_of[i]);
		if (r < 0)
			return r;
		judge->n_entries += one_time_count(judge->stocks[judge->stock_of[i]].file);
	}
	return 0;
}

/* All lines of a file are followed from the start, and those count that are in force when they are
 * complete: so the next one needs nothing to be made anew. */
static void fill_entries(struct judge *judge, const struct config *config, struct knock *knocks)
{
	size_t n = 0;

	for (uint32_t i = 0; i < config->n_doors; i++) {
		const struct knock *knock = &config->doors[i].knock;
		const struct one_time *file = judge_one_time(judge, i);

		if (knock->sequence.n_steps > 0) {
			knocks[n] = *knock;
			judge->entries[n++] = (struct entry){i, NONE, 0};
		}
		for (uint32_t j = 0; file && j < one_time_count(file); j++) {
			knocks[n] = *knock;
			knocks[n].sequence = *one_time_sequence(file, j);
			judge->entries[n++] = (struct entry){i, judge->stock_of[i], j};
		}
	}
}

static int compile(struct judge *judge, const struct config *config)
{
	CLEANUP(cleanup_free) const struct knock **list = NULL;
	CLEANUP(cleanup_free) struct knock *knocks = NULL;
	struct engine_limits limits = {
		.max_sources = config->max_sources,
		.ipv6_prefix = config->ipv6_prefix,
	};

	list = calloc(judge->n_entries + 1, sizeof *list);
	knocks = calloc(judge->n_entries + 1, sizeof *knocks);
	judge->entries = calloc(judge->n_entries + 1, sizeof *judge->entries);
	if (!list || !knocks || !judge->entries)
		return -ENOMEM;
	fill_entries(judge, config, knocks);
	for (size_t i = 0; i < judge->n_entries; i++)
		list[i] = &knocks[i];
	randombytes_buf(limits.hash_key, sizeof limits.hash_key);
	return engine_new(&limits, list, judge->n_entries, &judge->engine);
}

int judge_new(const struct config *config, enum judge_mode mode, const struct judge *predecessor,
	      struct judge **ret)
{
	CLEANUP(cleanup_judge_free) struct judge *judge = calloc(1, sizeof *judge);
	int r;

	if (!judge)
		return -ENOMEM;
	if (sodium_init() < 0)
		return -EIO;
	judge->mode = mode;
	r = make_readers(judge, config);
	if (r == 0)
		r = take_stock(judge, config);
	if (r == 0)
		r = compile(judge, config);
	if (r == 0)
		r = keyed_doors_new(config, predecessor ? predecessor->keyed : NULL, &judge->keyed);
	if (r < 0)
		return r;
	if (predecessor) {
		engine_inherit(judge->engine, predecessor->engine);
		judge->counts = predecessor->counts;
		judge->boot = predecessor->boot;
	}
	*ret = TAKE_PTR(judge);
	return 0;
}

struct judge *judge_free(struct judge *judge)
{
	if (!judge)
		return NULL;
	for (size_t i = 0; i < judge->n_readers; i++)
		format_free(judge->readers[i].format);
	for (size_t i = 0; i < judge->n_stocks; i++)
		one_time_free(judge->stocks[i].file);
	engine_free(judge->engine);
	keyed_doors_free(judge->keyed);
	free(judge->entries);
	free(judge->stocks);
	free(judge->stock_of);
	free(judge);
	return NULL;
}

/* One probe on its way through the engine. */
struct feeding {
	struct judge *judge;
	engine_match_fn fn;
	void *userdata;
};

/* The first door has the sequence, if one probe completes it for several. */
static void ask_stock(struct judge *judge, const struct entry *entry, const struct match *match)
{
	struct stock *stock = &judge->stocks[entry->stock];

	if (entry->line != one_time_current(stock->file))
		return;
	if (stock->asked && stock->match.knock < entry->door)
		return;
	judge->n_asked += !stock->asked;
	stock->asked = true;
	stock->match = *match;
	stock->match.knock = entry->door;
}

static void on_match(void *userdata, const struct match *match)
{
	const struct feeding *feeding = userdata;
	const struct entry *entry = &feeding->judge->entries[match->knock];
	struct match of_door = *match;

	if (entry->stock != NONE) {
		if (!feeding->judge->record->past)
			ask_stock(feeding->judge, entry, match);
		return;
	}
	of_door.knock = entry->door;
	feeding->fn(feeding->userdata, &of_door);
}

/* For whoever reads the file: who used the line, and when. */
static int mark_used(struct stock *stock, const struct record *record)
{
	time_t seconds = (time_t)(record->realtime_us / 1000000);
	char remark[100], when[40] = "", source[ADDRESS_TEXT_MAX];
	struct tm tm;

	if (seconds > 0 && gmtime_r(&seconds, &tm))
		strftime(when, sizeof when, " %Y-%m-%d %H:%M:%S UTC", &tm);
	snprintf(remark, sizeof remark, "used%s by %s", when,
		 address_format(&stock->match.source, source));
	return one_time_use(stock->file, remark);
}

static void use_stock(const struct feeding *feeding, struct stock *stock)
{
	struct judge *judge = feeding->judge;
	int r = 0;

	if (judge->mode == JUDGE_IN_EARNEST)
		r = mark_used(stock, judge->record);
	else
		one_time_advance(stock->file);
	if (r < 0) {
		snprintf(judge->problem, sizeof judge->problem,
			 "its sequence cannot be marked as used: %s",
			 r == -ESTALE || r == -EBADMSG ? "the file has changed; reload"
						       : strerror(-r));
		stock->match.problem = judge->problem;
	}
	feeding->fn(feeding->userdata, &stock->match);
}

static void use_stocks(const struct feeding *feeding)
{
	struct judge *judge = feeding->judge;

	for (size_t i = 0; judge->n_asked > 0 && i < judge->n_stocks; i++) {
		if (!judge->stocks[i].asked)
			continue;
		judge->stocks[i].asked = false;
		judge->n_asked--;
		use_stock(feeding, &judge->stocks[i]);
	}
}

static bool read_probe(struct judge *judge, const struct record *record, struct probe *ret)
{
	const struct reader *reader;
	enum format_verdict verdict;

	if (record->origin >= judge->n_readers)
		return false;
	reader = &judge->readers[record->origin];
	verdict = format_parse(reader->format, record, ret);
	ret->origin = reader->origin;
	judge->counts.damaged += verdict == FORMAT_DAMAGED;
	return verdict == FORMAT_PROBE;
}

static void on_answer(void *userdata, const struct keyed_answer *answer)
{
	const struct feeding *feeding = userdata;
	const struct judge *judge = feeding->judge;
	const struct request *request = answer->request;

	if (request->door != REQUEST_NOBODY)
		feeding->fn(feeding->userdata,
			    &(struct match){
				    .knock = request->door,
				    .source = request->source,
				    .problem = answer->reason,
				    .user = answer->user,
				    .way = request->kind == REQUEST_SPA ? "spa" : "token",
				    .seconds = request->seconds,
			    });
	else if (judge->stray)
		judge->stray(judge->stray_userdata, &(struct judge_stray){
							    .source = request->source,
							    .user = answer->user,
							    .reason = answer->reason,
						    });
}

/* `probe` is what the record says; NULL: it is none. */
static enum engine_state decide(struct judge *judge, const struct record *record,
				const struct probe *probe, engine_match_fn fn, void *userdata)
{
	const struct feeding feeding = {judge, fn, userdata};
	enum engine_state state;

	/* Another boot, another clock: what was remembered cannot be compared any more. */
	if (record->boot != judge->boot) {
		engine_forget(judge->engine);
		keyed_doors_forget(judge->keyed);
	}
	judge->boot = record->boot;
	judge->record = record;
	judge->counts.records++;
	judge->probed = probe != NULL;
	if (!probe)
		return ENGINE_QUIET;
	judge->probe = *probe;
	judge->counts.probes++;
	state = engine_feed(judge->engine, probe, on_match, (void *)&feeding);
	use_stocks(&feeding);
	if (keyed_doors_feed(judge->keyed, probe, record->realtime_us / 1000000, record->past,
			     on_answer, (void *)&feeding))
		state = ENGINE_UNDERWAY;
	return state;
}

enum engine_state judge_feed(struct judge *judge, const struct record *record, engine_match_fn fn,
			     void *userdata)
{
	struct probe probe;
	bool is_probe = read_probe(judge, record, &probe);

	return decide(judge, record, is_probe ? &probe : NULL, fn, userdata);
}

/* At most ENGINE_EXPECTED_MAX. */
static enum engine_state feed_some(struct judge *judge, const struct record *records, size_t n,
				   engine_match_fn fn, void *userdata)
{
	struct probe probes[ENGINE_EXPECTED_MAX];
	const struct probe *of[ENGINE_EXPECTED_MAX]; /* each record */
	enum engine_state state = ENGINE_QUIET;
	size_t n_probes = 0;

	for (size_t i = 0; i < n; i++) {
		bool is_probe = read_probe(judge, &records[i], &probes[n_probes]);

		of[i] = is_probe ? &probes[n_probes++] : NULL;
	}
	engine_expect(judge->engine, probes, n_probes);
	for (size_t i = 0; i < n; i++)
		state = decide(judge, &records[i], of[i], fn, userdata);
	return state;
}

enum engine_state judge_feed_all(struct judge *judge, const struct record *records, size_t n,
				 engine_match_fn fn, void *userdata)
{
	enum engine_state state = ENGINE_QUIET;

	for (size_t i = 0; i < n; i += ENGINE_EXPECTED_MAX) {
		size_t left = n - i;

		state = feed_some(judge, records + i,
				  left < ENGINE_EXPECTED_MAX ? left : ENGINE_EXPECTED_MAX, fn,
				  userdata);
	}
	return state;
}

const struct record *judge_record(const struct judge *judge)
{
	return judge->record;
}

void judge_burn_in(struct judge *judge, struct burnt *burnt)
{
	keyed_doors_burn_in(judge->keyed, burnt);
}

void judge_set_stray(struct judge *judge, judge_stray_fn fn, void *userdata)
{
	judge->stray = fn;
	judge->stray_userdata = userdata;
}

void judge_tend(struct judge *judge, uint64_t realtime_us)
{
	keyed_doors_tend(judge->keyed, realtime_us / 1000000);
}

bool judge_knows(const struct judge *judge, const struct judge *predecessor, const char *user)
{
	return keyed_doors_know(judge->keyed, predecessor ? predecessor->keyed : NULL, user);
}

const struct keyed_counts *judge_keyed_counts(const struct judge *judge)
{
	return keyed_doors_counts(judge->keyed);
}

struct telling {
	const struct judge *judge;
	engine_progress_fn fn;
	void *userdata;
};

static void on_progress(void *userdata, const struct progress *progress)
{
	const struct telling *telling = userdata;
	const struct judge *judge = telling->judge;
	const struct entry *entry = &judge->entries[progress->knock];
	struct progress of_door = *progress;

	of_door.knock = entry->door;
	telling->fn(telling->userdata, &of_door);
}

void judge_progress(const struct judge *judge, engine_progress_fn fn, void *userdata)
{
	struct telling telling = {judge, fn, userdata};

	if (judge->probed)
		engine_progress(judge->engine, &judge->probe, on_progress, &telling);
}

const struct one_time *judge_one_time(const struct judge *judge, size_t door)
{
	uint32_t stock = judge->stock_of[door];

	return stock != NONE ? judge->stocks[stock].file : NULL;
}

const struct judge_counts *judge_counts(const struct judge *judge)
{
	return &judge->counts;
}

size_t judge_sources(const struct judge *judge)
{
	return engine_sources(judge->engine);
}

const struct probe *judge_probe(const struct judge *judge)
{
	return judge->probed ? &judge->probe : NULL;
}
