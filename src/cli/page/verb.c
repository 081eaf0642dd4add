/* knocktail page: a page that knocks, for a key that is there. */
#include <errno.h>
#include <fcntl.h>
#include <sodium.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "cli/common/config.h"
#include "cli/common/options.h"
#include "cli/keygen/key-create.h"
#include "cli/keygen/key-text.h"
#include "cli/keygen/qr.h"
#include "cli/page/page.h"
#include "cli/verb.h"
#include "config/config.h"
#include "util/cleanup.h"

/* What was asked for on the command line. */
struct page_line {
	const char *path, *keys, *user;
	struct page_wish wish;
};

static enum status key_refuse(const char *keys, const char *name, const char *why)
{
	fprintf(stderr, "knocktail page: %s/%s: %s\n", keys, name, why);
	return STATUS_FAILED;
}

/* The user's key, the one in force. */
static enum status key_load(const char *keys, const char *user, uint64_t now_s, struct old_key *ret)
{
	char name[USER_NAME_MAX + sizeof ".key"], date[KEY_DATE_SIZE], text[80];
	CLEANUP(cleanup_close) int fd = open(keys, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	const char *fault;
	struct stat st;

	snprintf(name, sizeof name, "%s.key", user);
	if (fd < 0 || fstat(fd, &st) < 0)
		return key_refuse(keys, name, strerror(errno));
	fault = old_key_read(fd, &st, name, ret);
	if (!fault && ret->term.expires_s > 0 && ret->term.expires_s <= now_s) {
		sodium_memzero(ret->line, sizeof ret->line);
		snprintf(text, sizeof text, "it expired on %s (knocktail keygen --rotate)",
			 key_date_format(ret->term.expires_s, date));
		fault = text;
	}
	return fault ? key_refuse(keys, name, fault) : STATUS_OK;
}

static enum status page_make(const struct page_line *line, const char *keys,
			     const struct config *config)
{
	uint64_t now_s = (uint64_t)time(NULL);
	struct old_key key;
	struct page page;
	enum status status;

	if (sodium_init() < 0)
		return STATUS_FAILED;
	status = key_load(keys, line->user, now_s, &key);
	if (status != STATUS_OK)
		return status;
	status = page_prepare(&line->wish, &verb_page, config, line->user, &page);
	if (status == STATUS_OK) {
		status = page_write(&page, key.line, &key.term, now_s);
		if (status == STATUS_OK)
			status = page_say(&page);
		page_done(&page);
	}
	sodium_memzero(&key, sizeof key);
	return status;
}

static enum status page_make_configured(const struct page_line *line)
{
	struct config *config;
	enum status status = verb_load_config(line->path ? line->path : KNOCKTAIL_CONF, &config);

	if (status != STATUS_OK)
		return status;
	status = page_make(line, config->keys, config);
	config_free(config);
	return status;
}

/* What cannot be asked for; NULL: all is well. */
static const char *page_line_fault(const struct page_line *line)
{
	if (line->path && line->keys)
		return "--config and --keys cannot be combined";
	if (!user_is_name(line->user))
		return "the user is not one that can have a key";
	if (line->wish.qr && !qr_is_built_in)
		return "--qr: this knocktail was built without libqrencode";
	return page_wish_fault(&line->wish);
}

static enum status page_run(int argc, char *argv[])
{
	struct page_line line = {0};
	enum status status;
	const char *fault;
	const struct verb_option options[] = {
		{"config", 'c', .text = &line.path},
		{"keys", .text = &line.keys},
		{"host", .parse = page_wish_add_host, .userdata = &line.wish},
		{"door", .parse = page_wish_add_door, .userdata = &line.wish},
		{"url", .text = &line.wish.url},
		{"no-passphrase", .given = &line.wish.has_no_passphrase},
		{"qr", .given = &line.wish.qr},
		{0},
	};

	if (!options_read(&verb_page, argc, argv, options, &status))
		return status;
	if (optind + 2 > argc) {
		fprintf(stderr, "knocktail page: it needs a user and the name of a new file\n");
		return verb_misused(&verb_page);
	}
	line.user = argv[optind++];
	line.wish.file = argv[optind++];
	if (verb_check_end(&verb_page, argc, argv) != STATUS_OK)
		return STATUS_USAGE;
	fault = page_line_fault(&line);
	if (fault) {
		fprintf(stderr, "knocktail page: %s\n", fault);
		return verb_misused(&verb_page);
	}
	return line.keys ? page_make(&line, line.keys, NULL) : page_make_configured(&line);
}

const struct verb verb_page = {
	.name = "page",
	.summary = "make a page that knocks from any browser",
	.help = "Usage: knocktail page [-c FILE | --keys DIR] [--host NAME]... [--door NAME]...\n"
		"                      [--url URL] [--no-passphrase] [--qr] USER FILE\n"
		"\n"
		"Writes a page of HTML that knocks with the user's key: one file that needs no\n"
		"other, for a phone or whatever else has a browser. Its passphrase is asked for\n"
		"on the terminal.\n"
		"\n"
		"  -c, --config FILE  the configuration that names the directory of the keys, and\n"
		"                     the doors (default: " KNOCKTAIL_CONF ")\n"
		"      --keys DIR     the directory; the configuration is not read\n"
		"      --host NAME    the host to knock at, a name or an address, or one of them\n"
		"                     (default: this machine's name)\n"
		"      --door NAME    the door, or one of them (default: all that the user can\n"
		"                     open from a browser)\n"
		"      --url URL      where the page will be served: shown as a QR code as well\n"
		"      --no-passphrase  do not seal the key: the file alone is enough to knock\n"
		"      --qr           also show the key, sealed, as a QR code for knocktap\n"
		"  -h, --help         print this\n"
		"\n"
		"Exit status: 0 there is a new page, 1 there is none, 2 bad usage or\n"
		"configuration.\n",
	.run = page_run,
};
