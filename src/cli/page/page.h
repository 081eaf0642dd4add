/* A page that knocks: one file of HTML, with a key in it. */
#pragma once

#include "cli/page/wish.h"
#include "core/sealed/line.h"
#include "util/passphrase.h"

#include <limits.h>
#include <stdbool.h>
#include <stdint.h>

struct config;
struct key_term;
struct verb;

struct page {
	const struct page_wish *wish;
	const struct verb *verb;
	struct page_content content;
	char temporary[PATH_MAX]; /* the file's name before it is whole */
	bool is_reserved;	  /* an empty file has the name that it will have */
	char passphrase[PASSPHRASE_MAX + 1];
	char key_line[SEALED_LINE_MAX + 1];
};

/* Finds out all that a page needs but the key, asks for the passphrase, and takes the file's name.
 * STATUS_OK: page_done() wipes it; another status after a complaint: nothing was written. */
enum status page_prepare(const struct page_wish *wish, const struct verb *verb,
			 const struct config *config, const char *user, struct page *ret);

/* Writes it with this key, for its owner alone. STATUS_FAILED after a complaint: there is no file,
 * or another one of that name. */
enum status page_write(struct page *page, const char *line, const struct key_term *term,
		       uint64_t now_s);

/* What is to be said of it, and the QR codes that were asked for. */
enum status page_say(const struct page *page);

/* Where no page was written, its name is free again. */
void page_done(struct page *page);
