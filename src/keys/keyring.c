#include "keys/keyring.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <sodium.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "core/door.h"
#include "core/secret.h"
#include "keys/machine.h"
#include "util/cleanup.h"
#include "util/file.h"

DEFINE_CLEANUP(struct keyring *, keyring_free)

static const char suffix[] = ".key";

struct keyring_loading {
	int directory_fd;
	struct stat directory;
	char realm[REALM_MAX + 1];
	struct keyring *keyring;
	size_t n_room;
	keyring_complain_fn complain;
	void *userdata;
};

static int refuse_file(const struct keyring_loading *loading, const char *file, const char *text)
{
	if (loading->complain)
		loading->complain(loading->userdata, file, text);
	return -EBADMSG;
}

int keyring_new(struct keyring **ret)
{
	struct keyring *keyring = calloc(1, sizeof *keyring);

	if (!keyring)
		return -ENOMEM;
	*ret = keyring;
	return 0;
}

struct keyring *keyring_free(struct keyring *keyring)
{
	if (!keyring)
		return NULL;
	for (size_t i = 0; i < keyring->n; i++)
		free((char *)keyring->holders[i].user);
	secrets_free(keyring->bases);
	free(keyring->holders);
	free(keyring->ids);
	free(keyring->terms);
	free(keyring);
	return NULL;
}

/* The user whose key the file is called after. 0; -ENOENT: not a key file; -EINVAL: it ends like
 * one. */
static int read_user_name(const char *file, char user[static USER_NAME_MAX + 1])
{
	size_t length = strlen(file);

	if (file[0] == '.' || length < sizeof suffix ||
	    strcmp(file + length - (sizeof suffix - 1), suffix) != 0)
		return -ENOENT;
	length -= sizeof suffix - 1;
	if (length > USER_NAME_MAX)
		return -EINVAL;
	memcpy(user, file, length);
	user[length] = '\0';
	return user_is_name(user) ? 0 : -EINVAL;
}

/* Its owner is root, the daemon, or whose the directory is. */
static bool is_owner_trusted(uid_t owner, const struct stat *directory)
{
	return owner == 0 || owner == geteuid() || owner == directory->st_uid;
}

const char *keyring_file_fault(const struct stat *file, const struct stat *directory)
{
	if (!S_ISREG(file->st_mode))
		return "it is not a regular file";
	if (!is_owner_trusted(file->st_uid, directory))
		return "it belongs to another user";
	if (file->st_mode & S_IRWXO)
		return "everybody may read or write it, so it may be known: remove it, and make a "
		       "new one with knocktail keygen";
	if (file->st_mode & S_IWGRP)
		return "its group may write it: chmod g-w it";
	if (file->st_mode & S_IRGRP && file->st_gid != directory->st_gid)
		return "its group may read it, which is not the group of the directory";
	return NULL;
}

int keyring_read_file(int fd, struct key_file *ret, const char **ret_fault)
{
	char text[KEY_FILE_MAX];
	size_t size;
	int r = file_read_into(fd, text, sizeof text, &size);

	if (r == 0) {
		r = key_file_parse(text, size, ret, ret_fault);
	} else if (r == -EFBIG) {
		*ret_fault = "it is longer than two keys and their times";
		r = -EINVAL;
	}
	sodium_memzero(text, sizeof text);
	return r;
}

/* What is wrong with what is in the file. */
static int refuse_key(const struct keyring_loading *loading, const char *file, int error,
		      const char *fault)
{
	char text[200];

	if (error != -EPROTONOSUPPORT)
		return refuse_file(loading, file, error == -EINVAL ? fault : strerror(-error));
	snprintf(text, sizeof text, "%s: remove it, and make a new one with knocktail keygen",
		 fault);
	return refuse_file(loading, file, text);
}

static int check_realm(const struct keyring_loading *loading, const char *file, const char *realm)
{
	char text[2 * REALM_MAX + 160];

	if (strcmp(realm, loading->realm) == 0)
		return 0;
	snprintf(text, sizeof text,
		 "it is for the realm %s, and this is %s: make a new one with knocktail keygen, or "
		 "set realm in [options]",
		 realm, loading->realm);
	return refuse_file(loading, file, text);
}

static int read_key_file(const struct keyring_loading *loading, const char *file,
			 struct key_file *ret)
{
	/* O_NONBLOCK: opening a FIFO must not wait for a writer. */
	CLEANUP(cleanup_close)
	int fd = openat(loading->directory_fd, file,
			O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK | O_NOFOLLOW);
	const char *fault = NULL;
	struct stat status;
	int r;

	if (fd < 0 && errno == ELOOP)
		return refuse_file(loading, file, "it is a symbolic link");
	if (fd < 0 || fstat(fd, &status) < 0)
		return refuse_file(loading, file, strerror(errno));
	fault = keyring_file_fault(&status, &loading->directory);
	if (fault)
		return refuse_file(loading, file, fault);
	r = keyring_read_file(fd, ret, &fault);
	return r < 0 ? refuse_key(loading, file, r, fault) : check_realm(loading, file, ret->realm);
}

