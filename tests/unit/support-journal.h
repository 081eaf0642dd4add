/* Journal files as journald's, written by systemd-journal-remote, and this machine's own places for
 * them. */
#pragma once

#include <stdbool.h>

/* The program's path; NULL, with the reason printed: it is not installed. */
const char *journal_writer(void);

/* Gives the process a view of the files of its own, in which this machine's journal is empty, and
 * names the files, to be freed, that journald would write to: in memory and on disk. False, with
 * the reason printed: not permitted, or the machine has no id. */
bool journal_private_homes(char **ret_memory, char **ret_disk);

/* A user's file beside that one, to be freed. */
char *journal_of_user(const char *path);
