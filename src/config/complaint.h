/* Collecting what is wrong with a configuration. */
#pragma once

#include "config/config.h"

/* At most so many are kept, so that a file of garbage costs no more; all errors are counted. */
enum { COMPLAINTS_MAX = 1000 };

/* Each appends one complaint. If memory runs out, complaints->error says so and stays. */
void complain_error(struct complaints *complaints, unsigned line, const char *format, ...)
	__attribute__((format(printf, 3, 4)));
void complain_warning(struct complaints *complaints, unsigned line, const char *format, ...)
	__attribute__((format(printf, 3, 4)));

/* Orders them by line, keeping the order within a line. */
void complaints_sort(struct complaints *complaints);
