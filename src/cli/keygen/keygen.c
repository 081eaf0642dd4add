/* knocktail keygen: a new key for a user.
 *
 * MUST: overwrite a key only to replace it, and keep it in the same file then, unless others may
 * know it or the daemon would refuse the file: then nothing is changed. Nobody can read a new one
 * but root and the group that the directory is there for. The key is printed by --qr alone.
 */
#include <errno.h>
#include <limits.h>
#include <sodium.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "cli/common/config.h"
#include "cli/common/json.h"
#include "cli/common/options.h"
#include "cli/common/output.h"
#include "cli/keygen/fleet-key.h"
#include "cli/keygen/key-create.h"
#include "cli/keygen/key-text.h"
#include "cli/keygen/qr.h"
#include "cli/page/page.h"
#include "cli/verb.h"
#include "config/config.h"
#include "core/door.h"
#include "core/key-file.h"
#include "keys/machine.h"
#include "match/checked-config.h"
#include "util/cleanup.h"
#include "util/clock.h"

#define FLEET_KEY_PATH KNOCKTAIL_ETC "/fleet.key"

enum { FILE_NAME_MAX = USER_NAME_MAX + sizeof ".key" };

static void print_advice(const char *user, const char *path)
{
	printf("%s: a new key for %s. Copy it to the machine that %s knocks from, where nobody\n"
	       "else may read it, for example by running this there:\n"
	       "\n"
	       "    (umask 077; mkdir -p ~/.config/knocktail; ssh GATEWAY sudo cat %s \\\n"
	       "        >~/.config/knocktail/GATEWAY.key)\n"
	       "\n"
	       "and knock from there with\n"
	       "\n"
	       "    knocktap --key ~/.config/knocktail/GATEWAY.key --door DOOR GATEWAY\n"
	       "\n"
	       "once the door has\n"
	       "\n"
	       "    auth  = token\n"
	       "    users = %s\n"
	       "\n"
	       "and knocktaild has been reloaded.\n",
	       path, user, user, path, user);
}

/* What is said of a new key. */
enum saying { SAY_ADVICE, SAY_ADVICE_AND_KEY, SAY_JSON };

/* A new key, and what is said of it. */
struct new_key {
	const char *user;
	char realm[REALM_MAX + 1];
	enum saying saying;
	struct key_term term;
	bool replaces;
	uint64_t now_s, old_expires_s; /* when the one that it replaces ends */
	struct page *page;	       /* NULL: none */
};

static void print_times(const struct new_key *key)
{
	char date[KEY_DATE_SIZE];

	if (key->term.expires_s > 0)
		printf("\nIt expires on %s.\n", key_date_format(key->term.expires_s, date));
	if (key->replaces)
		printf("\nThe key before is good until %s.\n",
		       key_date_format(key->old_expires_s, date));
}

static void keygen_print_json(const struct new_key *key, const char *path)
{
	struct json_object *document = json_object_new_object();

	json_put_text(document, "user", key->user);
	json_put_text(document, "realm", key->realm);
	json_put_text(document, "file", path);
	json_put_time(document, "since", key->term.since_s * US_PER_S);
	json_put_time(document, "expires", key->term.expires_s * US_PER_S);
	json_put_time(document, "old_expires", key->old_expires_s * US_PER_S);
	json_put_text(document, "page", key->page ? key->page->wish->file : NULL);
	json_print(document);
}

static enum status keygen_say(const struct new_key *key, const char *path, const char *line)
{
	if (key->saying == SAY_JSON) {
		keygen_print_json(key, path);
	} else {
		print_advice(key->user, path);
		print_times(key);
		if (key->page)
			putchar('\n');
	}
	if (key->page && key->saying != SAY_JSON)
		return page_say(key->page);
	if (key->saying == SAY_ADVICE_AND_KEY && qr_print(line, strcspn(line, "\n")) < 0) {
		fputs("knocktail keygen: no memory for a QR code\n", stderr);
		return STATUS_FAILED;
	}
	return STATUS_OK;
}

static enum status keygen_fail(const char *path, int error)
{
	fprintf(stderr, "knocktail keygen: %s: %s\n", path,
		error == -EEXIST   ? "key already exists; not overwritten (see --rotate)"
		: error == -EACCES ? "not permitted, or others may write into this directory"
				   : strerror(-error));
	return STATUS_FAILED;
}

