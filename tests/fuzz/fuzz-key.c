/* Any bytes as a key file: either they are refused, or they are a key, perhaps the one before, and
 * their times. And as a page, which may hold one. */
#include <errno.h>
#include <sodium.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/key-file.h"
#include "core/sealed/line.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void require(bool holds)
{
	if (!holds)
		abort();
}

/* The key in a line that begins with one. */
static struct secret key_of(const char *line, size_t length)
{
	struct secret key;

	require(length > SECRET_TEXT_SIZE && length <= KEY_LINE_MAX);
	require(secret_parse(line + length - SECRET_TEXT_SIZE, SECRET_TEXT_SIZE, &key) == 0);
	return key;
}

static void write_key(FILE *to, const struct key_file *file, size_t i, const struct secret *key)
{
	char line[KEY_LINE_MAX + 1], date[KEY_DATE_SIZE];
	const struct key_term *term = &file->terms[i];
	struct secret base;

	key_base(key, file->realm, &base);
	require(memcmp(&base, &file->bases[i], sizeof base) == 0);
	require(term->expires_s == 0 || term->since_s < term->expires_s);
	key_line_format(file->realm, key, line);
	fprintf(to, "%s\n", line);
	if (term->since_s > 0)
		fprintf(to, "since %s\n", key_date_format(term->since_s, date));
	if (term->expires_s > 0)
		fprintf(to, "expires %s\n", key_date_format(term->expires_s, date));
}

/* The keys that were read are those that are written there, and all of it is read again. */
static void check_file(const char *text, size_t size, const struct key_file *file)
{
	static const char word[] = "knocktail2 ";
	char written[2 * KEY_FILE_MAX];
	FILE *to = fmemopen(written, sizeof written, "w");
	const char *end = text + size, *fault;
	struct key_file again;
	size_t n = 0;

	require(to && realm_is_name(file->realm));
	while (text < end) {
		const char *newline = memchr(text, '\n', (size_t)(end - text));
		size_t length = (size_t)((newline ? newline : end) - text);

		if (length >= strlen(word) && memcmp(text, word, strlen(word)) == 0) {
			struct secret key = key_of(text, length);

			require(n < file->n);
			write_key(to, file, n++, &key);
		}
		text += length + (newline != NULL);
	}
	require(n == file->n);
	n = (size_t)ftell(to);
	fclose(to);
	require(n <= KEY_FILE_MAX && key_file_parse(written, n, &again, &fault) == 0);
	require(memcmp(&again, file, sizeof again) == 0);
}

/* What is sealed with many rounds would take too long. */
static bool has_few_rounds(const char *line, size_t length)
{
	enum { BEFORE = sizeof "knocktail2-sealed", DIGITS = 3 };

	return length > BEFORE &&
	       memchr(line + BEFORE, ' ', length - BEFORE < DIGITS ? length - BEFORE : DIGITS);
}

/* A page, or a sealed key by itself. */
static void check_line(const char *text, size_t size)
{
	char key_text[KEY_FILE_MAX];
	size_t length = 0, key_size = 0;
	const char *line = NULL;
	int r;

	if (!sealed_line_find(text, size, &line, &length))
		return;
	require(line >= text && length > 0 && length <= size - (size_t)(line - text));
	if (sealed_line_is_sealed(line, length) && !has_few_rounds(line, length))
		return;
	r = sealed_line_read(line, length, "p", 1, key_text, &key_size);
	require(r == 0 || r == -EINVAL || r == -EBADMSG);
	require(key_size <= sizeof key_text);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	const char *text = (const char *)data, *fault = NULL;
	struct key_file file;
	int r = key_file_parse(text, size, &file, &fault);

	check_line(text, size);

	if (r == 0)
		check_file(text, size, &file);
	else if (r == -EPROTONOSUPPORT)
		require(size >= SECRET_TEXT_SIZE);
	else
		require(r == -EINVAL);
	require((r < 0) == (fault != NULL));
	return 0;
}
