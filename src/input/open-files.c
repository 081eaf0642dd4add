#include "input/open-files.h"

#include <dirent.h>
#include <endian.h>
#include <fcntl.h>
#include <limits.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "util/cleanup.h"
#include "util/number.h"

/* Of all files of a journal, and of hardly any others. */
#define FILE_NAME_PART ".journal"

/* The journal's file format, as far as it leads from entry to entry: see
 * https://systemd.io/JOURNAL_FILE_FORMAT. Numbers are little-endian. */
enum {
	FLAG_COMPACT = 1 << 4, /* offsets in arrays have four bytes */
	OBJECT_ENTRY = 3,
	OBJECT_ENTRY_ARRAY = 6,
};

struct file_head {
	uint8_t signature[8];
	uint32_t compatible_flags, incompatible_flags;
	uint8_t ids_and_sizes[120];
	uint64_t tail_object_offset, n_objects, n_entries;
	uint64_t seqnums[2];
	uint64_t entry_array_offset, head_us, tail_us;
};

struct file_object {
	uint8_t type, flags, reserved[6];
	uint64_t size;
};

struct file_entry {
	struct file_object object;
	uint64_t seqnum, realtime_us, monotonic_us;
};

struct file_array {
	struct file_object object;
	uint64_t next_offset;
};

/* Entries lie close together: many of them are in what one read brings. */
enum { WINDOW_SIZE = 16 * 1024 };

struct chain {
	int fd;
	bool compact, with_entries;
	uint64_t file_size, n_left, last_entry;
	uint64_t window_offset;
	size_t n_window; /* bytes of it */
	uint8_t window[WINDOW_SIZE];
};

static bool read_at(int fd, uint64_t offset, void *buffer, size_t size)
{
	return offset <= INT64_MAX && pread(fd, buffer, size, (off_t)offset) == (ssize_t)size;
}

/* Whether the file has an object there. Offsets only grow, and are in the file. */
static bool chain_read_object(struct chain *chain, uint64_t offset, struct file_object *ret)
{
	if (offset - chain->window_offset + sizeof *ret > chain->n_window) {
		ssize_t n = pread(chain->fd, chain->window, WINDOW_SIZE, (off_t)offset);

		if (n < (ssize_t)sizeof *ret)
			return false;
		chain->window_offset = offset;
		chain->n_window = (size_t)n;
	}
	memcpy(ret, chain->window + (offset - chain->window_offset), sizeof *ret);
	return true;
}

static bool chain_reads_entry(struct chain *chain, uint64_t offset)
{
	struct file_object object;

	if (!chain_read_object(chain, offset, &object))
		return false;
	return object.type == OBJECT_ENTRY && le64toh(object.size) >= sizeof(struct file_entry) &&
	       le64toh(object.size) <= chain->file_size - offset;
}

/* Entries come one behind the other. */
static bool chain_has_entry(struct chain *chain, uint64_t offset)
{
	bool whole = offset > chain->last_entry && offset < chain->file_size &&
		     (!chain->with_entries || chain_reads_entry(chain, offset));

	chain->last_entry = offset;
	chain->n_left--;
	return whole;
}

/* An array has room for more entries than there are. */
static bool chain_has_array(struct chain *chain, uint64_t offset, uint64_t n_items)
{
	enum { N_ITEMS = 512 };
	union {
		uint32_t compact[N_ITEMS];
		uint64_t regular[N_ITEMS];
	} items;
	const size_t size = chain->compact ? sizeof *items.compact : sizeof *items.regular;
	bool whole = true;

	for (uint64_t done = 0, n; whole && done < n_items && chain->n_left > 0; done += n) {
		n = n_items - done < N_ITEMS ? n_items - done : N_ITEMS;
		n = n < chain->n_left ? n : chain->n_left;
		whole = read_at(chain->fd, offset + done * size, &items, n * size);
		for (size_t i = 0; whole && i < n; i++)
			whole = chain_has_entry(chain, chain->compact ? le32toh(items.compact[i])
								      : le64toh(items.regular[i]));
	}
	return whole;
}

/* Arrays, too, come one behind the other: a loop of them has an end here. */
static bool chain_is_whole(struct chain *chain, uint64_t offset)
{
	const size_t item_size = chain->compact ? sizeof(uint32_t) : sizeof(uint64_t);
	uint64_t last = 0;

	while (chain->n_left > 0) {
		struct file_array array;
		uint64_t size;

		if (offset <= last || !read_at(chain->fd, offset, &array, sizeof array))
			return false;
		size = le64toh(array.object.size);
		if (array.object.type != OBJECT_ENTRY_ARRAY || size <= sizeof array ||
		    !chain_has_array(chain, offset + sizeof array,
				     (size - sizeof array) / item_size))
			return false;
		last = offset;
		offset = le64toh(array.next_offset);
	}
	return true;
}

static bool file_read_head(int fd, struct file_head *ret)
{
	return read_at(fd, 0, ret, sizeof *ret) &&
	       memcmp(ret->signature, "LPKSHHRH", sizeof ret->signature) == 0;
}

static bool file_is_whole(int fd, void *userdata)
{
	const struct open_files_check *check = userdata;
	struct chain chain = {.fd = fd, .with_entries = check->entries};
	struct file_head head;
	struct stat status;

	if (fstat(fd, &status) < 0 || !file_read_head(fd, &head))
		return false;
	if (le64toh(head.head_us) >= check->until_us || le64toh(head.tail_us) < check->since_us)
		return true;
	chain.compact = le32toh(head.incompatible_flags) & FLAG_COMPACT;
	chain.file_size = (uint64_t)status.st_size;
	chain.n_left = le64toh(head.n_entries);
	return chain_is_whole(&chain, le64toh(head.entry_array_offset));
}

static bool file_add_entries(int fd, void *userdata)
{
	uint64_t *n_entries = userdata;
	struct file_head head;
	bool is_read = file_read_head(fd, &head);

	*n_entries += is_read ? le64toh(head.n_entries) : 0;
	return is_read;
}

static bool is_read_only(int fd)
{
	return (fcntl(fd, F_GETFL) & O_ACCMODE) == O_RDONLY; /* which -1 is not */
}

/* How many files are open, of those that pass the test. */
static size_t open_files_each(bool (*test)(int fd, void *userdata), void *userdata)
{
	CLEANUP(cleanup_closedir) DIR *stream = opendir("/proc/self/fd");
	const struct dirent *entry;
	size_t n = 0;

	while (stream && (entry = readdir(stream))) {
		char path[PATH_MAX];
		ssize_t length = readlinkat(dirfd(stream), entry->d_name, path, sizeof path - 1);
		uint64_t fd;

		if (length < 0 || number_parse(entry->d_name, strlen(entry->d_name), &fd) < 0)
			continue;
		path[length] = '\0';
		if (strstr(path, FILE_NAME_PART) && is_read_only((int)fd))
			n += !test || test((int)fd, userdata);
	}
	return n;
}

size_t open_files_count(void)
{
	return open_files_each(NULL, NULL);
}

bool open_files_are_whole(struct open_files_check check)
{
	size_t n = open_files_count();
	uint64_t n_entries = 0;

	if (open_files_each(file_add_entries, &n_entries) == n && n_entries == check.n_read)
		return true;
	return open_files_each(file_is_whole, &check) == n;
}
