/* The manager: starts the parts of the daemon in their order, reloads, and stops them. */
#pragma once

struct manager;

struct manager_options {
	const char *config_path;
	const char *runtime_directory; /* for what the next boot does not need */
	const char *state_directory;   /* for used tokens and SPA knocks */
};

/* Reads the configuration (complaints go to standard error), takes over what a predecessor left and
 * starts to follow the journal. 0; -EBADMSG: bad configuration; another negative errno, after a
 * line in the log that says why. */
int manager_new(const struct manager_options *options, struct manager **ret);
struct manager *manager_free(struct manager *manager);

/* Runs until SIGTERM or SIGINT. 0: stopped as asked, doors as on_stop says; or a negative errno. */
int manager_run(struct manager *manager);
