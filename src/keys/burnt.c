#include "keys/burnt.h"

#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "core/token.h"
#include "keys/burnt-file.h"
#include "util/cleanup.h"
#include "util/file.h"
#include "util/replace.h"

/* How far beyond clock_skew a knock may be ahead of our clock that is burnt. */
enum { AHEAD_S = 6 * TOKEN_STEP_S };

struct burnt {
	char *directory; /* NULL: nothing is written */
	int directory_fd;
	uint32_t skew_s;
	struct burnt_key **keys; /* those that were asked for, ordered by id */
	size_t n_keys;
};

static void burnt_key_free(struct burnt_key *key)
{
	if (key)
		burnt_key_done(key);
	free(key);
}

DEFINE_CLEANUP(struct burnt_key *, burnt_key_free)

int burnt_new(const char *directory, uint32_t skew_s, struct burnt **ret)
{
	struct burnt *burnt = calloc(1, sizeof *burnt);

	if (!burnt)
		return -ENOMEM;
	burnt->directory_fd = -1;
	burnt->skew_s = skew_s;
	if (directory) {
		burnt->directory = strdup(directory);
		if (!burnt->directory) {
			burnt_free(burnt);
			return -ENOMEM;
		}
	}
	*ret = burnt;
	return 0;
}

struct burnt *burnt_free(struct burnt *burnt)
{
	if (!burnt)
		return NULL;
	for (size_t i = 0; i < burnt->n_keys; i++)
		burnt_key_free(burnt->keys[i]);
	free(burnt->keys);
	cleanup_close(&burnt->directory_fd);
	free(burnt->directory);
	free(burnt);
	return NULL;
}

void burnt_set_skew(struct burnt *burnt, uint32_t skew_s)
{
	burnt->skew_s = skew_s;
}

