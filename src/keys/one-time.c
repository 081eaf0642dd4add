#include "keys/one-time.h"

#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "core/door.h"
#include "core/sequence.h"
#include "util/cleanup.h"
#include "util/file.h"
#include "util/replace.h"
#include "util/text/stream.h"

enum { FILE_SIZE_MAX = 4 << 20, TEXT_MAX = 200 };

/* How much longer a line becomes when it is used. */
enum { MARK_MAX = 128 };

struct sequence_line {
	struct sequence sequence;
	unsigned number;
};

struct one_time {
	unsigned n_refs;
	int directory_fd;
	char *path;
	const char *name; /* the last part of the path */
	dev_t device;	  /* of the directory, as the next: each mark makes a new file */
	ino_t inode;
	uid_t directory_owner;
	mode_t mode;
	struct sequence_line *lines; /* unused when the file was opened, in their order */
	size_t n_lines;
	size_t current;
};

DEFINE_CLEANUP(struct one_time *, one_time_free)

struct one_time *one_time_free(struct one_time *file)
{
	if (!file || --file->n_refs > 0)
		return NULL;
	cleanup_close(&file->directory_fd);
	free(file->path);
	free(file->lines);
	free(file);
	return NULL;
}

struct one_time *one_time_ref(struct one_time *file)
{
	file->n_refs++;
	return file;
}

/* A file being read, and who hears what is wrong with it. */
struct line_reading {
	struct one_time *file;
	one_time_complain_fn complain;
	void *userdata;
	bool failed;
};

__attribute__((format(printf, 4, 5))) static void
reading_complain(struct line_reading *reading, unsigned line, bool warning, const char *format, ...)
{
	char text[TEXT_MAX];
	va_list arguments;

	va_start(arguments, format);
	vsnprintf(text, sizeof text, format, arguments);
	va_end(arguments);
	if (reading->complain)
		reading->complain(reading->userdata, line, warning, text);
	reading->failed |= !warning;
}