/* Behind all others. 0 or -ENOMEM. */
static int keyring_add(struct keyring *keyring, const char *user, const struct secret *base,
		       const struct key_term *term)
{
	char *copy = strdup(user);

	if (!copy)
		return -ENOMEM;
	keyring->bases[keyring->n] = *base;
	keyring->terms[keyring->n] = *term;
	keyring->holders[keyring->n] =
		(struct key_holder){.user = copy, .base = &keyring->bases[keyring->n]};
	keyring->n++;
	return 0;
}

static int add_file(struct keyring_loading *loading, const char *file)
{
	char user[USER_NAME_MAX + 1];
	struct key_file keys;
	int r = read_user_name(file, user);

	if (r == -ENOENT)
		return 0;
	if (r < 0)
		return refuse_file(loading, file, "the part before .key is not a user name");
	r = read_key_file(loading, file, &keys);
	if (r == 0 && loading->keyring->n + keys.n > loading->n_room)
		r = refuse_file(loading, file, "there are too many keys");
	for (size_t i = 0; r == 0 && i < keys.n; i++)
		r = keyring_add(loading->keyring, user, &keys.bases[i], &keys.terms[i]);
	key_file_wipe(&keys);
	return r;
}

static size_t count_files(DIR *directory)
{
	const struct dirent *entry;
	char user[USER_NAME_MAX + 1];
	size_t n = 0;

	while ((entry = readdir(directory)))
		n += read_user_name(entry->d_name, user) == 0;
	rewinddir(directory);
	n *= KEY_FILE_KEYS;
	return n < KEYRING_MAX ? n : KEYRING_MAX;
}

static int add_files(struct keyring_loading *loading, DIR *directory)
{
	struct keyring *keyring = loading->keyring;
	const struct dirent *entry;
	int r = 0;

	loading->n_room = count_files(directory);
	keyring->holders = calloc(loading->n_room + 1, sizeof *keyring->holders);
	keyring->ids = calloc(loading->n_room + 1, sizeof *keyring->ids);
	keyring->terms = calloc(loading->n_room + 1, sizeof *keyring->terms);
	if (!keyring->holders || !keyring->ids || !keyring->terms ||
	    secrets_new(loading->n_room + 1, &keyring->bases) < 0)
		return -ENOMEM;
	while (r != -ENOMEM && (entry = readdir(directory)))
		r = add_file(loading, entry->d_name);
	return r == -ENOMEM ? r : 0;
}

/* The one before has the later place. */
static int compare_holders(const void *a, const void *b)
{
	const struct key_holder *x = a, *y = b;
	int order = strcmp(x->user, y->user);

	return order != 0 ? order : (x->base > y->base) - (x->base < y->base);
}

/* By user; the rest follows. 0 or -ENOMEM. */
static int keyring_sort(struct keyring *keyring)
{
	struct key_term *terms = calloc(keyring->n + 1, sizeof *terms);

	if (!terms)
		return -ENOMEM;
	qsort(keyring->holders, keyring->n, sizeof *keyring->holders, compare_holders);
	for (size_t i = 0; i < keyring->n; i++) {
		keyring->ids[i] = key_id_of(keyring->holders[i].base);
		terms[i] = keyring->terms[keyring->holders[i].base - keyring->bases];
	}
	free(keyring->terms);
	keyring->terms = terms;
	return 0;
}

struct numbered {
	struct key_id id;
	size_t position;
};

static int compare_numbered(const void *a, const void *b)
{
	const struct numbered *x = a, *y = b;
	int order = memcmp(x->id.bytes, y->id.bytes, sizeof x->id.bytes);

	return order != 0 ? order : (x->position > y->position) - (x->position < y->position);
}

static void keyring_drop(struct keyring *keyring, size_t i)
{
	free((char *)keyring->holders[i].user);
	keyring->n--;
	memmove(&keyring->holders[i], &keyring->holders[i + 1],
		(keyring->n - i) * sizeof *keyring->holders);
	memmove(&keyring->ids[i], &keyring->ids[i + 1], (keyring->n - i) * sizeof *keyring->ids);
	memmove(&keyring->terms[i], &keyring->terms[i + 1],
		(keyring->n - i) * sizeof *keyring->terms);
}

/* All keys of this one's user, which stand side by side. */
static void mark_user(const struct keyring *keyring, size_t i, bool *marks)
{
	while (keyring_is_before(keyring, i))
		i--;
	do
		marks[i++] = true;
	while (i < keyring->n && keyring_is_before(keyring, i));
}

/* Of two keys that may be the same: the later, and if it is another user's, all in its file. */
static void mark_twin(const struct keyring *keyring, size_t first, size_t second, bool *marks)
{
	if (memcmp(&keyring->ids[first], &keyring->ids[second], sizeof *keyring->ids) != 0)
		return;
	if (strcmp(keyring->holders[first].user, keyring->holders[second].user) != 0)
		mark_user(keyring, second, marks);
	marks[second] = true;
}

