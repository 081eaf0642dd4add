/* Any bytes as a file of one-time sequences: what it holds is used up line by line, each use is
 * still there when the file is read again, and nothing else in it has changed. */
#include "keys/one-time.h"

#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "core/sequence.h"
#include "util/cleanup.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { USES_MAX = 4 };

static char path[64];

static void require(bool holds)
{
	if (!holds)
		abort();
}

static void remove_file(void)
{
	unlink(path);
}

static void write_file(const uint8_t *data, size_t size)
{
	CLEANUP(cleanup_close) int fd = -1;

	if (!path[0]) {
		snprintf(path, sizeof path, "/dev/shm/fuzz-one-time.%d", (int)getpid());
		atexit(remove_file);
	}
	fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
	require(fd >= 0 && write(fd, data, size) == (ssize_t)size);
}

static void count_errors(void *userdata, unsigned line, bool warning, const char *text)
{
	size_t *n_errors = userdata;

	(void)line;
	require(!strpbrk(text, "\n\r\t\x1b"));
	*n_errors += !warning;
}

static struct one_time *open_file(void)
{
	struct one_time *file = NULL;
	size_t n_errors = 0;
	int r = one_time_open(path, count_errors, &n_errors, &file);

	require(r == 0 || r == -EBADMSG);
	require((r == 0) == (file != NULL) && (r == 0) == (n_errors == 0));
	return file;
}

static void use_one(struct one_time *file)
{
	size_t n = one_time_count(file);
	struct sequence second = {0};
	struct one_time *again;

	if (n > 1)
		second = *one_time_sequence(file, 1);
	require(one_time_mark(file, 0, "used") == 0);
	again = open_file();
	require(again && one_time_count(again) == n - 1);
	require(n < 2 || sequence_equal(one_time_sequence(again, 0), &second));
	one_time_free(again);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	write_file(data, size);
	for (int i = 0; i < USES_MAX; i++) {
		struct one_time *file = open_file();
		bool more = file && one_time_count(file) > 0;

		if (more)
			use_one(file);
		one_time_free(file);
		if (!more)
			break;
	}
	return 0;
}