static enum status keygen_write_page(const struct new_key *key, const char *path, const char *line)
{
	enum status status = STATUS_OK;

	if (key->page)
		status = page_write(key->page, line, &key->term, key->now_s);
	if (status != STATUS_OK)
		fprintf(stderr,
			"knocktail keygen: %s: the key has been made; for its page: knocktail "
			"page %s\n",
			path, key->user);
	return status;
}

/* Writes the file, and shows the key if that was asked for. `old` is NULL, or the one to keep. */
static enum status keygen_write(int directory, const struct stat *st, const char *name,
				const char *path, const struct new_key *key,
				const struct old_key *old)
{
	char line[KEY_LINE_MAX + 1];
	enum status status;
	int r = key_create(directory, st, name, key->realm, &key->term, old, key->now_s, line);

	status = r < 0 ? keygen_fail(path, r) : keygen_write_page(key, path, line);
	if (status == STATUS_OK)
		status = keygen_say(key, path, line);
	sodium_memzero(line, sizeof line);
	return status;
}

/* The one that is there goes on for a while. */
static enum status keygen_replace(int directory, const struct stat *st, const char *name,
				  const char *path, struct new_key *key)
{
	char other_realm[2 * REALM_MAX + 80];
	struct old_key old;
	const char *fault = old_key_read(directory, st, name, &old);
	enum status status;

	if (!fault && strcmp(old.realm, key->realm) != 0) {
		sodium_memzero(&old.line, sizeof old.line);
		snprintf(other_realm, sizeof other_realm,
			 "it is for the realm %s, and the new one is for %s", old.realm,
			 key->realm);
		fault = other_realm;
	}
	if (fault) {
		fprintf(stderr,
			"knocktail keygen: %s: cannot replace this key: %s (for a new key without "
			"the old one, remove this file, if it is there, and leave out --rotate)\n",
			path, fault);
		return STATUS_FAILED;
	}
	if (old.term.expires_s == 0 || old.term.expires_s > key->old_expires_s)
		old.term.expires_s = key->old_expires_s;
	key->old_expires_s = old.term.expires_s;
	status = keygen_write(directory, st, name, path, key, &old);
	sodium_memzero(&old, sizeof old);
	return status;
}

static enum status keygen_create(const char *keys, struct new_key *key)
{
	CLEANUP(cleanup_close) int directory = -1;
	char name[FILE_NAME_MAX], path[PATH_MAX];
	struct stat st;
	int r;

	snprintf(name, sizeof name, "%s.key", key->user);
	if ((size_t)snprintf(path, sizeof path, "%s/%s", keys, name) >= sizeof path)
		return keygen_fail(keys, -ENAMETOOLONG);
	r = key_directory_open(keys, &directory, &st);
	if (r < 0)
		return keygen_fail(keys, r);
	return key->replaces ? keygen_replace(directory, &st, name, path, key)
			     : keygen_write(directory, &st, name, path, key, NULL);
}

/* The one given, or (NULL) the machine's own. */
static enum status keygen_choose_realm(const char *given, char ret[static REALM_MAX + 1])
{
	int r = 0;

	if (given)
		snprintf(ret, REALM_MAX + 1, "%s", given);
	else
		r = machine_realm(ret);
	if (r < 0)
		fprintf(stderr,
			"knocktail keygen: /etc/machine-id: %s; so a realm must be named: realm in "
			"[options], or --realm\n",
			strerror(-r));
	return r < 0 ? STATUS_FAILED : STATUS_OK;
}

/* With the page that was asked for; what there is to complain of is found before anything is
 * written. */
static enum status keygen_create_all(const char *keys, const struct page_wish *wish,
				     const struct config *config, struct new_key *key)
{
	enum status status;
	struct page page;

	if (!wish->file)
		return keygen_create(keys, key);
	status = page_prepare(wish, &verb_keygen, config, key->user, &page);
	if (status != STATUS_OK)
		return status;
	key->page = &page;
	status = keygen_create(keys, key);
	key->page = NULL;
	page_done(&page);
	return status;
}

