/* What several unit tests need: directories of their own, files in them, other programs, and
 * waiting for a condition. Whatever goes wrong here fails the test. */
#pragma once

#include <stdbool.h>
#include <stddef.h>

/* A new temporary directory; support_remove() takes it away with all that is in it. */
char *support_directory(void);
void support_remove(char *directory);

/* "DIRECTORY/NAME", to be freed. */
char *support_path(const char *directory, const char *name);

void support_write(const char *path, const void *data, size_t length);

/* All that is in the file, NUL-terminated, to be freed; NULL: there is none. */
char *support_read(const char *path, size_t *ret_length);

bool support_exists(const char *path);

/* Waits until the descriptor is readable, or fails the test after some seconds. */
void support_wait(int fd);

/* Runs a program with standard input from a file (NULL: /dev/null) and returns its exit status; 127
 * if it could not be run. Its output goes to a file, or (NULL) nowhere. */
int support_run(char *const argv[], const char *input, const char *output);

/* Moves the test into a network namespace of its own. False, with the reason printed: not
 * permitted. */
bool support_private_network(void);

/* Gives the process a view of the files of its own, in which it may mount what it likes. False: not
 * permitted, or "/" is not a mount point, as in a plain chroot. */
bool support_private_mounts(void);

/* Runs ipset(8) with the words of one line and returns its exit status. */
int support_ipset(const char *line);
