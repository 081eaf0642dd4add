#include "match/checked-config.h"

#include <errno.h>
#include <limits.h>
#include <sodium.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "config/config.h"
#include "core/other-log.h"
#include "format/format.h"
#include "keys/keyring.h"
#include "keys/one-time.h"
#include "util/log.h"

static void print_complaint(const char *path, const struct complaint *complaint)
{
	const char *kind = complaint->warning ? "warning" : "error";
	int priority = complaint->warning ? LOG_WARNING : LOG_ERR;

	if (complaint->line > 0)
		log_line(priority, "%s:%u: %s: %s", path, complaint->line, kind, complaint->text);
	else
		log_line(priority, "%s: %s: %s", path, kind, complaint->text);
}

/* What config_load() cannot know: whether patterns compile, and what is in other files. */
struct config_loading {
	const char *path; /* of the file that is complained about */
	const char *keys; /* the directory */
	size_t n_warnings;
	size_t n_errors;
};

static void add_complaint(void *userdata, unsigned line, bool warning, const char *text)
{
	struct config_loading *loading = userdata;

	loading->n_warnings += warning;
	loading->n_errors += !warning;
	print_complaint(
		loading->path,
		&(struct complaint){.line = line, .warning = warning, .text = (char *)text});
}

__attribute__((format(printf, 3, 4))) static void
complain_error(struct config_loading *loading, unsigned line, const char *format, ...)
{
	char text[400];
	va_list arguments;

	va_start(arguments, format);
	vsnprintf(text, sizeof text, format, arguments);
	va_end(arguments);
	add_complaint(loading, line, false, text);
}

/* A door that asks for what the pattern of its log does not find would never open. */
static void check_listeners(struct config_loading *loading, const struct config *config,
			    const struct other_log *log, const struct format *format)
{
	for (size_t i = 0; i < config->n_doors; i++) {
		const struct door *door = &config->doors[i];
		const struct filter *filter = &door->knock.filter;

		if (filter->origin != log->id)
			continue;
		if (filter->interface[0] && !format_knows_interface(format))
			complain_error(loading, log->line,
				       "log %s: pattern has no group named IN, but door %s has "
				       "an interface",
				       log->name, door->name);
		if (filter->has_target && !format_knows_target(format))
			complain_error(loading, log->line,
				       "log %s: pattern has no group named DST, but door %s has "
				       "a target",
				       log->name, door->name);
	}
}

static int check_patterns(struct config_loading *loading, const struct config *config)
{
	for (size_t i = 0; i < config->n_logs; i++) {
		const struct other_log *log = &config->logs[i];
		struct format_error error;
		struct format *format;
		int r = format_new_custom(log->pattern, &error, &format);

		if (r == -EINVAL) {
			complain_error(loading, log->line, "log %s: pattern: %s", log->name,
				       error.text);
			continue;
		}
		if (r < 0)
			return r;
		check_listeners(loading, config, log, format);
		format_free(format);
	}
	return 0;
}

static bool is_first(const struct config *config, size_t door)
{
	for (size_t i = 0; i < door; i++)
		if (config->doors[i].one_time_sequences &&
		    strcmp(config->doors[i].one_time_sequences,
			   config->doors[door].one_time_sequences) == 0)
			return false;
	return true;
}

static int check_one_time(struct config_loading *loading, const struct config *config)
{
	for (size_t i = 0; i < config->n_doors; i++) {
		struct one_time *file;
		int r;

		loading->path = config->doors[i].one_time_sequences;
		if (!loading->path || !is_first(config, i))
			continue;
		r = one_time_open(loading->path, add_complaint, loading, &file);
		if (r == 0)
			one_time_free(file);
		else if (r != -EBADMSG)
			return r;
	}
	return 0;
}

static void complain_of_key(void *userdata, const char *file, const char *text)
{
	struct config_loading *loading = userdata;
	char path[PATH_MAX];

	snprintf(path, sizeof path, "%s%s%s", loading->keys, file ? "/" : "", file ? file : "");
	loading->n_warnings++;
	log_line(LOG_WARNING, "%s: warning: refused: %s", path, text);
}

static void check_users_of(struct config_loading *loading, const struct door *door,
			   const struct keyring *keyring)
{
	for (char *const *user = door->users; user && *user; user++) {
		if (strcmp(*user, "*") == 0 || keyring_find(keyring, *user) != SIZE_MAX)
			continue;
		loading->n_warnings++;
		log_line(LOG_WARNING, "%s: warning: door %s: %s has no key in %s: knocktail keygen",
			 loading->path, door->name, *user, loading->keys);
	}
}

/* One user's key is no reason to let nobody in: what is wrong with one is a warning. */
static int check_keys(struct config_loading *loading, const struct config *config)
{
	struct keyring *keyring = NULL;
	unsigned auth = 0;
	int r;

	for (size_t i = 0; i < config->n_doors; i++)
		auth |= config->doors[i].auth;
	if (!(auth & (AUTH_TOKEN | AUTH_SPA)))
		return 0;
	loading->keys = config->keys;
	if (sodium_init() < 0)
		return -ENOMEM;
	r = keyring_load(config->keys, complain_of_key, loading, &keyring);
	if (r < 0)
		return r;
	for (size_t i = 0; i < config->n_doors; i++)
		check_users_of(loading, &config->doors[i], keyring);
	keyring_free(keyring);
	return 0;
}

/* 0 or -ENOMEM. */
static int check_rest(struct config_loading *loading, const struct config *config)
{
	int r = check_patterns(loading, config);

	if (r == 0)
		r = check_keys(loading, config);
	return r < 0 ? r : check_one_time(loading, config);
}

int checked_config_load(const char *path, struct config **ret_config, size_t *ret_warnings)
{
	struct config_loading loading = {.path = path};
	struct complaints complaints = {0};
	struct config *config = NULL;
	int r = config_load(path, &config, &complaints);

	for (size_t i = 0; i < complaints.n_items; i++)
		add_complaint(&loading, complaints.items[i].line, complaints.items[i].warning,
			      complaints.items[i].text);
	complaints_done(&complaints);
	if (r < 0 && r != -ENOMEM && r != -EBADMSG) {
		log_line(LOG_ERR, "%s: error: cannot read it: %s", path, strerror(-r));
		r = -EBADMSG;
	}
	if (r == 0)
		r = check_rest(&loading, config);
	if (r == 0 && loading.n_errors > 0)
		r = -EBADMSG;
	if (r < 0) {
		config_free(config);
		return r;
	}
	if (ret_warnings)
		*ret_warnings = loading.n_warnings;
	*ret_config = config;
	return 0;
}