/* Warnings are for `check` to print: one of them is that a door's user has no key yet. */
static enum status keygen_load_config(const char *path, struct config **ret)
{
	struct complaints complaints;
	int r = checked_config_load(path, ret, &complaints);

	if (r < 0)
		verb_print_complaints(path, &complaints);
	complaints_done(&complaints);
	return verb_config_status(path, r);
}

/* In the directory, and for the realm, that the configuration names. */
static enum status keygen_configured(const char *path, const struct page_wish *wish,
				     struct new_key *key)
{
	struct config *config;
	enum status status = keygen_load_config(path, &config);

	if (status != STATUS_OK)
		return status;
	status = keygen_choose_realm(config->realm, key->realm);
	if (status == STATUS_OK)
		status = keygen_create_all(config->keys, wish, config, key);
	config_free(config);
	return status;
}

/* What was asked for on the command line. */
struct keygen_line {
	const char *path, *keys, *realm, *since, *expires, *rotate;
	struct page_wish page;
	bool json, fleet;
};

/* Reads the times. NULL, or what is wrong with them. */
static const char *keygen_take_times(const struct keygen_line *line, struct new_key *key)
{
	key->now_s = (uint64_t)time(NULL);
	key->replaces = line->rotate != NULL;
	if (line->since && key_moment_parse(line->since, key->now_s, false, &key->term.since_s) < 0)
		return "--since needs a date: 2027-01-01, or 2027-01-01T08:00:00Z";
	if (line->expires &&
	    key_moment_parse(line->expires, key->now_s, true, &key->term.expires_s) < 0)
		return "--expires needs a date (2027-01-01, or 2027-01-01T08:00:00Z) or a time span "
		       "(90d)";
	if (line->rotate &&
	    key_moment_parse(line->rotate, key->now_s, true, &key->old_expires_s) < 0)
		return "--rotate needs the time span for which the old key is still good (7d), or a "
		       "date";
	if (key->term.expires_s > 0 &&
	    (key->term.expires_s <= key->now_s || key->term.expires_s <= key->term.since_s))
		return "the key would have expired before it is good";
	return NULL;
}

/* What cannot be asked for at once or at all; NULL: all is well. */
static const char *keygen_fault(const struct keygen_line *line)
{
	if (line->path && line->keys)
		return "--config and --keys cannot be combined";
	if (line->realm && !line->keys)
		return "--realm needs --keys: the configuration names the realm";
	if (line->realm && !realm_is_name(line->realm))
		return "a realm has 1 to 64 characters from a-z, 0-9, '.', '_' and '-'";
	if (line->page.qr && !qr_is_built_in)
		return "--qr: this knocktail was built without libqrencode";
	if (line->page.qr && line->json)
		return "--qr and -o json cannot be combined";
	if (line->page.url && line->json)
		return "--url and -o json cannot be combined";
	return page_wish_fault(&line->page);
}

static enum status keygen_make(const struct keygen_line *line, const char *user)
{
	struct new_key key = {.user = user};
	const char *fault = keygen_take_times(line, &key);
	enum status status;

	if (fault) {
		fprintf(stderr, "knocktail keygen: %s\n", fault);
		return verb_misused(&verb_keygen);
	}

	if (line->page.qr || line->json)
		key.saying = line->json ? SAY_JSON : SAY_ADVICE_AND_KEY;
	if (!user_is_name(user)) {
		fprintf(stderr,
			"knocktail keygen: user names have 1 to %d characters from a-z, 0-9, _ and "
			"-, and start with a letter or a digit\n",
			USER_NAME_MAX);
		return STATUS_USAGE;
	}
	if (sodium_init() < 0)
		return STATUS_FAILED;
	if (!line->keys)
		return keygen_configured(line->path ? line->path : KNOCKTAIL_CONF, &line->page,
					 &key);
	status = keygen_choose_realm(line->realm, key.realm);
	return status == STATUS_OK ? keygen_create_all(line->keys, &line->page, NULL, &key)
				   : status;
}

/* The fleet's key is nobody's, has no realm and no time. */
static enum status keygen_for_fleet(const struct keygen_line *line, int argc, char *argv[])
{
	const char *path = FLEET_KEY_PATH;

