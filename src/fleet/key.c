#include "fleet/key.h"

#include <errno.h>
#include <sodium.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "util/cleanup.h"
#include "util/file.h"

static const char prefix[] = "knocktail-fleet1 ";

const char *fleet_secret_fault(mode_t mode)
{
	return mode & (S_IWGRP | S_IRWXO) ? "others than its owner and its group may read it, or "
					    "others than its owner may write it (chmod 640)"
					  : NULL;
}

int fleet_key_read(const char *path, struct secret *ret, const char **ret_fault)
{
	CLEANUP(cleanup_close) int fd = -1;
	char text[FLEET_KEY_LINE_SIZE + 1];
	struct stat st;
	size_t length = 0;
	int r = file_open_regular(path, 0, &fd, &st);

	*ret_fault = "it is not a fleet's key, as knocktail keygen --fleet makes it";
	if (r == -EBADF)
		return -EINVAL;
	if (r < 0) {
		*ret_fault = strerror(-r);
		return r;
	}
	if (fleet_secret_fault(st.st_mode)) {
		*ret_fault = fleet_secret_fault(st.st_mode);
		return -EPERM;
	}
	r = -EINVAL;
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
