/* Rules that log by NFLOG, where the kernel writes no LOG line, and ulogd that writes theirs. */
#pragma once

#include <stdio.h>

struct plan;

/* What ulogd has to be told; `indent` stands before each line. */
void nflog_print_ulogd(const struct plan *plan, const char *indent, FILE *file);

/* The same as a comment of the rules; nothing for rules that log to the kernel's log. */
void nflog_put_comment(const struct plan *plan, FILE *file);

/* 0; -EINVAL: the rules would not log where the doors look, which has been said. */
int nflog_check(const struct plan *plan);