static int one_time_open_directory(struct one_time *file)
{
	char *slash = strrchr(file->path, '/');
	struct stat status;

	file->name = slash + 1;
	*slash = '\0';
	file->directory_fd =
		open(slash == file->path ? "/" : file->path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	*slash = '/';
	if (file->directory_fd < 0 || fstat(file->directory_fd, &status) < 0)
		return -errno;
	file->device = status.st_dev;
	file->inode = status.st_ino;
	file->directory_owner = status.st_uid;
	return 0;
}

/* Another name of the file would keep what was in it: a link must not be marked. */
static void check_status(struct line_reading *reading, const struct stat *status)
{
	mode_t mode = status->st_mode & 07777;

	if (!S_ISREG(status->st_mode))
		reading_complain(reading, 0, false, "it is not a regular file");
	else if (status->st_nlink > 1)
		reading_complain(reading, 0, false, "the file has %ju names, and must have one",
				 (uintmax_t)status->st_nlink);
	else if (status->st_uid != 0 && status->st_uid != geteuid() &&
		 status->st_uid != reading->file->directory_owner)
		reading_complain(reading, 0, false,
				 "the file belongs to the user with the number %u, who is neither "
				 "root nor the daemon nor the directory's owner",
				 status->st_uid);
	else if (mode & (S_IWGRP | S_IRWXO))
		reading_complain(
			reading, 0, false,
			"the file's mode is %04o, so that others than its owner may write it, or "
			"others than its group read it: chmod g-w,o= %s",
			mode, reading->file->path);
}

/* 0; -EBADMSG: *ret_status was complained about; another negative errno. */
static int open_file(struct line_reading *reading, struct stat *ret_status, int *ret_fd)
{
	const struct one_time *file = reading->file;
	int fd = openat(file->directory_fd, file->name,
			O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY);
	int r = 0;

	if (fd < 0)
		return -errno;
	if (fstat(fd, ret_status) < 0)
		r = -errno;
	else
		check_status(reading, ret_status);
	if (reading->failed)
		r = -EBADMSG;
	if (r < 0)
		close(fd);
	else
		*ret_fd = fd;
	return r;
}

/* One line of the file's bytes, without its end; false: there is no more. */
struct cursor {
	const char *at, *end;
	const char *line;
	size_t length;
	unsigned number;
};

static bool next_line(struct cursor *cursor)
{
	size_t left = (size_t)(cursor->end - cursor->at);
	const char *newline = left > 0 ? memchr(cursor->at, '\n', left) : NULL;

	if (left == 0)
		return false;
	cursor->line = cursor->at;
	cursor->length = newline ? (size_t)(newline - cursor->at) : left;
	cursor->at += cursor->length + (newline ? 1 : 0);
	cursor->number++;
	if (cursor->length > 0 && cursor->line[cursor->length - 1] == '\r')
		cursor->length--;
	return true;
}

enum { LINE_TEXT_MAX = 1000 };

enum line_kind { LINE_SEQUENCE, LINE_EMPTY, LINE_WRONG };

/* What the line is; *ret_fault says why it is wrong. */
static enum line_kind read_sequence(const struct cursor *cursor, struct sequence *ret,
				    char fault[static TEXT_MAX])
{
	char text[LINE_TEXT_MAX + 1];
	size_t step = 0, blanks;
	int r;

	if (cursor->length > 0 && cursor->line[strspn(cursor->line, " \t")] == '#')
		return LINE_EMPTY;
	snprintf(fault, TEXT_MAX, "the line is longer than %d bytes or has a NUL byte in it",
		 LINE_TEXT_MAX);
	if (cursor->length > LINE_TEXT_MAX || memchr(cursor->line, '\0', cursor->length))
		return LINE_WRONG;
	memcpy(text, cursor->line, cursor->length);
	text[cursor->length] = '\0';
	blanks = strspn(text, " \t");
	if (text[blanks] == '\0')
		return LINE_EMPTY;
	r = sequence_parse(text, ret, &step);
	if (r == -E2BIG)
		snprintf(fault, TEXT_MAX, "the sequence has more than %d steps",
			 SEQUENCE_STEPS_MAX);
	else if (step == 0)
		snprintf(fault, TEXT_MAX, "the line has no step");
	else
		snprintf(fault, TEXT_MAX,
			 "step %zu is not PORT, PORT/tcp or PORT/udp with a port from 1 to 65535",
			 step);
	return r < 0 ? LINE_WRONG : LINE_SEQUENCE;
}

static int read_sequences(struct line_reading *reading, const char *data, size_t size)
{
	struct one_time *file = reading->file;
	struct cursor cursor = {.at = data, .end = data + size};
	size_t n_room = 0;

	while (next_line(&cursor)) {
		struct sequence sequence;
		char fault[TEXT_MAX];
		enum line_kind kind = read_sequence(&cursor, &sequence, fault);

		if (kind == LINE_WRONG)
			reading_complain(reading, cursor.number, false, "%s", fault);
		if (kind != LINE_SEQUENCE)
			continue;
		if (file->n_lines == n_room) {
			struct sequence_line *lines;

			n_room = 2 * n_room + 16;
			lines = reallocarray(file->lines, n_room, sizeof *lines);
			if (!lines)
				return -ENOMEM;
			file->lines = lines;
		}
		file->lines[file->n_lines++] = (struct sequence_line){sequence, cursor.number};
	}
	return 0;
}

static int compare_lines(const void *a, const void *b)
{
	const struct sequence_line *x = *(const struct sequence_line *const *)a,
				   *y = *(const struct sequence_line *const *)b;
	int order = (x->sequence.n_steps > y->sequence.n_steps) -
		    (x->sequence.n_steps < y->sequence.n_steps);

	for (size_t i = 0; order == 0 && i < x->sequence.n_steps; i++) {
		const struct step *p = &x->sequence.steps[i], *q = &y->sequence.steps[i];

		order = (p->port > q->port) - (p->port < q->port);
		if (order == 0)
			order = (p->protocol > q->protocol) - (p->protocol < q->protocol);
	}
	return order != 0 ? order : (x->number > y->number) - (x->number < y->number);
}

/* Somebody who has seen a sequence used could use it again if it was there twice. */
static int check_twice(struct line_reading *reading)
{
	const struct one_time *file = reading->file;
	CLEANUP(cleanup_free) const struct sequence_line **sorted = NULL;

	sorted = calloc(file->n_lines + 1, sizeof *sorted);
	if (!sorted)
		return -ENOMEM;
	for (size_t i = 0; i < file->n_lines; i++)
		sorted[i] = &file->lines[i];
	qsort(sorted, file->n_lines, sizeof *sorted, compare_lines);
	for (size_t i = 1; i < file->n_lines; i++)
		if (sequence_equal(&sorted[i]->sequence, &sorted[i - 1]->sequence))
			reading_complain(reading, sorted[i]->number, false,
					 "the sequence stands in line %u already: each is good for "
					 "one knock",
					 sorted[i - 1]->number);
	return 0;
}

/* A file that can be read now must still be small enough when all of it has been used. */
static void check_size(struct line_reading *reading, size_t size)
{
	size_t n_lines = reading->file->n_lines;

	if (size + n_lines * MARK_MAX > FILE_SIZE_MAX)
		reading_complain(
			reading, 0, false,
			"the file is too large: it may have %d bytes, %d of them to spare for each "
			"sequence",
			FILE_SIZE_MAX, MARK_MAX);
}

static void check_lines(struct line_reading *reading)
{
	const struct one_time *file = reading->file;

	for (size_t i = 0; i < file->n_lines; i++) {
		const struct sequence_line *line = &file->lines[i];

		if (line->sequence.n_steps == 1)
			reading_complain(reading, line->number, true,
					 "the sequence has one step: any port scan opens the door");
		else if (sequence_ascends(&line->sequence))
			reading_complain(
				reading, line->number, true,
				"the ports of the sequence ascend: a scan of just these ports in "
				"their order opens the door");
	}
	if (file->n_lines == 0)
		reading_complain(reading, 0, true,
				 "no unused sequence left: its doors stay closed");
}

static int load_lines(struct line_reading *reading)
{
	struct one_time *file = reading->file;
	CLEANUP(cleanup_free) char *data = NULL;
	CLEANUP(cleanup_close) int fd = -1;
	struct stat status;
	size_t size;
	int r;

	r = one_time_open_directory(file);
	if (r == 0)
		r = open_file(reading, &status, &fd);
	if (r == 0)
		r = file_read(fd, FILE_SIZE_MAX, &data, &size);
	if (r < 0 && r != -EBADMSG)
		reading_complain(reading, 0, false, "cannot read it: %s", strerror(-r));
	if (r < 0)
		return r == -ENOMEM ? r : -EBADMSG;
	file->mode = status.st_mode & 07777;
	r = read_sequences(reading, data, size);
	if (r == 0)
		r = check_twice(reading);
	check_size(reading, size);
	if (r == 0 && !reading->failed)
		check_lines(reading);
	return r;
}

int one_time_open(const char *path, one_time_complain_fn complain, void *userdata,
		  struct one_time **ret)
{
	CLEANUP(cleanup_one_time_free) struct one_time *file = calloc(1, sizeof *file);
	struct line_reading reading = {file, complain, userdata, false};
	int r;

	if (!file)
		return -ENOMEM;
	file->n_refs = 1;
	file->directory_fd = -1;
	file->path = strdup(path);
	if (!file->path)
		return -ENOMEM;
	r = load_lines(&reading);
	if (r < 0)
		return r;
	if (reading.failed)
		return -EBADMSG;
	*ret = TAKE_PTR(file);
	return 0;
}

bool one_time_same(const struct one_time *a, const struct one_time *b)
{
	return a->device == b->device && a->inode == b->inode && strcmp(a->name, b->name) == 0;
}

size_t one_time_count(const struct one_time *file)
{
	return file->n_lines;
}

size_t one_time_current(const struct one_time *file)
{
	return file->current;
}

const struct sequence *one_time_sequence(const struct one_time *file, size_t i)
{
	return &file->lines[i].sequence;
}

void one_time_advance(struct one_time *file)
{
	file->current++;
}

static bool was_heard(const struct one_time *file, const struct sequence *sequence)
{
	for (size_t i = 0; i < file->current; i++)
		if (sequence_equal(&file->lines[i].sequence, sequence))
			return true;
	return false;
}

void one_time_inherit(struct one_time *file, const struct one_time *old)
{
	if (!one_time_same(file, old))
		return;
	while (file->current < file->n_lines &&
	       was_heard(old, &file->lines[file->current].sequence))
		file->current++;
}

bool one_time_find_sequence(const struct door *door, struct sequence *ret)
{
	struct one_time *file;
	bool found;

	*ret = door->knock.sequence;
	if (ret->n_steps > 0 || !door->one_time_sequences)
		return ret->n_steps > 0;
	if (one_time_open(door->one_time_sequences, NULL, NULL, &file) < 0)
		return false;
	found = file->current < file->n_lines;
	if (found)
		*ret = file->lines[file->current].sequence;
	one_time_free(file);
	return found;
}

/* Whether the next sequence of the file as it is now is one that is to be marked: the first is any
 * up to this line, those after it follow one another. `at` is the number of the next, or SIZE_MAX.
 */
static bool take_next(const struct one_time *file, size_t line, const struct sequence *sequence,
		      size_t *at)
{
	size_t i = *at == SIZE_MAX ? 0 : *at;

	while (*at == SIZE_MAX && i < line && !sequence_equal(&file->lines[i].sequence, sequence))
		i++;
	*at = i + 1;
	return sequence_equal(&file->lines[i].sequence, sequence);
}

/* Writes the file's bytes, with marks before this line and those before it that have none. */
static int write_marked(const struct one_time *file, size_t line, const char *remark,
			const char *data, size_t size, FILE *to)
{
	struct cursor cursor = {.at = data, .end = data + size};
	const char *written = data;
	size_t at = SIZE_MAX;

	while (at == SIZE_MAX || at <= line) {
		struct sequence sequence;
		char fault[TEXT_MAX];
		enum line_kind kind;

		if (!next_line(&cursor))
			return -ESTALE;
		kind = read_sequence(&cursor, &sequence, fault);
		if (kind == LINE_EMPTY)
			continue;
		if (kind == LINE_WRONG || !take_next(file, line, &sequence, &at))
			return -ESTALE;
		fwrite(written, 1, (size_t)(cursor.line - written), to);
		fprintf(to, "# %.*s: ", MARK_MAX - 4,
			at > line ? remark : "used before, but could not be marked then");
		written = cursor.line;
	}
	fwrite(written, 1, (size_t)(cursor.end - written), to);
	return 0;
}

/* The text is to be freed. */
static int format_marked(const struct one_time *file, size_t line, const char *remark,
			 const char *data, size_t size, char **ret, size_t *ret_size)
{
	char *text = NULL;
	FILE *to = text_stream_open(&text, ret_size);
	int r;

	if (!to)
		return -ENOMEM;
	r = write_marked(file, line, remark, data, size, to);
	if (fclose(to) != 0)
		r = -ENOMEM;
	if (r < 0)
		free(text);
	else
		*ret = text;
	return r;
}

int one_time_mark(struct one_time *file, size_t line, const char *remark)
{
	struct line_reading reading = {file, NULL, NULL, false};
	CLEANUP(cleanup_free) char *data = NULL;
	CLEANUP(cleanup_free) char *marked = NULL;
	CLEANUP(cleanup_close) int fd = -1;
	struct stat status;
	size_t size, n_marked;
	int r;

	r = open_file(&reading, &status, &fd);
	if (r == 0)
		r = file_read(fd, FILE_SIZE_MAX, &data, &size);
	if (r == 0)
		r = format_marked(file, line, remark, data, size, &marked, &n_marked);
	return r == 0 ? file_replace(file->directory_fd, file->name, marked, n_marked, file->mode)
		      : r;
}
