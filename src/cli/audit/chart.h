/* The audit's chart: who was let in when, above how many probes came, as inline SVG. */
#pragma once

#include <stdint.h>
#include <stdio.h>

struct audit_log;
struct audit_query;
struct probe_histogram;

/* `pressure` may be NULL: nothing is known of it. The time shown is [start, end). */
void audit_chart(FILE *file, const struct audit_log *log, const struct audit_query *query,
		 const struct probe_histogram *histogram, uint64_t start_us, uint64_t end_us);

/* Writes text so that it is nothing but text in HTML and SVG, in attributes too. */
void html_text(FILE *file, const char *text);
