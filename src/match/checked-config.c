#include "match/checked-config.h"

#include <errno.h>
#include <limits.h>
#include <sodium.h>
#include <stdio.h>
#include <string.h>

#include "config/config.h"
#include "config/load.h"
#include "core/other-log.h"
#include "format/format.h"
#include "keys/keyring.h"
#include "keys/one-time.h"
#include "util/clock.h"

enum { KEY_TEXT_MAX = 400 };

/* A file that the configuration names, while it is read. */
struct named_file {
	const char *path;
	struct complaints *complaints;
};

static void on_complaint(void *userdata, unsigned line, bool warning, const char *text)
{
	const struct named_file *file = userdata;

	complain_about(file->complaints, file->path, line, warning, text);
}

/* A door that asks for what the pattern of its log does not find would never open. */
static void check_groups(struct complaints *complaints, const struct config *config,
			 const struct other_log *log, const struct format *format)
{
	for (size_t i = 0; i < config->n_doors; i++) {
		const struct door *door = &config->doors[i];
		const struct filter *filter = &door->knock.filter;

		if (filter->log != log->id)
			continue;
		if (filter->interface[0] && !format_knows_interface(format))
			complain_error(complaints, log->line,
				       "log %s: pattern has no group named IN, but door %s has "
				       "an interface",
				       log->name, door->name);
		if (door->auth & AUTH_SPA)
			complain_warning(
				complaints, log->line,
				"log %s: %s, in which the SPA knocks of door %s are", log->name,
				log->form == LOG_FORM_KERNEL ? "ulogd writes no TCP options"
							     : "a pattern finds no TCP options",
				door->name);
		if (filter->has_target && !format_knows_target(format))
			complain_error(complaints, log->line,
				       "log %s: pattern has no group named DST, but door %s has "
				       "a target",
				       log->name, door->name);
	}
}

static int check_patterns(struct complaints *complaints, const struct config *config)
{
	for (size_t i = 0; i < config->n_logs; i++) {
		const struct other_log *log = &config->logs[i];
		struct format_error error;
		struct format *format;
		int r = log->form == LOG_FORM_KERNEL
				? format_new_relayed(config->log_prefix, &format)
				: format_new_custom(log->pattern, &error, &format);

		if (r == -EINVAL) {
			complain_error(complaints, log->line, "log %s: pattern: %s", log->name,
				       error.text);
			continue;
		}
		if (r < 0)
			return r;
		check_groups(complaints, config, log, format);
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

static int check_one_time(struct complaints *complaints, const struct config *config)
{
	for (size_t i = 0; i < config->n_doors; i++) {
		struct named_file named = {config->doors[i].one_time_sequences, complaints};
		struct one_time *file;
		int r;

		if (!named.path || !is_first(config, i))
			continue;
		r = one_time_open(named.path, on_complaint, &named, &file);
		if (r == 0)
			one_time_free(file);
		else if (r != -EBADMSG)
			return r;
	}
	return 0;
}

static void complain_about_key(const struct named_file *directory, const char *file,
			       const char *text)
{
	char path[PATH_MAX];

	snprintf(path, sizeof path, "%s%s%s", directory->path, file ? "/" : "", file ? file : "");
	complain_about(directory->complaints, path, 0, true, text);
}

static void on_refused_key(void *userdata, const char *file, const char *text)
{
	char refused[KEY_TEXT_MAX];

	snprintf(refused, sizeof refused, "refused: %s", text);
	complain_about_key(userdata, file, refused);
}

static void check_user_keys(struct complaints *complaints, const struct door *door,
			    const struct keyring *keyring, const char *keys)
{
	for (char *const *user = door->users; user && *user; user++)
		if (strcmp(*user, "*") != 0 && keyring_find(keyring, *user) == SIZE_MAX)
			complain_warning(complaints, 0,
					 "door %s: %s has no key in %s: knocktail keygen",
					 door->name, *user, keys);
}

static void check_key_terms(const struct named_file *directory, const struct keyring *keyring)
{
	uint64_t now_s = clock_us(CLOCK_REALTIME) / US_PER_S;
	char text[KEY_WARNING_SIZE], file[USER_NAME_MAX + sizeof ".key"];

	for (size_t i = 0; i < keyring->n; i++) {
		if (!keyring_warning(keyring, i, now_s, text))
			continue;
		snprintf(file, sizeof file, "%s.key", keyring->holders[i].user);
		complain_about_key(directory, file, text);
	}
}

/* A wrong key of one user must not lock the others out: it is a warning. */
static int check_keys(struct complaints *complaints, const struct config *config)
{
	struct named_file directory = {config->keys, complaints};
	struct keyring *keyring = NULL;
	unsigned auth = 0;
	int r;

	for (size_t i = 0; i < config->n_doors; i++)
		auth |= config->doors[i].auth;
	if (!(auth & (AUTH_TOKEN | AUTH_SPA)))
		return 0;
	if (sodium_init() < 0)
		return -ENOMEM;
	r = keyring_load(config->keys, config->realm, on_refused_key, &directory, &keyring);
	if (r < 0)
		return r;
	for (size_t i = 0; i < config->n_doors; i++)
		check_user_keys(complaints, &config->doors[i], keyring, config->keys);
	check_key_terms(&directory, keyring);
	keyring_free(keyring);
	return 0;
}

/* What config_load() cannot know: whether patterns compile, and what is in other files. 0 or
 * -ENOMEM. */
static int check_named(struct complaints *complaints, const struct config *config)
{
	int r = check_patterns(complaints, config);

	if (r == 0)
		r = check_keys(complaints, config);
	if (r == 0)
		r = check_one_time(complaints, config);
	return r < 0 ? r : complaints->error;
}

int checked_config_load(const char *path, struct config **ret_config,
			struct complaints *ret_complaints)
{
	struct config *config = NULL;
	int r = config_load(path, &config, ret_complaints);

	if (r < 0 && r != -ENOMEM && r != -EBADMSG) {
		complain_error(ret_complaints, 0, "cannot read it: %s", strerror(-r));
		return ret_complaints->error < 0 ? -ENOMEM : -EBADMSG;
	}
	if (r == 0)
		r = check_named(ret_complaints, config);
	if (r == 0 && ret_complaints->n_errors > 0)
		r = -EBADMSG;
	if (r < 0) {
		config_free(config);
		return r;
	}
	*ret_config = config;
	return 0;
}
