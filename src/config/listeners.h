/* The ports that this machine itself listens on. */
#pragma once

#include <stdbool.h>

struct listeners;
struct step;

/* Reads them from /proc/net or a directory that looks like it; what cannot be read counts as
 * nothing. Those that only this machine reaches (127.0.0.0/8, ::1) are left out. 0, or -ENOMEM. */
int listeners_read(const char *proc_net, struct listeners **ret);
struct listeners *listeners_free(struct listeners *listeners);

bool listeners_have(const struct listeners *listeners, const struct step *step);
