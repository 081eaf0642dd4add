#include "util/state-file.h"

#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdint.h>
#include <string.h>

#include "util/cleanup.h"
#include "util/file.h"

static int state_file_open(int directory_fd, const char *name, char **ret_text, size_t *ret_size)
{
	CLEANUP(cleanup_close) int fd = -1;
	int r;

	/* Whatever has the name, a pipe for example, is not waited for. */
	fd = openat(directory_fd, name, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
	if (fd < 0)
		return errno == ELOOP ? -EBADMSG : -errno;
	r = file_read(fd, STATE_FILE_MAX, ret_text, ret_size);
	return r == -EFBIG ? -EBADMSG : r;
}

static unsigned state_keys_find(const struct state_keys *keys, const char *name)
{
	unsigned i = 0;

	while (i < keys->n && strcmp(keys->names[i], name) != 0)
		i++;
	return i;
}

static int state_line_take(char *line, const struct state_keys *keys, uint64_t *seen,
			   state_line_fn fn, void *userdata)
{
	char *value = strchr(line, '=');
	unsigned key;

	if (!value)
		return -EBADMSG;
	*value++ = '\0';
	key = state_keys_find(keys, line);
	if (key < keys->n) {
		if (*seen & UINT64_C(1) << key)
			return -EBADMSG;
		*seen |= UINT64_C(1) << key;
	}
	return fn(userdata, key, line, value);
}

int state_file_load(int directory_fd, const char *name, const struct state_keys *keys,
		    state_line_fn fn, void *userdata)
{
	CLEANUP(cleanup_free) char *text = NULL;
	uint64_t seen = 0, needed = (UINT64_C(1) << keys->n_needed) - 1;
	bool ended = false;
	size_t size;
	int r = state_file_open(directory_fd, name, &text, &size);

	if (r < 0)
		return r;
	if (strlen(text) != size)
		return -EBADMSG;
	for (char *line = text, *end; r == 0 && *line; line = end + 1) {
		end = strchr(line, '\n');
		if (!end || ended)
			return -EBADMSG;
		*end = '\0';
		ended = strcmp(line, "end=yes") == 0;
		if (!ended)
			r = state_line_take(line, keys, &seen, fn, userdata);
	}
	if (r == -EINVAL || (r == 0 && (!ended || (seen & needed) != needed)))
		return -EBADMSG;
	return r;
}
