/* Profiles: the file that says how to knock at which host, in the spirit of ssh_config(5).
 *
 * MUST: one mistake anywhere, and nothing is sent. No message shows a value: it may be a sequence.
 */
#pragma once

#include <stddef.h>

struct settings;

enum { PROFILE_SIZE_MAX = 1 << 20, PROFILE_LINE_MAX = 1024 };

/* The first mistake. */
struct profile_fault {
	unsigned line; /* from 1 */
	char text[200];
};

/* Sets what the sections that match `name` say and what is not set yet, in the order of the file.
 * 0; -EBADMSG: the file is wrong, and *ret_fault says how. */
int profile_apply(const char *data, size_t size, const char *name, struct settings *settings,
		  struct profile_fault *ret_fault);
