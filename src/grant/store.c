#include "grant/store.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "firewall/backends.h"
#include "firewall/firewall.h"
#include "firewall/passage.h"
#include "util/cleanup.h"
#include "util/number.h"

enum { NAME_SIZE = DOOR_NAME_MAX + ADDRESS_TEXT_MAX + 2, BOOT_ID_SIZE = 64 };

static const char temporary[] = ".new";

static const char *const state_names[N_STORED_STATES] = {
	[STORED_OPENING] = "opening",
	[STORED_OPEN] = "open",
	[STORED_CLOSED] = "closed",
};

struct store {
	int directory_fd;
	char boot_id[BOOT_ID_SIZE];
};

DEFINE_CLEANUP(struct store *, store_free)

int store_new(const char *directory, const char *boot_id, struct store **ret)
{
	CLEANUP(cleanup_store_free) struct store *store = calloc(1, sizeof *store);

	if (!store)
		return -ENOMEM;
	if (strlen(boot_id) >= sizeof store->boot_id)
		return -EINVAL;
	memcpy(store->boot_id, boot_id, strlen(boot_id) + 1);
	store->directory_fd = -1;
	if (mkdir(directory, 0700) < 0 && errno != EEXIST)
		return -errno;
	store->directory_fd = open(directory, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
	if (store->directory_fd < 0)
		return -errno;
	if (flock(store->directory_fd, LOCK_EX | LOCK_NB) < 0)
		return errno == EWOULDBLOCK ? -EBUSY : -errno;
	*ret = TAKE_PTR(store);
	return 0;
}

struct store *store_free(struct store *store)
{
	if (store)
		cleanup_close(&store->directory_fd);
	free(store);
	return NULL;
}

static void name_of(const char *door, const struct address *source, char name[static NAME_SIZE])
{
	char text[ADDRESS_TEXT_MAX];

	snprintf(name, NAME_SIZE, "%s@%s", door, address_format(source, text));
}

static int write_file(int fd, const struct store *store, const struct stored_grant *stored)
{
	char text[ADDRESS_TEXT_MAX];
	bool failed;
	FILE *file = fdopen(fd, "we");

	if (!file) {
		close(fd);
		return -errno;
	}
	fprintf(file,
		"door=%s\nsource=%s\nboot=%s\ndeadline_us=%" PRIu64 "\nstate=%s\nopened=%" PRIu64
		"\n",
		stored->door, address_format(&stored->source, text), store->boot_id,
		stored->deadline_us, state_names[stored->state], stored->n_opened);
	if (stored->user[0])
		fprintf(file, "user=%s\n", stored->user);
	if (stored->seconds > 0)
		fprintf(file, "seconds=%" PRIu32 "\n", stored->seconds);
	passage_write(stored->passage, file);
	fprintf(file, "end=yes\n");
	failed = ferror(file);
	if (fclose(file) != 0)
		return -errno;
	return failed ? -EIO : 0;
}

int store_write(struct store *store, const struct stored_grant *stored)
{
	char name[NAME_SIZE];
	int fd, r;

	name_of(stored->door, &stored->source, name);
	fd = openat(store->directory_fd, temporary,
		    O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0600);
	if (fd < 0)
		return -errno;
	r = write_file(fd, store, stored);
	if (r == 0 && renameat(store->directory_fd, temporary, store->directory_fd, name) < 0)
		r = -errno;
	if (r < 0)
		unlinkat(store->directory_fd, temporary, 0);
	return r;
}

int store_remove(struct store *store, const char *door, const struct address *source)
{
	char name[NAME_SIZE];
	int r;

	name_of(door, source, name);
	r = unlinkat(store->directory_fd, name, 0) < 0 ? -errno : 0;
	/* A read-only file system says so of files that are not there, too. */
	if (r < 0 && faccessat(store->directory_fd, name, F_OK, AT_SYMLINK_NOFOLLOW) < 0 &&
	    errno == ENOENT)
		return 0;
	return r;
}

/* The lines of a record beside the rule's: each is needed, but for the last two, and none twice. */
enum {
	LINE_DOOR = 1 << 0,
	LINE_SOURCE = 1 << 1,
	LINE_BOOT = 1 << 2,
	LINE_DEADLINE = 1 << 3,
	LINE_STATE = 1 << 4,
	LINE_OPENED = 1 << 5,
	LINE_END = 1 << 6,
	LINES = (1 << 7) - 1,
	LINE_USER = 1 << 7,
	LINE_SECONDS = 1 << 8,
};

/* What has been read of a record so far. */
struct reading {
	struct stored_grant stored;
	unsigned lines;
	bool other_boot;
};

static int read_door(const char *value, char *door)
{
	if (!*value || strlen(value) > DOOR_NAME_MAX)
		return -EINVAL;
	memcpy(door, value, strlen(value) + 1);
	return 0;
}

static int read_user(const char *value, char *user)
{
	if (!user_is_name(value))
		return -EINVAL;
	memcpy(user, value, strlen(value) + 1);
	return 0;
}

static int read_seconds(const char *value, uint32_t *ret)
{
	uint64_t seconds;

	if (number_parse(value, strlen(value), &seconds) < 0 || seconds > UINT32_MAX)
		return -EINVAL;
	*ret = (uint32_t)seconds;
	return 0;
}

static int read_state(const char *value, enum stored_state *state)
{
	for (unsigned i = 0; i < N_STORED_STATES; i++) {
		if (strcmp(value, state_names[i]) == 0) {
			*state = (enum stored_state)i;
			return 0;
		}
	}
	return -EINVAL;
}

static unsigned line_of(const char *key)
{
	static const char *const keys[] = {"door",   "source", "boot", "deadline_us", "state",
					   "opened", "end",    "user", "seconds"};

	for (unsigned i = 0; i < sizeof keys / sizeof keys[0]; i++)
		if (strcmp(key, keys[i]) == 0)
			return 1u << i;
	return 0;
}

static int read_line(const struct store *store, char *line, struct reading *reading)
{
	char *value = strchr(line, '=');
	unsigned bit;

	if (!value || reading->lines & LINE_END)
		return -EINVAL;
	*value++ = '\0';
	bit = line_of(line);
	if (reading->lines & bit)
		return -EINVAL;
	reading->lines |= bit;
	switch (bit) {
	case LINE_DOOR:
		return read_door(value, reading->stored.door);
	case LINE_SOURCE:
		return address_parse(value, &reading->stored.source);
	case LINE_BOOT:
		reading->other_boot = strcmp(value, store->boot_id) != 0;
		return 0;
	case LINE_DEADLINE:
		return number_parse(value, strlen(value), &reading->stored.deadline_us);
	case LINE_STATE:
		return read_state(value, &reading->stored.state);
	case LINE_OPENED:
		return number_parse(value, strlen(value), &reading->stored.n_opened);
	case LINE_END:
		return 0;
	case LINE_USER:
		return read_user(value, reading->stored.user);
	case LINE_SECONDS:
		return read_seconds(value, &reading->stored.seconds);
	default:
		return passage_read_line(line, value, &reading->stored.passage);
	}
}

static int read_lines(const struct store *store, FILE *file, struct reading *reading)
{
	CLEANUP(cleanup_free) char *line = NULL;
	size_t size = 0;
	ssize_t n;
	int r = 0;

	while (r == 0 && (n = getline(&line, &size, file)) > 0) {
		if (line[n - 1] != '\n' || strlen(line) != (size_t)n)
			return -EINVAL;
		line[n - 1] = '\0';
		r = read_line(store, line, reading);
	}
	return r == 0 && ferror(file) ? -EIO : r;
}

/* 0: a whole record whose name is its own. -EINVAL: a file that is none. Another error: not
 * readable now. */
static int read_record(const struct store *store, const char *name, struct stored_grant *ret)
{
	CLEANUP(cleanup_fclose) FILE *file = NULL;
	struct reading reading = {0};
	char own_name[NAME_SIZE];
	int fd, r;

	fd = openat(store->directory_fd, name, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
	if (fd < 0)
		return errno == ELOOP ? -EINVAL : -errno;
	file = fdopen(fd, "re");
	if (!file) {
		close(fd);
		return -ENOMEM;
	}
	r = read_lines(store, file, &reading);
	name_of(reading.stored.door, &reading.stored.source, own_name);
	if (r == 0 && ((reading.lines & LINES) != LINES ||
		       !passage_is_whole(reading.stored.passage) || strcmp(name, own_name) != 0))
		r = -EINVAL;
	if (r < 0) {
		passage_free(reading.stored.passage);
		return r == -ENOENT ? -EINVAL : r; /* a key that no rule has */
	}
	if (reading.other_boot)
		reading.stored.deadline_us = 0;
	*ret = reading.stored;
	return 0;
}

/* What is in the name of a record's file: DOOR@SOURCE. */
static int read_name(const char *name, struct stored_grant *stored)
{
	const char *at = strrchr(name, '@');
	char own_name[NAME_SIZE];

	if (!at || at == name || at - name > DOOR_NAME_MAX ||
	    address_parse(at + 1, &stored->source) < 0)
		return -EINVAL;
	memcpy(stored->door, name, (size_t)(at - name));
	stored->door[at - name] = '\0';
	name_of(stored->door, &stored->source, own_name);
	return strcmp(name, own_name) == 0 ? 0 : -EINVAL;
}

int store_read(struct store *store, store_found_fn found, void *userdata)
{
	CLEANUP(cleanup_closedir) DIR *directory = NULL;
	const struct dirent *entry;
	int fd = openat(store->directory_fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	if (fd < 0)
		return -errno;
	directory = fdopendir(fd);
	if (!directory) {
		close(fd);
		return -ENOMEM;
	}
	for (;;) {
		struct stored_grant stored = {0};
		int r;

		errno = 0;
		entry = readdir(directory);
		if (!entry)
			return -errno;
		if (entry->d_name[0] == '.' || entry->d_type == DT_DIR)
			continue;
		r = read_record(store, entry->d_name, &stored);
		if (r == -EINVAL && read_name(entry->d_name, &stored) < 0)
			unlinkat(store->directory_fd, entry->d_name, 0);
		else if (r == -EINVAL)
			stored.state = STORED_DAMAGED;
		found(userdata, entry->d_name,
		      r == 0 || stored.state == STORED_DAMAGED ? &stored : NULL, r);
	}
}
