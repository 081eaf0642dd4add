/* MUST: no file is overwritten. What is written can be read by its owner alone, and is there as a
 * whole or not at all. A key is not sealed only if that was asked for. */
#include "cli/page/page.h"

#include <errno.h>
#include <fcntl.h>
#include <sodium.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "cli/keygen/key-text.h"
#include "cli/keygen/qr.h"
#include "cli/page/compose.h"
#include "util/cleanup.h"
#include "util/file.h"
#include "util/text/utf8.h"

static enum status page_fail(const struct page *page, int error)
{
	fprintf(stderr, "knocktail %s: %s: %s\n", page->verb->name, page->wish->file,
		error == -EEXIST ? "a file of that name exists, and is not overwritten"
				 : strerror(-error));
	return STATUS_FAILED;
}

static enum status passphrase_refuse(const struct page *page, const char *why)
{
	fprintf(stderr, "knocktail %s: no page was written: %s\n", page->verb->name, why);
	return STATUS_FAILED;
}

static const char *ask_fault(int error)
{
	return error == -ENXIO
		       ? "there is no terminal to ask for a passphrase on (a page whose key is not "
			 "sealed has to be asked for: --no-passphrase)"
	       : error == -EMSGSIZE ? "the passphrase is too long"
				    : "no passphrase was given";
}

/* Twice, for what is mistyped here could not be opened. */
static const char *passphrase_take(char passphrase[static PASSPHRASE_MAX + 1])
{
	char again[PASSPHRASE_MAX + 1] = "";
	int r = passphrase_ask("Passphrase for the page: ", passphrase);
	const char *fault = r < 0 ? ask_fault(r) : passphrase_fault(passphrase);

	if (fault)
		return fault;
	r = passphrase_ask("The same again: ", again);
	if (r < 0)
		fault = ask_fault(r);
	else if (strcmp(passphrase, again) != 0)
		fault = "the two passphrases differ";
	sodium_memzero(again, sizeof again);
	return fault;
}

static enum status page_ask(struct page *page)
{
	enum { FEW = 12 };
	const char *fault;

	if (page->wish->has_no_passphrase)
		return STATUS_OK;
	fault = passphrase_take(page->passphrase);
	if (fault)
		return passphrase_refuse(page, fault);
	if (utf8_count(page->passphrase) < FEW)
		fprintf(stderr,
			"knocktail %s: warning: a short passphrase: whoever gets hold of the page can "
			"try as many as they like; five words chosen at random are better\n",
			page->verb->name);
	return STATUS_OK;
}

/* So that nothing else gets it, a key for this page above all; and what cannot be written is known
 * before there is a key. */
static int page_reserve(struct page *page)
{
	const char *path = page->wish->file, *slash = strrchr(path, '/');
	int n_before = slash ? (int)(slash + 1 - path) : 0;
	CLEANUP(cleanup_close) int fd = -1;

	if ((size_t)snprintf(page->temporary, sizeof page->temporary, "%.*s.knocktail-%08x",
			     n_before, path, randombytes_random()) >= sizeof page->temporary)
		return -ENAMETOOLONG;
	fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
	if (fd < 0)
		return -errno;
	page->is_reserved = true;
	return 0;
}

enum status page_prepare(const struct page_wish *wish, const struct verb *verb,
			 const struct config *config, const char *user, struct page *ret)
{
	enum status status;
	struct stat st;

	*ret = (struct page){.wish = wish, .verb = verb};
	status = page_wish_resolve(wish, verb, config, user, &ret->content);
	if (status == STATUS_OK && lstat(wish->file, &st) == 0)
		status = page_fail(ret, -EEXIST);
	else if (status == STATUS_OK && errno != ENOENT)
		status = page_fail(ret, -errno);
	if (status == STATUS_OK)
		status = page_ask(ret);
	if (status == STATUS_OK) {
		int r = page_reserve(ret);

		if (r < 0)
			status = page_fail(ret, r);
	}
	if (status != STATUS_OK)
		page_done(ret);
	return status;
}

static void page_seal(struct page *page, const char *line, const struct key_term *term)
{
	uint8_t random[SEALED_RANDOM_SIZE];
	char text[KEY_FILE_MAX + 1];

	key_text_write(line, term, NULL, 0, text);
	randombytes_buf(random, sizeof random);
	if (page->wish->has_no_passphrase)
		open_line_format(text, strlen(text), page->key_line);
	else
		sealed_line_format(text, strlen(text), page->passphrase, strlen(page->passphrase),
				   random, page->key_line);
	sodium_memzero(text, sizeof text);
}

/* Under another name first, beside it. */
static int page_put(struct page *page, const char *text, size_t size)
{
	CLEANUP(cleanup_close)
	int fd = open(page->temporary, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
	int r;

	if (fd < 0)
		return -errno;
	r = file_write(fd, text, size);
	if (r == 0 && (fsync(fd) < 0 || rename(page->temporary, page->wish->file) < 0))
		r = -errno;
	if (r < 0)
		unlink(page->temporary);
	else
		page->is_reserved = false;
	return r;
}

enum status page_write(struct page *page, const char *line, const struct key_term *term,
		       uint64_t now_s)
{
	char *text = NULL;
	size_t size = 0;
	int r;

	page_seal(page, line, term);
	r = page_compose(&page->content, page->key_line, now_s, &text, &size);
	if (r == 0) {
		r = page_put(page, text, size);
		sodium_memzero(text, size);
		free(text);
	}
	return r < 0 ? page_fail(page, r) : STATUS_OK;
}

static enum status say_qr(const struct page *page, const char *text)
{
	if (!qr_is_built_in || qr_print(text, strlen(text)) == 0)
		return STATUS_OK;
	fprintf(stderr, "knocktail %s: no memory for a QR code\n", page->verb->name);
	return STATUS_FAILED;
}

enum status page_say(const struct page *page)
{
	enum status status = STATUS_OK;

	printf("%s: a page that knocks at", page->wish->file);
	for (size_t i = 0; i < page->content.n_hosts; i++)
		printf("%s %s", i > 0 ? "," : "", page->content.hosts[i]);
	printf(", for the doors");
	for (size_t i = 0; i < page->content.n_doors; i++)
		printf("%s %s", i > 0 ? "," : "", page->content.doors[i].name);
	printf(". Bring it to the\nphone, or serve it over https; a browser opens it. ");
	puts(page->wish->has_no_passphrase
		     ? "Its key is NOT sealed: who gets\nhold of the file can knock."
		     : "Its passphrase opens it\nthere, and knocktap --key takes it, too.");
	if (page->wish->qr)
		status = say_qr(page, page->key_line);
	if (page->wish->url) {
		printf("\nWhere it is served: %s\n", page->wish->url);
		if (status == STATUS_OK)
			status = say_qr(page, page->wish->url);
	}
	return status;
}

void page_done(struct page *page)
{
	if (page->is_reserved)
		unlink(page->wish->file);
	page->is_reserved = false;
	sodium_memzero(page->passphrase, sizeof page->passphrase);
	sodium_memzero(page->key_line, sizeof page->key_line);
}
