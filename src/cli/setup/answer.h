/* Questions to whoever sits at the terminal. */
#pragma once

#include <stdbool.h>

enum { ANSWER_MAX = 256 };

/* What is wrong with an answer; NULL: nothing. */
typedef const char *(*answer_fault)(const char *answer);

/* Asks until there is an answer that has no fault; an empty one is the answer that is suggested.
 * False: there are no more answers, or none of the first twenty was right. */
bool answer_ask(const char *question, const char *suggested, answer_fault fault,
		char ret_answer[static ANSWER_MAX]);
