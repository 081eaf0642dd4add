/* What has become of the things that were to be removed, said line by line. */
#pragma once

#include <stdbool.h>

struct removal {
	bool any; /* there was something to remove */
	bool failed;
};

/* It is gone; it stays, and why; it could not be removed, and why. */
__attribute__((format(printf, 2, 3))) void removal_did(struct removal *removal, const char *format,
						       ...);
__attribute__((format(printf, 2, 3))) void removal_left(struct removal *removal, const char *format,
							...);
__attribute__((format(printf, 2, 3))) void removal_failed(struct removal *removal,
							  const char *format, ...);

/* Removes a file. */
void removal_unlink(struct removal *removal, const char *path);
