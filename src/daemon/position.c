#include "daemon/position.h"

#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "input/input.h"
#include "util/cleanup.h"
#include "util/number.h"

static const char name[] = "position", temporary[] = ".position.new";

enum { BOOT_ID_SIZE = 64 };

struct position {
	int directory_fd;
	char boot_id[BOOT_ID_SIZE];
};

DEFINE_CLEANUP(struct position *, position_free)

int position_new(const char *directory, const char *boot_id, struct position **ret)
{
	CLEANUP(cleanup_position_free) struct position *position = calloc(1, sizeof *position);

	if (!position)
		return -ENOMEM;
	if (strlen(boot_id) >= sizeof position->boot_id)
		return -EINVAL;
	memcpy(position->boot_id, boot_id, strlen(boot_id) + 1);
	position->directory_fd = -1;
	if (mkdir(directory, 0700) < 0 && errno != EEXIST)
		return -errno;
	position->directory_fd = open(directory, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (position->directory_fd < 0)
		return -errno;
	*ret = TAKE_PTR(position);
	return 0;
}

struct position *position_free(struct position *position)
{
	if (position)
		cleanup_close(&position->directory_fd);
	free(position);
	return NULL;
}

/* The file: lines of KEY=VALUE, each once. */
enum {
	LINE_BOOT = 1 << 0,
	LINE_JOURNAL_BOOT = 1 << 1,
	LINE_MONOTONIC = 1 << 2,
	LINE_CURSOR = 1 << 3,
	LINE_END = 1 << 4,
	LINES = (1 << 5) - 1,
};

struct reading {
	struct input_position place;
	unsigned lines;
	bool other_boot;
};

static unsigned line_of(const char *key)
{
	static const char *const keys[] = {"boot", "journal_boot", "monotonic_us", "cursor", "end"};

	for (unsigned i = 0; i < sizeof keys / sizeof keys[0]; i++)
		if (strcmp(key, keys[i]) == 0)
			return 1u << i;
	return 0;
}

/* Copies visible ASCII. */
static int copy_word(const char *value, char *ret, size_t size)
{
	size_t length = strlen(value);

	if (length == 0 || length >= size)
		return -EBADMSG;
	for (size_t i = 0; i < length; i++)
		if (!isgraph((unsigned char)value[i]))
			return -EBADMSG;
	memcpy(ret, value, length + 1);
	return 0;
}

static int read_line(const struct position *position, char *line, struct reading *reading)
{
	char *value = strchr(line, '=');
	unsigned bit;

	if (!value || reading->lines & LINE_END)
		return -EBADMSG;
	*value++ = '\0';
	bit = line_of(line);
	if (bit == 0 || reading->lines & bit)
		return -EBADMSG;
	reading->lines |= bit;
	switch (bit) {
	case LINE_BOOT:
		reading->other_boot = strcmp(value, position->boot_id) != 0;
		return 0;
	case LINE_JOURNAL_BOOT:
		return copy_word(value, reading->place.boot, sizeof reading->place.boot);
	case LINE_MONOTONIC:
		return number_parse(value, strlen(value), &reading->place.monotonic_us) < 0
			       ? -EBADMSG
			       : 0;
	case LINE_CURSOR:
		return copy_word(value, reading->place.cursor, sizeof reading->place.cursor);
	default:
		return strcmp(value, "yes") == 0 ? 0 : -EBADMSG;
	}
}

int position_read(const struct position *position, struct input_position *ret)
{
	CLEANUP(cleanup_fclose) FILE *file = NULL;
	struct reading reading = {0};
	/* The longest line, its key, its end, and one byte that tells what is longer. */
	char line[SOURCE_CURSOR_MAX + 32];
	int fd, r = 0;

	fd = openat(position->directory_fd, name, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
	if (fd < 0)
		return -errno;
	file = fdopen(fd, "re");
	if (!file) {
		close(fd);
		return -ENOMEM;
	}
	while (r == 0 && fgets(line, sizeof line, file)) {
		size_t length = strlen(line);

		if (length == 0 || line[length - 1] != '\n')
			return -EBADMSG;
		line[length - 1] = '\0';
		r = read_line(position, line, &reading);
	}
	if (r == 0 && ferror(file))
		return -EIO;
	if (r < 0 || reading.lines != LINES)
		return -EBADMSG;
	if (reading.other_boot)
		return -ESTALE;
	*ret = reading.place;
	return 0;
}

static int write_file(const struct position *position, const struct input_position *place)
{
	bool failed;
	FILE *file;
	int fd;

	/* Whatever is there, a pipe that nobody reads for example, it is not waited for. */
	unlinkat(position->directory_fd, temporary, 0);
	fd = openat(position->directory_fd, temporary,
		    O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600);
	if (fd < 0)
		return -errno;
	file = fdopen(fd, "we");
	if (!file) {
		close(fd);
		return -ENOMEM;
	}
	fprintf(file,
		"boot=%s\njournal_boot=%s\nmonotonic_us=%" PRIu64 "\ncursor=%s\n"
		"end=yes\n",
		position->boot_id, place->boot, place->monotonic_us, place->cursor);
	failed = ferror(file);
	if (fclose(file) != 0)
		return -errno;
	return failed ? -EIO : 0;
}

/* Nothing is synced: a power cut ends the boot that the position is of. */
int position_write(struct position *position, const struct input_position *place)
{
	int r = write_file(position, place);

	if (r == 0 && renameat(position->directory_fd, temporary, position->directory_fd, name) < 0)
		r = -errno;
	if (r < 0) {
		unlinkat(position->directory_fd, temporary, 0);
		unlinkat(position->directory_fd, name, 0);
	}
	return r;
}
