#include "fleet/key.h"

#include <errno.h>
#include <fcntl.h>
#include <sodium.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "util/cleanup.h"
#include "util/file.h"

static const char prefix[] = "knocktail-fleet1 ";

int fleet_key_read(const char *path, struct secret *ret, const char **ret_fault)
{
	CLEANUP(cleanup_close) int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);
	char text[FLEET_KEY_LINE_SIZE + 1];
	struct stat st;
	size_t length = 0;
	int r = -EINVAL;

	if (fd < 0 || fstat(fd, &st) < 0) {
		r = -errno;
		*ret_fault = strerror(errno);
		return r;
	}
	*ret_fault = "it is not a fleet's key, as knocktail keygen --fleet makes it";
	if (!S_ISREG(st.st_mode))
		return -EINVAL;
	if (st.st_mode & (S_IWGRP | S_IRWXO)) {
		*ret_fault = "others than its owner and its group may read it, or others than its "
			     "owner may write it (chmod 640)";
		return -EPERM;
	}
	if (file_read_into(fd, text, sizeof text, &length) == 0 && length > strlen(prefix) &&
	    memcmp(text, prefix, strlen(prefix)) == 0)
		r = secret_parse(text + strlen(prefix), length - strlen(prefix), ret);
	sodium_memzero(text, sizeof text);
	return r;
}

void fleet_key_format(const struct secret *key, char line[static FLEET_KEY_LINE_SIZE])
{
	secret_format(key, stpcpy(line, prefix));
}
