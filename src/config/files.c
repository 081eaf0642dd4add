#include "config/files.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "config/complaint.h"
#include "util/cleanup.h"
#include "util/file.h"

enum { FILE_SIZE_MAX = 1 << 20, FILES_MAX = 256 };

static const char directory_name[] = "conf.d", suffix[] = ".conf";

/* Where complaints about one of the files go. */
struct file_check {
	struct complaints *complaints;
	const char *path;
	bool is_first;
	uid_t owner; /* the first one's, once that is known */
};

__attribute__((format(printf, 3, 4))) static int complain_of(const struct file_check *check,
							     bool warning, const char *format, ...)
{
	char *text CLEANUP(cleanup_free) = NULL;
	va_list arguments;
	int r;

	va_start(arguments, format);
	r = vasprintf(&text, format, arguments);
	va_end(arguments);
	if (r < 0) {
		text = NULL;
		return -ENOMEM;
	}
	if (!check->is_first)
		complain_about(check->complaints, check->path, 0, warning, text);
	else if (warning)
		complain_warning(check->complaints, 0, "%s", text);
	else
		complain_error(check->complaints, 0, "%s", text);
	return -EBADMSG;
}

static const char *file_kind(mode_t mode)
{
	return S_ISREG(mode)	? "a regular file"
	       : S_ISDIR(mode)	? "a directory"
	       : S_ISFIFO(mode) ? "a FIFO"
	       : S_ISSOCK(mode) ? "a socket"
				: "a device";
}

/* Whoever may write the file, or put one into the directory, decides who gets in and what runs. */
static int check_writers(const struct file_check *check, const struct stat *status)
{
	const char *what = S_ISDIR(status->st_mode) ? "directory" : "file";
	mode_t mode = status->st_mode;

	if (mode & (S_IWGRP | S_IWOTH))
		return complain_of(check, false,
				   "the %s's mode is %04o, so users other than its owner may write "
				   "it: chmod go-w %s",
				   what, mode & 07777, check->path);
	if (!check->is_first && status->st_uid != 0 && status->st_uid != check->owner)
		return complain_of(
			check, false,
			"the %s belongs to the user with the number %u, who could change "
			"the configuration: chown root %s",
			what, status->st_uid, check->path);
	return 0;
}

static int check_file(const struct file_check *check, const struct stat *status)
{
	if (!S_ISREG(status->st_mode))
		return complain_of(check, false, "the file is %s, not a regular file",
				   file_kind(status->st_mode));
	return check_writers(check, status);
}

static void check_readers(const struct file_check *check, const struct stat *status)
{
	if (status->st_mode & S_IROTH)
		complain_of(check, true,
			    "everybody on this machine may read the file and the sequences in it: "
			    "chmod o-r %s",
			    check->path);
}

/* O_NONBLOCK: opening a FIFO must not wait for a writer. */
static int open_checked(struct file_check *check, struct config_file *ret)
{
	int fd CLEANUP(cleanup_close) =
		open(check->path, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);
	struct stat status;
	int r;

	if (fd < 0 || fstat(fd, &status) < 0)
		return -errno;
	r = check_file(check, &status);
	if (r < 0)
		return r;
	r = file_read(fd, FILE_SIZE_MAX, &ret->data, &ret->size);
	if (r == -EFBIG)
		return complain_of(check, false, "the file is larger than %d bytes", FILE_SIZE_MAX);
	check_readers(check, &status);
	if (check->is_first && status.st_uid != 0 && status.st_uid != geteuid())
		complain_of(check, true,
			    "the file belongs to the user with the number %u, who can change it: "
			    "chown root %s",
			    status.st_uid, check->path);
	check->owner = check->is_first ? status.st_uid : check->owner;
	return r;
}

/* Takes the path over. */
static int files_add(struct config_files *files, char *path, struct file_check *check)
{
	struct config_file *file = &files->items[files->n++];

	*file = (struct config_file){.path = path};
	check->path = path;
	return open_checked(check, file);
}

static int is_fragment(const struct dirent *entry)
{
	size_t length = strlen(entry->d_name), end = strlen(suffix);

	return entry->d_name[0] != '.' && length > end &&
	       strcmp(entry->d_name + length - end, suffix) == 0;
}

static int compare_names(const struct dirent **a, const struct dirent **b)
{
	return strcmp((*a)->d_name, (*b)->d_name);
}

/* 0 where there is no such directory. */
static int check_directory(const struct file_check *check)
{
	struct stat status;

	if (stat(check->path, &status) < 0)
		return complain_of(check, false, "cannot be read: %s", strerror(errno));
	return check_writers(check, &status);
}

static int read_fragment(struct config_files *files, const char *directory, const char *name,
			 struct file_check *check)
{
	char *path;
	int r;

	if (asprintf(&path, "%s/%s", directory, name) < 0)
		return -ENOMEM;
	r = files_add(files, path, check);
	return r == 0 || r == -EBADMSG || r == -ENOMEM
		       ? r
		       : complain_of(check, false, "cannot be read: %s", strerror(-r));
}

static int read_fragments(struct config_files *files, const char *directory,
			  struct dirent *const *entries, int n, struct file_check *check)
{
	struct config_file *items =
		reallocarray(files->items, (size_t)n + 1, sizeof(*files->items));
	int status = 0;

	if (!items)
		return -ENOMEM;
	files->items = items;
	for (int i = 0; i < n; i++) {
		int r = read_fragment(files, directory, entries[i]->d_name, check);

		if (r < 0 && r != -EBADMSG)
			return r;
		status = r < 0 ? r : status;
	}
	return status;
}

static int read_directory(struct config_files *files, struct file_check *check)
{
	char *directory CLEANUP(cleanup_free) = NULL;
	const char *path = check->path, *slash = strrchr(path, '/');
	int length = slash ? (int)(slash - path) + 1 : 0, n, r;
	struct dirent **entries = NULL;

	if (asprintf(&directory, "%.*s%s", length, path, directory_name) < 0) {
		directory = NULL;
		return -ENOMEM;
	}
	check->path = directory;
	check->is_first = false;
	n = scandir(directory, &entries, is_fragment, compare_names);
	if (n < 0 && errno == ENOENT)
		return 0;
	if (n < 0)
		return complain_of(check, false, "cannot be read: %s", strerror(errno));
	if (n > FILES_MAX)
		r = complain_of(check, false, "there are more than %d files", FILES_MAX);
	else
		r = check_directory(check);
	if (r == 0)
		r = read_fragments(files, directory, entries, n, check);
	for (int i = 0; i < n; i++)
		free(entries[i]);
	free(entries);
	return r;
}

int config_files_read(const char *path, struct config_files *ret, struct complaints *complaints)
{
	struct file_check check = {.complaints = complaints, .path = path, .is_first = true};
	char *copy = strdup(path);
	int r;

	*ret = (struct config_files){.items = calloc(1, sizeof(*ret->items))};
	if (!copy || !ret->items) {
		free(copy);
		return -ENOMEM;
	}
	r = files_add(ret, copy, &check);
	return r < 0 ? r : read_directory(ret, &check);
}

void config_files_done(struct config_files *files)
{
	for (size_t i = 0; i < files->n; i++) {
		free(files->items[i].path);
		free(files->items[i].data);
	}
	free(files->items);
	*files = (struct config_files){0};
}
