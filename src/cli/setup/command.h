/* The commands that setup is made of. */
#pragma once

enum { COMMAND_WORDS_MAX = 16 };

/* Stands for this program: it is run again, by the name that everybody knows. */
extern const char command_knocktail[];

/* Runs argv[0], with the same input as this program's, and waits for its end. The exit status; 128
 * and the signal that killed it; or a negative errno. */
int command_run(const char *const argv[]);

/* Prints it as it would be typed, on a line of its own. */
void command_print(const char *const argv[]);
