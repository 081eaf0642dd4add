#include "cli/setup/answer.h"

#include <stdio.h>
#include <string.h>

enum { TRIES_MAX = 20 };

/* A line of standard input, without its end. False: there is none, or it is too long. */
static bool read_line(char answer[static ANSWER_MAX])
{
	size_t length;

	if (!fgets(answer, ANSWER_MAX, stdin))
		return false;
	length = strcspn(answer, "\n");
	if (answer[length] != '\n' && length == ANSWER_MAX - 1)
		return false;
	answer[length] = '\0';
	return true;
}

bool answer_ask(const char *question, const char *suggested, answer_fault fault,
		char ret_answer[static ANSWER_MAX])
{
	for (unsigned tries = 0; tries < TRIES_MAX; tries++) {
		char answer[ANSWER_MAX];
		const char *wrong;

		printf("%s [%s] ", question, suggested);
		fflush(stdout);
		if (!read_line(answer))
			break;
		if (answer[0] == '\0')
			snprintf(answer, sizeof answer, "%s", suggested);
		wrong = fault(answer);
		if (!wrong) {
			memcpy(ret_answer, answer, sizeof answer);
			return true;
		}
		printf("%s.\n", wrong);
	}
	putchar('\n');
	return false;
}
