/* The file of profiles: where it is, and what it says of one host. */
#pragma once

struct settings;

/* Completes the settings from the file (NULL: the user's own, which may be missing). Paths of keys
 * that it names count from its folder, or from the home if they begin with "~/". 0; a negative
 * errno: it is wrong or cannot be read, and what is wrong has been printed. */
int hosts_apply(const char *path, const char *name, struct settings *settings);
