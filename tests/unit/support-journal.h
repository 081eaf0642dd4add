/* Journal files as journald's, written by systemd-journal-remote, this machine's own places for
 * them, and a library that fails. For programs that are linked with --wrap for the functions of
 * sd-journal that are named here. */
#pragma once

#include <stdbool.h>
#include <stddef.h>

/* What sd_journal_enumerate_available_data() and sd_journal_set_data_threshold() say the next time;
 * 0: what they do. */
extern int journal_field_error, journal_threshold_error;

/* How much of a field the library was last asked to bring. */
extern size_t journal_threshold;

/* The program's path; NULL, with the reason printed: it is not installed. */
const char *journal_writer(void);

/* Gives the process a view of the files of its own, in which this machine's journal is empty, and
 * names the files, to be freed, that journald would write to: in memory and on disk. False, with
 * the reason printed: not permitted, or the machine has no id. */
bool journal_private_homes(char **ret_memory, char **ret_disk);

/* A user's file beside that one, to be freed. */
char *journal_of_user(const char *path);