/* Of several users with one key only the first has it: who it was must be clear. */
static int drop_twins(struct keyring_loading *loading)
{
	struct keyring *keyring = loading->keyring;
	CLEANUP(cleanup_free)
	struct numbered *numbered = calloc(keyring->n + 1, sizeof *numbered);
	CLEANUP(cleanup_free) bool *is_twin = calloc(keyring->n + 1, sizeof *is_twin);
	char file[USER_NAME_MAX + sizeof suffix];

	if (!numbered || !is_twin)
		return -ENOMEM;
	for (size_t i = 0; i < keyring->n; i++)
		numbered[i] = (struct numbered){keyring->ids[i], i};
	qsort(numbered, keyring->n, sizeof *numbered, compare_numbered);
	for (size_t i = 1; i < keyring->n; i++)
		mark_twin(keyring, numbered[i - 1].position, numbered[i].position, is_twin);
	for (size_t i = keyring->n; i-- > 0;) {
		if (!is_twin[i])
			continue;
		snprintf(file, sizeof file, "%s%s", keyring->holders[i].user, suffix);
		if (!keyring_is_before(keyring, i) || !is_twin[i - 1])
			refuse_file(loading, file, "another user has the same key");
		keyring_drop(keyring, i);
	}
	return 0;
}

static int load_files(struct keyring_loading *loading, const char *path)
{
	CLEANUP(cleanup_closedir) DIR *directory = opendir(path);
	int r;

	if (!directory)
		return errno == ENOMEM ? -ENOMEM : refuse_file(loading, NULL, strerror(errno));
	loading->directory_fd = dirfd(directory);
	if (fstat(loading->directory_fd, &loading->directory) < 0)
		return refuse_file(loading, NULL, strerror(errno));
	if (loading->directory.st_mode & (S_IWGRP | S_IWOTH))
		return refuse_file(loading, NULL,
				   "others than its owner may put keys there: chmod go-w it");
	r = add_files(loading, directory);
	if (r == 0)
		r = keyring_sort(loading->keyring);
	return r == 0 ? drop_twins(loading) : r;
}

/* 0, or -EBADMSG: there is none, which has been said. */
static int find_realm(struct keyring_loading *loading, const char *realm)
{
	int r = 0;

	if (realm)
		snprintf(loading->realm, sizeof loading->realm, "%s", realm);
	else
		r = machine_realm(loading->realm);
	return r == 0 ? 0
		      : refuse_file(loading, NULL,
				    "which realm its keys must be for is not known, because this "
				    "machine has no ID in /etc/machine-id: set realm in [options]");
}

int keyring_load(const char *directory, const char *realm, keyring_complain_fn complain,
		 void *userdata, struct keyring **ret)
{
	CLEANUP(cleanup_keyring_free) struct keyring *keyring = calloc(1, sizeof *keyring);
	struct keyring_loading loading = {
		.keyring = keyring,
		.complain = complain,
		.userdata = userdata,
	};
	int r;

	if (!keyring)
		return -ENOMEM;
	r = find_realm(&loading, realm);
	if (r == 0)
		r = load_files(&loading, directory);
	if (r < 0 && r != -EBADMSG)
		return r;
	*ret = TAKE_PTR(keyring);
	return 0;
}

static int compare_to_user(const void *user, const void *holder)
{
	return strcmp(user, ((const struct key_holder *)holder)->user);
}

size_t keyring_find(const struct keyring *keyring, const char *user)
{
	const struct key_holder *found = NULL;

	if (keyring->n > 0)
		found = bsearch(user, keyring->holders, keyring->n, sizeof *found, compare_to_user);
	if (found && keyring_is_before(keyring, (size_t)(found - keyring->holders)))
		found--;
	return found ? (size_t)(found - keyring->holders) : SIZE_MAX;
}

bool keyring_is_before(const struct keyring *keyring, size_t i)
{
	return i > 0 && strcmp(keyring->holders[i].user, keyring->holders[i - 1].user) == 0;
}

const char *keyring_warning(const struct keyring *keyring, size_t i, uint64_t now_s,
			    char text[static KEY_WARNING_SIZE])
{
	const struct key_term *term = &keyring->terms[i];
	char date[KEY_DATE_SIZE];

	if (keyring_is_before(keyring, i))
		return NULL;
	if (now_s < term->since_s)
		snprintf(text, KEY_WARNING_SIZE, "it opens nothing before %s",
			 key_date_format(term->since_s, date));
	else if (term->expires_s == 0 || now_s + KEY_WARNING_S < term->expires_s)
		return NULL;
	else if (now_s < term->expires_s)
		snprintf(text, KEY_WARNING_SIZE, "it expires on %s: knocktail keygen --rotate",
			 key_date_format(term->expires_s, date));
	else
		snprintf(text, KEY_WARNING_SIZE,
			 "it expired on %s, and opens nothing: knocktail keygen --rotate",
			 key_date_format(term->expires_s, date));
	return text;
}
