#include "fleet/agent/closed-file.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "fleet/ledger.h"
#include "util/cleanup.h"
#include "util/clock.h"
#include "util/file.h"
#include "util/replace.h"

static const char name[] = "closed";

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
	r = file_read(fd, (size_t)LEDGER_MAX * FLEET_PLAIN_SIZE, &data, &size);
	for (size_t i = 0; r == 0 && i + FLEET_PLAIN_SIZE <= size; i += FLEET_PLAIN_SIZE) {
		struct fleet_message message;
		struct ledger_entry *entry;
		uint64_t old_us;

		if (fleet_decode((const uint8_t *)data + i, &message) == 0 &&
		    (message.kind == FLEET_CLOSED || message.kind == FLEET_SHUT))
			ledger_take(ledger, &message, clock_us(CLOCK_REALTIME), &entry, &old_us);
	}
	return r;
}

struct closed_writing {
	uint8_t *data;
	size_t size;
};

/* What is still to be carried out is not known to be closed. */
static void closed_write(void *userdata, struct ledger_entry *entry)
{
	struct closed_writing *writing = userdata;

	if ((entry->message.kind != FLEET_CLOSED && entry->message.kind != FLEET_SHUT) ||
	    entry->is_due)
		return;
	fleet_encode(&entry->message, writing->data + writing->size);
	writing->size += FLEET_PLAIN_SIZE;
}

int closed_file_save(const char *directory, const struct ledger *ledger)
{
	struct closed_writing writing = {
		.data = malloc(ledger_count(ledger) * FLEET_PLAIN_SIZE + 1)};
	char path[PATH_MAX];
	int r;

	if (!writing.data)
		return -ENOMEM;
	ledger_each(ledger, closed_write, &writing);
	snprintf(path, sizeof path, "%s/%s", directory, name);
	r = file_replace_path(path, writing.data, writing.size, 0600, false);
	free(writing.data);
	return r;
}
