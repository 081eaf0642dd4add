#include "cli/replace.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "util/cleanup.h"

int replace_file(const char *path, const char *text, size_t size, mode_t mode)
{
	CLEANUP(cleanup_free) char *scratch = NULL;
	CLEANUP(cleanup_close) int fd = -1;
	int r = 0;

	if (asprintf(&scratch, "%s.XXXXXX", path) < 0)
		return -ENOMEM;
	fd = mkostemp(scratch, O_CLOEXEC);
	if (fd < 0)
		return -errno;
	for (size_t done = 0; done < size && r == 0;) {
		ssize_t n = write(fd, text + done, size - done);

		if (n < 0)
			r = -errno;
		else
			done += (size_t)n;
	}
	if (r == 0 && (fchmod(fd, mode) < 0 || rename(scratch, path) < 0))
		r = -errno;
	if (r < 0)
		unlink(scratch);
	return r;
}
