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
#include "util/state-file.h"

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

void stored_grant_done(struct stored_grant *stored)
{
	stored->passage = passage_free(stored->passage);
	holders_done(&stored->holders);
}

static void state_file_name(const char *door, const struct address *source,
			    char name[static NAME_SIZE])
{
	char text[ADDRESS_TEXT_MAX];

	snprintf(name, NAME_SIZE, "%s@%s", door, address_format(source, text));
}

static int state_file_write(int fd, const struct store *store, const struct stored_grant *stored)
{
	char text[ADDRESS_TEXT_MAX];
	bool failed;
	FILE *file = fdopen(fd, "we");

	if (!file) {
		int r = -errno;

		close(fd);
		return r;
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
	if (holders_need_saving(&stored->holders)) {
		fputs("holders=", file);
		holders_write(&stored->holders, file);
		fputc('\n', file);
	}
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

	state_file_name(stored->door, &stored->source, name);
	fd = openat(store->directory_fd, temporary,
		    O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0600);
	if (fd < 0)
		return -errno;
	r = state_file_write(fd, store, stored);
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

	state_file_name(door, source, name);
	r = unlinkat(store->directory_fd, name, 0) < 0 ? -errno : 0;
	/* A read-only file system fails for files that do not exist, too. */
	if (r < 0 && faccessat(store->directory_fd, name, F_OK, AT_SYMLINK_NOFOLLOW) < 0 &&
	    errno == ENOENT)
		return 0;
	return r;
}

/* The keys of a state file other than the passage's. */
enum {
	KEY_DOOR,
	KEY_SOURCE,
	KEY_BOOT,
	KEY_DEADLINE,
	KEY_STATE,
	KEY_OPENED,
	N_NEEDED_KEYS,
	KEY_USER = N_NEEDED_KEYS,
	KEY_SECONDS,
	KEY_HOLDERS,
	N_KEYS
};

static const char *const key_names[N_KEYS] = {
	[KEY_DOOR] = "door",	   [KEY_SOURCE] = "source",
	[KEY_BOOT] = "boot",	   [KEY_DEADLINE] = "deadline_us",
	[KEY_STATE] = "state",	   [KEY_OPENED] = "opened",
	[KEY_USER] = "user",	   [KEY_SECONDS] = "seconds",
	[KEY_HOLDERS] = "holders",
};

/* What has been read of a state file so far. */
struct state_file_lines {
	const char *boot_id;
	struct stored_grant stored;
	bool other_boot;
};

static int lines_read_door(const char *value, char *door)
{
	if (!*value || strlen(value) > DOOR_NAME_MAX)
		return -EINVAL;
	memcpy(door, value, strlen(value) + 1);
	return 0;
}

static int lines_read_user(const char *value, char *user)
{
	if (!visitor_is_name(value))
		return -EINVAL;
	memcpy(user, value, strlen(value) + 1);
	return 0;
}

static int lines_read_seconds(const char *value, uint32_t *ret)
{
	uint64_t seconds;

	if (number_parse(value, strlen(value), &seconds) < 0 || seconds > UINT32_MAX)
		return -EINVAL;
	*ret = (uint32_t)seconds;
	return 0;
}

static int lines_read_state(const char *value, enum stored_state *state)
{
	for (unsigned i = 0; i < N_STORED_STATES; i++) {
		if (strcmp(value, state_names[i]) == 0) {
			*state = (enum stored_state)i;
			return 0;
		}
	}
	return -EINVAL;
}

static int on_line(void *userdata, unsigned key, const char *name, const char *value)
{
	struct state_file_lines *lines = userdata;
	struct stored_grant *stored = &lines->stored;
	int r;

	switch (key) {
	case KEY_DOOR:
		return lines_read_door(value, stored->door);
	case KEY_SOURCE:
		return address_parse(value, &stored->source);
	case KEY_BOOT:
		lines->other_boot = strcmp(value, lines->boot_id) != 0;
		return 0;
	case KEY_DEADLINE:
		return number_parse(value, strlen(value), &stored->deadline_us);
	case KEY_STATE:
		return lines_read_state(value, &stored->state);
	case KEY_OPENED:
		return number_parse(value, strlen(value), &stored->n_opened);
	case KEY_USER:
		return lines_read_user(value, stored->user);
	case KEY_SECONDS:
		return lines_read_seconds(value, &stored->seconds);
	case KEY_HOLDERS:
		return holders_parse(value, &stored->holders);
	default:
		r = passage_read_line(name, value, &stored->passage);
		return r == -ENOENT ? -EINVAL : r; /* a key that no passage has */
	}
}

/* 0: a whole state file whose name is its own. -EINVAL: not one. Another error: not readable now.
 */
static int store_read_file(const struct store *store, const char *name, struct stored_grant *ret)
{
	static const struct state_keys keys = {key_names, N_KEYS, N_NEEDED_KEYS};
	struct state_file_lines lines = {.boot_id = store->boot_id};
	char own_name[NAME_SIZE];
	int r = state_file_load(store->directory_fd, name, &keys, on_line, &lines);

	state_file_name(lines.stored.door, &lines.stored.source, own_name);
	if (r == -EBADMSG ||
	    (r == 0 && (!passage_is_whole(lines.stored.passage) || strcmp(name, own_name) != 0)))
		r = -EINVAL;
	if (r < 0) {
		stored_grant_done(&lines.stored);
		return r;
	}
	if (lines.other_boot)
		lines.stored.deadline_us = 0;
	*ret = lines.stored;
	return 0;
}

/* What the name of a state file says: DOOR@SOURCE. */
static int state_file_read_name(const char *name, struct stored_grant *stored)
{
	const char *at = strrchr(name, '@');
	char own_name[NAME_SIZE];

	if (!at || at == name || at - name > DOOR_NAME_MAX ||
	    address_parse(at + 1, &stored->source) < 0)
		return -EINVAL;
	memcpy(stored->door, name, (size_t)(at - name));
	stored->door[at - name] = '\0';
	state_file_name(stored->door, &stored->source, own_name);
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
		r = store_read_file(store, entry->d_name, &stored);
		if (r == -EINVAL && state_file_read_name(entry->d_name, &stored) < 0)
			unlinkat(store->directory_fd, entry->d_name, 0);
		else if (r == -EINVAL)
			stored.state = STORED_DAMAGED;
		found(userdata, entry->d_name,
		      r == 0 || stored.state == STORED_DAMAGED ? &stored : NULL, r);
	}
}
