#include "cli/keygen/key-text.h"

#include <errno.h>
#include <fcntl.h>
#include <sodium.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "keys/keyring.h"
#include "util/cleanup.h"
#include "util/clock.h"
#include "util/duration.h"
#include "util/file.h"

static const char *old_key_take(int fd, struct old_key *ret)
{
	char text[KEY_FILE_MAX];
	const char *fault = NULL;
	struct key_file file;
	size_t size = 0;
	int r = file_read_into(fd, text, sizeof text, &size);

	if (r < 0) {
		fault = strerror(-r);
	} else if (key_file_parse(text, size, &file, &fault) == 0) {
		size_t length = 0;

		while (length < size && text[length] != '\n')
			length++;
		memcpy(ret->line, text, length);
		ret->line[length] = '\0';
		memcpy(ret->realm, file.realm, sizeof ret->realm);
		ret->term = file.terms[0];
		key_file_wipe(&file);
	}
	sodium_memzero(text, sizeof text);
	return fault;
}

const char *old_key_read(int directory_fd, const struct stat *directory, const char *name,
			 struct old_key *ret)
{
	CLEANUP(cleanup_close)
	int fd = openat(directory_fd, name,
			O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK | O_NOFOLLOW);
	const char *fault;
	struct stat status;

	if (fd < 0 || fstat(fd, &status) < 0)
		return strerror(errno);
	fault = keyring_file_fault(&status, directory);
	return fault ? fault : old_key_take(fd, ret);
}

static size_t write_one(char *to, size_t size, const char *line, const struct key_term *term)
{
	char since[KEY_DATE_SIZE], expires[KEY_DATE_SIZE];

	return (size_t)snprintf(
		to, size, "%s\n%s%s%s%s%s%s", line, term->since_s > 0 ? "since " : "",
		term->since_s > 0 ? key_date_format(term->since_s, since) : "",
		term->since_s > 0 ? "\n" : "", term->expires_s > 0 ? "expires " : "",
		term->expires_s > 0 ? key_date_format(term->expires_s, expires) : "",
		term->expires_s > 0 ? "\n" : "");
}

void key_text_write(const char *line, const struct key_term *term, const struct old_key *old,
		    uint64_t now_s, char ret_text[static KEY_FILE_MAX + 1])
{
	size_t n = write_one(ret_text, KEY_FILE_MAX + 1, line, term);

	if (old && old->term.expires_s > now_s && old->term.since_s < old->term.expires_s)
		write_one(ret_text + n, KEY_FILE_MAX + 1 - n, old->line, &old->term);
}

int key_moment_parse(const char *text, uint64_t now_s, bool may_be_span, uint64_t *ret_s)
{
	uint64_t span_us;

	if (key_date_parse(text, strlen(text), ret_s) == 0)
		return 0;
	if (!may_be_span || duration_parse(text, &span_us) < 0 || span_us < US_PER_S ||
	    span_us / US_PER_S > UINT32_MAX)
		return -EINVAL;
	*ret_s = now_s + span_us / US_PER_S;
	return 0;
}
