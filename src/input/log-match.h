/* Claims: which logs an entry of the journal belongs to. Within the layer only. */
#pragma once

#include <stddef.h>
#include <stdint.h>
#include <systemd/sd-journal.h>

struct log_match;
struct other_log;

/* Copies what it needs of the logs, at most OTHER_LOGS_MAX. 0 or -ENOMEM. */
int log_match_new(const struct other_log *logs, size_t n, struct log_match **ret);
struct log_match *log_match_free(struct log_match *log_match);

/* To be shown an entry's data, each "FIELD=value", after the start. */
void log_match_start(struct log_match *log_match);
void log_match_show(struct log_match *log_match, const char *data, size_t length);

/* The logs whose matches all hold, as bits: 1 << 0 for the first. Of several matches of one
 * field one has to. */
uint32_t log_match_result(const struct log_match *log_match);

/* Lets the journal show what the logs claim, beside what it shows by its matches. 0 or a
 * negative errno. */
int log_match_match(const struct log_match *log_match, sd_journal *journal);
