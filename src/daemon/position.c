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
#include "util/replace.h"
#include "util/state-file.h"

static const char name[] = "position";

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

enum { KEY_BOOT, KEY_JOURNAL_BOOT, KEY_MONOTONIC, KEY_CURSOR, N_KEYS };

static const char *const key_names[N_KEYS] = {
	[KEY_BOOT] = "boot",
	[KEY_JOURNAL_BOOT] = "journal_boot",
	[KEY_MONOTONIC] = "monotonic_us",
	[KEY_CURSOR] = "cursor",
};

struct saved_position {
	const char *boot_id;
	struct input_position place;
	bool other_boot;
};

/* Copies visible ASCII. */
static int copy_word(const char *value, char *ret, size_t size)
{
	size_t length = strlen(value);

	if (length == 0 || length >= size)
		return -EINVAL;
	for (size_t i = 0; i < length; i++)
		if (!isgraph((unsigned char)value[i]))
			return -EINVAL;
	memcpy(ret, value, length + 1);
	return 0;
}

static int on_line(void *userdata, unsigned key, const char *key_name, const char *value)
{
	struct saved_position *saved = userdata;

	(void)key_name;
	switch (key) {
	case KEY_BOOT:
		saved->other_boot = strcmp(value, saved->boot_id) != 0;
		return 0;
	case KEY_JOURNAL_BOOT:
		return copy_word(value, saved->place.boot, sizeof saved->place.boot);
	case KEY_MONOTONIC:
		return number_parse(value, strlen(value), &saved->place.monotonic_us);
	case KEY_CURSOR:
		return copy_word(value, saved->place.cursor, sizeof saved->place.cursor);
	default:
		return -EINVAL;
	}
}

int position_read(const struct position *position, struct input_position *ret)
{
	static const struct state_keys keys = {key_names, N_KEYS, N_KEYS};
	struct saved_position saved = {.boot_id = position->boot_id};
	int r = state_file_load(position->directory_fd, name, &keys, on_line, &saved);

	if (r < 0)
		return r;
	if (saved.other_boot)
		return -ESTALE;
	*ret = saved.place;
	return 0;
}

/* Nothing is synced: a power cut ends the boot that the position is of. */
int position_write(struct position *position, const struct input_position *place)
{
	char text[INPUT_CURSOR_MAX + 256];
	int length = snprintf(text, sizeof text,
			      "boot=%s\njournal_boot=%s\nmonotonic_us=%" PRIu64 "\ncursor=%s\n"
			      "end=yes\n",
			      position->boot_id, place->boot, place->monotonic_us, place->cursor);
	int r = -ENAMETOOLONG;

	if (length < (int)sizeof text)
		r = file_replace_unsynced(position->directory_fd, name, text, (size_t)length, 0600);
	if (r < 0)
		unlinkat(position->directory_fd, name, 0);
	return r;
}