/* A new directory is there for good only when the one that holds it says so. */
static int burnt_open_directory(struct burnt *burnt)
{
	CLEANUP(cleanup_close) int fd = -1;
	CLEANUP(cleanup_close) int parent_fd = -1;

	if (burnt->directory_fd >= 0)
		return 0;
	if (mkdir(burnt->directory, 0700) < 0 && errno != EEXIST)
		return -errno;
	fd = open(burnt->directory, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
	if (fd < 0)
		return -errno;
	parent_fd = openat(fd, "..", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (parent_fd < 0 || fsync(parent_fd) < 0)
		return -errno;
	burnt->directory_fd = fd;
	fd = -1;
	return 0;
}

/* Nobody knows what was burnt when the file was whole: so everything was that could have been. */
static void assume_worst(const struct burnt *burnt, struct burnt_key *key, uint64_t written_s,
			 uint64_t now_s)
{
	uint64_t until_s = written_s > now_s ? written_s : now_s;

	burnt_key_done(key);
	until_s += burnt->skew_s + AHEAD_S;
	key->time_floor = key->damaged_s = until_s;
	key->step_floor = token_step(until_s);
}

/* What the file says; 0 as well if there is none. */
static int read_burnt_file(const struct burnt *burnt, struct burnt_key *key,
			   struct stat *ret_status)
{
	CLEANUP(cleanup_free) char *text = NULL;
	CLEANUP(cleanup_close) int fd = -1;
	char name[BURNT_NAME_SIZE];
	size_t size;
	int r;

	burnt_file_name(&key->id, name);
	fd = openat(burnt->directory_fd, name, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
	if (fd < 0)
		return errno == ENOENT ? 0 : -errno;
	if (fstat(fd, ret_status) < 0)
		return -errno;
	r = file_read(fd, BURNT_TEXT_MAX, &text, &size);
	return r == 0 ? burnt_file_parse(text, size, key) : r;
}

/* 0, or a negative errno: it cannot be read now. */
static int read_burnt_key(struct burnt *burnt, struct burnt_key *key, uint64_t now_s)
{
	struct stat status = {0};
	int r = burnt_open_directory(burnt);

	if (r == 0)
		r = read_burnt_file(burnt, key, &status);
	if (r < 0)
		assume_worst(burnt, key, status.st_mtime > 0 ? (uint64_t)status.st_mtime : 0,
			     now_s);
	return r == -EBADMSG || r == -EFBIG ? 0 : r;
}

/* Where the key is, or has to be put. */
static size_t position_of(const struct burnt *burnt, const struct key_id *id, bool *ret_is_there)
{
	size_t low = 0, high = burnt->n_keys;

	while (low < high) {
		size_t middle = (low + high) / 2;
		int order = memcmp(burnt->keys[middle]->id.bytes, id->bytes, sizeof id->bytes);

		if (order == 0) {
			*ret_is_there = true;
			return middle;
		}
		if (order < 0)
			low = middle + 1;
		else
			high = middle;
	}
	*ret_is_there = false;
	return low;
}

/* Puts the key there. 0 or -ENOMEM. */
static int insert_key(struct burnt *burnt, size_t at, struct burnt_key *key)
{
	struct burnt_key **keys =
		reallocarray(burnt->keys, burnt->n_keys + 1, sizeof(struct burnt_key *));

	if (!keys)
		return -ENOMEM;
	memmove(&keys[at + 1], &keys[at], (burnt->n_keys - at) * sizeof(struct burnt_key *));
	keys[at] = key;
	burnt->keys = keys;
	burnt->n_keys++;
	return 0;
}

static int find_key(struct burnt *burnt, const struct key_id *id, uint64_t now_s,
		    struct burnt_key **ret)
{
	CLEANUP(cleanup_burnt_key_free) struct burnt_key *key = NULL;
	bool is_there;
	size_t at = position_of(burnt, id, &is_there);
	int r;

	if (is_there) {
		*ret = burnt->keys[at];
		return burnt->directory ? burnt_open_directory(burnt) : 0;
	}
	key = calloc(1, sizeof *key);
	if (!key)
		return -ENOMEM;
	key->id = *id;
	r = insert_key(burnt, at, key);
	if (r < 0)
		return r;
	*ret = TAKE_PTR(key);
	return burnt->directory ? read_burnt_key(burnt, *ret, now_s) : 0;
}

/* What is burnt here stays burnt for this process even if it cannot be written. */
static int write_key(struct burnt *burnt, const struct burnt_key *key)
{
	CLEANUP(cleanup_free) char *text = NULL;
	char name[BURNT_NAME_SIZE];
	size_t size;
	int r;

	if (!burnt->directory)
		return 0;
	text = burnt_file_format(key, &size);
	if (!text)
		return -ENOMEM;
	burnt_file_name(&key->id, name);
	r = file_replace(burnt->directory_fd, name, text, size, 0600);
	if (r != -ENOENT)
		return r;
	/* Somebody has removed the directory. */
	close(burnt->directory_fd);
	burnt->directory_fd = -1;
	r = burnt_open_directory(burnt);
	return r == 0 ? file_replace(burnt->directory_fd, name, text, size, 0600) : r;
}

/* Gives up the door that was opened longest ago: all tokens up to its last are used. */
static void drop_door(struct burnt_key *key)
{
	struct burnt_door *oldest = key->doors;

	for (size_t i = 1; i < key->n_doors; i++)
		if (key->doors[i].step < oldest->step)
			oldest = &key->doors[i];
	if (oldest->step > key->step_floor)
		key->step_floor = oldest->step;
	for (size_t i = 0; i < oldest->n_ahead; i++)
		if (oldest->ahead[i] > key->step_floor)
			key->step_floor = oldest->ahead[i];
	*oldest = key->doors[--key->n_doors];
}

/* The door, new or not. NULL: no memory. */
static struct burnt_door *find_burnt_door(struct burnt_key *key, const char *name)
{
	for (size_t i = 0; i < key->n_doors; i++)
		if (strcmp(key->doors[i].name, name) == 0)
			return &key->doors[i];
	if (key->n_doors == BURNT_DOORS_MAX)
		drop_door(key);
	return burnt_key_add_door(key, name);
}

static bool is_ahead(const struct burnt_door *door, uint64_t step)
{
	for (size_t i = 0; i < door->n_ahead; i++)
		if (door->ahead[i] == step)
			return true;
	return false;
}

/* Whether a token of this step is good. */
static int check_step(const struct burnt_key *key, const struct burnt_door *door, uint64_t step)
{
	if (step <= token_step(key->damaged_s))
		return -EBADMSG;
	if (step == door->step || is_ahead(door, step))
		return -EALREADY;
	if (step < door->step || step <= key->step_floor)
		return -ESTALE;
	return 0;
}

static void door_advance(struct burnt_door *door, uint64_t step)
{
	size_t n = 0;

	door->step = step;
	for (size_t i = 0; i < door->n_ahead; i++)
		if (door->ahead[i] > step)
			door->ahead[n++] = door->ahead[i];
	door->n_ahead = n;
}

/* What becomes of those before it: they are used, or not, if there is room to tell them apart. */
enum burning_way { USES_EARLIER, USES_EARLIER_IF_FULL, USES_ITSELF };

static int burn_token(struct burnt *burnt, const struct key_id *id, const char *name, uint64_t step,
		      uint64_t now_s, enum burning_way way)
{
	struct burnt_door *door;
	struct burnt_key *key;
	int r = find_key(burnt, id, now_s, &key);

	if (r < 0)
		return r;
	door = find_burnt_door(key, name);
	if (!door)
		return -ENOMEM;
	r = check_step(key, door, step);
	if (r < 0)
		return r;
	if (way == USES_ITSELF && door->n_ahead == BURNT_AHEAD_MAX)
		return -ENOBUFS;
	if (way != USES_EARLIER && door->n_ahead < BURNT_AHEAD_MAX)
		door->ahead[door->n_ahead++] = step;
	else
		door_advance(door, step);
	return write_key(burnt, key);
}

int burnt_token(struct burnt *burnt, const struct key_id *id, const char *door, uint64_t step,
		uint64_t now_s)
{
	return burn_token(burnt, id, door, step, now_s, USES_EARLIER);
}

int burnt_token_ahead(struct burnt *burnt, const struct key_id *id, const char *door, uint64_t step,
		      uint64_t now_s)
{
	return burn_token(burnt, id, door, step, now_s, USES_EARLIER_IF_FULL);
}

int burnt_token_elsewhere(struct burnt *burnt, const struct key_id *id, const char *door,
			  uint64_t step, uint64_t now_s)
{
	return burn_token(burnt, id, door, step, now_s, USES_ITSELF);
}

/* Forgets nonces whose time has passed for good: all up to theirs are used. */
static void forget_nonces(const struct burnt *burnt, struct burnt_key *key, uint64_t now_s)
{
	size_t n = 0;

	for (size_t i = 0; i < key->n_nonces; i++) {
		struct burnt_nonce *nonce = &key->nonces[i];

		if (nonce->time_s + (uint64_t)burnt->skew_s >= now_s)
			key->nonces[n++] = *nonce;
		else if (nonce->time_s > key->time_floor)
			key->time_floor = nonce->time_s;
	}
	key->n_nonces = n;
}

static bool is_burnt(const struct burnt_key *key, const uint8_t *nonce)
{
	for (size_t i = 0; i < key->n_nonces; i++)
		if (memcmp(key->nonces[i].nonce, nonce, BURNT_NONCE_SIZE) == 0)
			return true;
	return false;
}

int burnt_nonce(struct burnt *burnt, const struct key_id *id,
		const uint8_t nonce[static BURNT_NONCE_SIZE], uint32_t time_s, uint64_t now_s)
{
	struct burnt_nonce *used;
	struct burnt_key *key;
	int r = find_key(burnt, id, now_s, &key);

	if (r < 0)
		return r;
	if (time_s <= key->damaged_s)
		return -EBADMSG;
	if (is_burnt(key, nonce))
		return -EALREADY;
	forget_nonces(burnt, key, now_s);
	if (time_s <= key->time_floor)
		return -ESTALE;
	if (key->n_nonces == BURNT_NONCES_MAX)
		return -ENOBUFS;
	used = burnt_key_add_nonce(key);
	if (!used)
		return -ENOMEM;
	used->time_s = time_s;
	memcpy(used->nonce, nonce, BURNT_NONCE_SIZE);
	return write_key(burnt, key);
}

uint64_t burnt_last_s(const char *directory, const struct key_id *id)
{
	CLEANUP(cleanup_close) int fd = open(directory, O_PATH | O_DIRECTORY | O_CLOEXEC);
	char name[BURNT_NAME_SIZE];
	struct stat status;

	burnt_file_name(id, name);
	if (fd < 0 || fstatat(fd, name, &status, AT_SYMLINK_NOFOLLOW) < 0 || status.st_mtime < 0)
		return 0;
	return (uint64_t)status.st_mtime;
}
