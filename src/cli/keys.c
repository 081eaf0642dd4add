/* knocktail keys: whose keys there are, what they open, and when they were used and end. */
#include <errno.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cli/common/config.h"
#include "cli/common/json.h"
#include "cli/common/memory.h"
#include "cli/common/options.h"
#include "cli/common/output.h"
#include "cli/verb.h"
#include "config/config.h"
#include "keys/burnt.h"
#include "keys/keyring.h"
#include "util/cleanup.h"
#include "util/clock.h"
#include "util/text/stream.h"
#include "util/timestamp.h"

DEFINE_CLEANUP(struct table *, table_free)

/* One key, as it is shown. */
struct key_row {
	const char *user;
	bool is_before;
	char *const *doors; /* NULL at their end */
	struct key_term term;
	uint64_t used_s; /* 0: never, or long ago */
	const char *state;
};

static bool is_for(const struct door *door, const char *user)
{
	return door->auth & (AUTH_TOKEN | AUTH_SPA) && door_has_user(door, user);
}

static void find_doors(const struct config *config, const char *user, char **ret)
{
	for (size_t i = 0; i < config->n_doors; i++)
		if (is_for(&config->doors[i], user))
			*ret++ = config->doors[i].name;
	*ret = NULL;
}

static const char *term_state(const struct key_term *term, uint64_t now_s)
{
	if (key_term_holds(term, now_s))
		return "good";
	return now_s < term->since_s ? "not yet" : "expired";
}

static void put_row(struct json_object *array, const struct key_row *row)
{
	struct json_object *object = json_object_new_object();
	struct json_object *doors = json_object_new_array();

	for (char *const *door = row->doors; *door; door++)
		json_add(doors, json_object_new_string(*door));
	json_put_text(object, "user", row->user);
	json_put_text(object, "key", row->is_before ? "before" : "current");
	json_put(object, "doors", doors);
	json_put_time(object, "used", row->used_s * US_PER_S);
	json_put_time(object, "since", row->term.since_s * US_PER_S);
	json_put_time(object, "expires", row->term.expires_s * US_PER_S);
	json_put_text(object, "state", row->state);
	json_add(array, object);
}

/* The names, with commas between them. */
static char *join_doors(char *const *doors)
{
	char *text = NULL;
	FILE *file = text_stream_open(&text, NULL);

	if (!file)
		memory_out();
	for (char *const *door = doors; *door; door++)
		fprintf(file, "%s%s", door == doors ? "" : ",", *door);
	if (fclose(file) != 0)
		memory_out();
	return text;
}

static void add_row(struct table *table, const struct key_row *row)
{
	CLEANUP(cleanup_free) char *doors = join_doors(row->doors);
	char used[TIMESTAMP_TEXT_MAX], expires[TIMESTAMP_TEXT_MAX];

	table_add(table, strcmp(row->state, "good") == 0 ? COLOUR_NONE : COLOUR_BAD,
		  (const char *const[]){
			  row->user,
			  row->is_before ? "before" : "current",
			  doors,
			  timestamp_format(row->used_s * US_PER_S, used),
			  timestamp_format(row->term.expires_s * US_PER_S, expires),
			  row->state,
		  });
}

/* Where rows go: the table or the array. */
struct key_listing {
	const struct config *config;
	const char *burnt;
	struct table *table;
	struct json_object *array;
	bool has_gaps; /* something was refused */
};

static void keys_list(const struct key_listing *listing, const struct keyring *keyring)
{
	CLEANUP(cleanup_free) char **doors = calloc(listing->config->n_doors + 1, sizeof *doors);
	uint64_t now_s = clock_us(CLOCK_REALTIME) / US_PER_S;

	if (!doors)
		memory_out();
	for (size_t i = 0; i < keyring->n; i++) {
		struct key_row row = {
			.user = keyring->holders[i].user,
			.is_before = keyring_is_before(keyring, i),
			.doors = doors,
			.term = keyring->terms[i],
			.used_s = burnt_last_s(listing->burnt, &keyring->ids[i]),
			.state = term_state(&keyring->terms[i], now_s),
		};

		find_doors(listing->config, row.user, doors);
		if (listing->array)
			put_row(listing->array, &row);
		else
			add_row(listing->table, &row);
	}
}

static void on_refused(void *userdata, const char *file, const char *text)
{
	struct key_listing *listing = userdata;

	listing->has_gaps = true;
	fprintf(stderr, "knocktail keys: %s%s%s: %s\n", listing->config->keys, file ? "/" : "",
		file ? file : "", text);
}

static enum status keys_show(const struct config *config, const char *state, bool json)
{
	static const char *const headline[] = {"USER", "KEY", "DOORS", "USED", "EXPIRES", "STATE"};
	CLEANUP(cleanup_table_free) struct table *table = table_new(6, headline);
	CLEANUP(cleanup_free) char *burnt = NULL;
	struct key_listing listing = {
		.config = config, .table = table, .array = json ? json_object_new_array() : NULL};
	struct keyring *keyring = NULL;
	int r = sodium_init() < 0 || asprintf(&burnt, "%s/burnt", state) < 0 ? -ENOMEM : 0;

	listing.burnt = burnt;
	if (r == 0)
		r = keyring_load(config->keys, config->realm, on_refused, &listing, &keyring);
	if (r == 0)
		keys_list(&listing, keyring);
	if (r == 0 && json)
		json_print(listing.array);
	else
		json_object_put(listing.array);
	if (r == 0 && !json)
		table_print(table);
	if (r < 0)
		fprintf(stderr, "knocktail keys: %s\n", strerror(-r));
	keyring_free(keyring);
	return r < 0 || listing.has_gaps ? STATUS_FAILED : STATUS_OK;
}

static enum status keys_run(int argc, char *argv[])
{
	const char *path = KNOCKTAIL_CONF, *state = LOCALSTATEDIR "/lib/knocktail";
	struct config *config;
	enum status status;
	bool json = false;
	const struct verb_option options[] = {
		{"config", 'c', .text = &path},
		{"state", .text = &state},
		{"output", 'o', .json = &json},
		{0},
	};

	if (!options_read(&verb_keys, argc, argv, options, &status))
		return status;
	if (verb_check_end(&verb_keys, argc, argv) != STATUS_OK)
		return STATUS_USAGE;
	status = verb_load_config(path, &config);
	if (status != STATUS_OK)
		return status;
	status = keys_show(config, state, json);
	config_free(config);
	return status;
}

const struct verb verb_keys = {
	.name = "keys",
	.summary = "list the users' keys, what they open, and when they end",
	.help = "Usage: knocktail keys [-c FILE] [--state DIR] [-o text|json]\n"
		"\n"
		"Lists the keys that the daemon takes when it reads them: the user, whether it is\n"
		"the current key or the one before it, the doors that it opens, when a knock with\n"
		"it was last recorded as used, when it expires, and whether it is good now. Those\n"
		"that are refused are named on standard error. Needs root.\n"
		"\n"
		"  -c, --config FILE  the configuration (default: " KNOCKTAIL_CONF ")\n"
		"      --state DIR    where the daemon keeps what was used\n"
		"                     (default: " LOCALSTATEDIR "/lib/knocktail)\n"
		"  -o, --output FORM  text (default) or json\n"
		"  -h, --help         print this\n"
		"\n"
		"Exit status: 0 done, also if there is none, 1 something could not be read or was\n"
		"refused, 2 bad usage or configuration.\n",
	.run = keys_run,
};