	if (line->path || line->keys || line->realm || line->since || line->expires ||
	    line->rotate || line->page.qr || line->page.file || line->page.n_hosts > 0 ||
	    line->page.n_doors > 0 || line->page.url || line->page.has_no_passphrase ||
	    line->json) {
		fputs("knocktail keygen: --fleet stands alone, but for a file\n", stderr);
		return verb_misused(&verb_keygen);
	}
	if (optind < argc)
		path = argv[optind++];
	if (verb_check_end(&verb_keygen, argc, argv) != STATUS_OK)
		return STATUS_USAGE;
	return fleet_key_create(path);
}

static enum status keygen_run(int argc, char *argv[])
{
	struct keygen_line line = {0};
	const char *fault, *user;
	enum status status;
	const struct verb_option options[] = {
		{"config", 'c', .text = &line.path},
		{"keys", .text = &line.keys},
		{"realm", .text = &line.realm},
		{"since", .text = &line.since},
		{"expires", .text = &line.expires},
		{"rotate", .text = &line.rotate},
		{"qr", .given = &line.page.qr},
		{"page", .text = &line.page.file},
		{"host", .parse = page_wish_add_host, .userdata = &line.page},
		{"door", .parse = page_wish_add_door, .userdata = &line.page},
		{"url", .text = &line.page.url},
		{"no-passphrase", .given = &line.page.has_no_passphrase},
		{"fleet", .given = &line.fleet},
		{"output", 'o', .json = &line.json},
		{0},
	};

	if (!options_read(&verb_keygen, argc, argv, options, &status))
		return status;
	if (line.fleet)
		return keygen_for_fleet(&line, argc, argv);
	fault = keygen_fault(&line);
	if (!fault && optind >= argc)
		fault = "no user";
	if (fault) {
		fprintf(stderr, "knocktail keygen: %s\n", fault);
		return verb_misused(&verb_keygen);
	}
	user = argv[optind++];
	if (verb_check_end(&verb_keygen, argc, argv) != STATUS_OK)
		return STATUS_USAGE;
	return keygen_make(&line, user);
}

const struct verb verb_keygen = {
	.name = "keygen",
	.summary = "make a key for a user",
	.help = "Usage: knocktail keygen [-c FILE | --keys DIR [--realm REALM]] [--since DATE]\n"
		"                        [--expires DATE|SPAN] [--rotate SPAN] [--qr]\n"
		"                        [--page FILE [--host NAME]... [--door NAME]...\n"
		"                        [--url URL] [--no-passphrase]] [-o text|json] USER\n"
		"       knocktail keygen --fleet [FILE]\n"
		"\n"
		"Writes a new key to USER.key in the directory of the keys, for tokens and SPA\n"
		"knocks at this server (its realm), and says how to bring it to the client. A key\n"
		"that is there stays as it is, or with --rotate is good for a while longer.\n"
		"\n"
		"  -c, --config FILE  the configuration that names the directory and the realm\n"
		"                     (default: " KNOCKTAIL_CONF ")\n"
		"      --keys DIR     the directory; the configuration is not read\n"
		"      --realm REALM  the realm (default: this machine's own)\n"
		"      --since DATE   it opens nothing before this: 2027-01-01, which begins at\n"
		"                     midnight in UTC, or 2027-01-01T08:00:00Z\n"
		"      --expires DATE|SPAN  nor from then on; a span, such as 90d, begins now\n"
		"      --rotate SPAN  replace the user's key, which is good for so long: 7d\n"
		"      --qr           also show the key as a QR code; with --page, sealed\n"
		"      --page FILE    also write a page that knocks with it from any browser, as\n"
		"                     'knocktail page' does. For it:\n"
		"      --host NAME    a host to knock at (default: this machine)\n"
		"      --door NAME    a door (default: all that the user can open from a browser)\n"
		"      --url URL      where it will be served: shown as a QR code as well\n"
		"      --no-passphrase  do not seal the key in it\n"
		"      --fleet        a key for a fleet, in FILE (default:\n"
		"                     " FLEET_KEY_PATH ")\n"
		"  -o, --output FORM  text (default) or json: user, realm, file, times, page\n"
		"  -h, --help         print this\n"
		"\n"
		"Exit status: 0 there is a new key, 1 there is none, 2 bad usage or\n"
		"configuration.\n",
	.run = keygen_run,
};
