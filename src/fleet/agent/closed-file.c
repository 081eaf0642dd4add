#include "fleet/agent/closed-file.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "fleet/ledger.h"
#include "util/cleanup.h"
#include "util/file.h"
#include "util/replace.h"

static const char name[] = "closed";

/* An entry: until when to know it, when it was heard, whether it is still to be carried out, and
 * the word. */
enum { AT_FORGET = 0, AT_HEARD = 8, AT_DUE = 16, AT_MESSAGE = 17 };
enum { RECORD_SIZE = AT_MESSAGE + FLEET_PLAIN_SIZE };

static void record_write(uint8_t *record, const struct ledger_entry *entry)
{
	memcpy(record + AT_FORGET, &entry->forget_us, sizeof entry->forget_us);
	memcpy(record + AT_HEARD, &entry->heard_us, sizeof entry->heard_us);
	record[AT_DUE] = entry->is_due || entry->is_asked;
	fleet_encode(&entry->message, record + AT_MESSAGE);
}

static int record_read(const uint8_t *record, struct ledger_entry *ret)
{
	memcpy(&ret->forget_us, record + AT_FORGET, sizeof ret->forget_us);
	memcpy(&ret->heard_us, record + AT_HEARD, sizeof ret->heard_us);
	ret->is_due = record[AT_DUE];
	return fleet_decode(record + AT_MESSAGE, &ret->message);
}

int closed_file_load(const char *directory, struct ledger *ledger)
{
	CLEANUP(cleanup_free) char *data = NULL;
	CLEANUP(cleanup_close) int fd = -1;
	char path[PATH_MAX];
	size_t size = 0;
	int r;

	snprintf(path, sizeof path, "%s/%s", directory, name);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return errno == ENOENT ? 0 : -errno;
	r = file_read(fd, (size_t)LEDGER_MAX * RECORD_SIZE, &data, &size);
	for (size_t i = 0; r == 0 && i + RECORD_SIZE <= size; i += RECORD_SIZE) {
		struct ledger_entry saved = {.generation = 0}, *entry;

		if (record_read((const uint8_t *)data + i, &saved) < 0)
			continue;
		entry = ledger_restore(ledger, &saved);
		if (entry)
			entry->is_due = saved.is_due;
	}
	return r;
}

struct closed_writing {
	uint8_t *data;
	size_t size;
};

/* What is over, or lasts for less than was said before: an older word could open it. */
static void closed_write(void *userdata, struct ledger_entry *entry)
{
	struct closed_writing *writing = userdata;
	const struct fleet_message *message = &entry->message;

	if (!fleet_message_closes(message) &&
	    (message->kind != FLEET_OPEN || entry->forget_us <= message->until_us + LEDGER_SKEW_US))
		return;
	record_write(writing->data + writing->size, entry);
	writing->size += RECORD_SIZE;
}

int closed_file_save(const char *directory, const struct ledger *ledger)
{
	CLEANUP(cleanup_close) int fd = open(directory, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	struct closed_writing writing = {.size = 0};
	int r;

	if (fd < 0)
		return -errno;
	writing.data = malloc(ledger_count(ledger) * RECORD_SIZE + 1);
	if (!writing.data)
		return -ENOMEM;
	ledger_each(ledger, closed_write, &writing);
	r = file_replace(fd, name, writing.data, writing.size, 0600);
	free(writing.data);
	return r;
}
