/* The audit as one page that needs nothing else: no script, no font, no network. */
#pragma once

#include <stdio.h>

struct audit_log;
struct audit_query;
struct probe_histogram;

/* `pressure` may be NULL. Errors of writing stay with the file. */
void audit_html(FILE *file, const struct audit_log *log, const struct audit_query *query,
		const struct probe_histogram *histogram);
