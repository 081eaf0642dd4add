/* Which logs an entry of the journal belongs to, by their matches. Within the layer only. */
#pragma once

#include <stddef.h>
#include <stdint.h>
#include <systemd/sd-journal.h>

struct log_match;
struct other_log;

/* Copies what it needs of the logs, at most OTHER_LOGS_MAX. 0 or -ENOMEM. */
int log_match_new(const struct other_log *logs, size_t n, struct log_match **ret);
struct log_match *log_match_free(struct log_match *log_match);

/* Shows it an entry: the start, then each "FIELD=value". */
void log_match_start(struct log_match *log_match);
void log_match_show(struct log_match *log_match, const char *data, size_t length);

/* The logs whose matches all hold, as bits: 1 << 0 for the first. Of several matches of one
 * field, one is enough. */
uint32_t log_match_result(const struct log_match *log_match);

/* Makes the journal also show the entries of these logs. 0 or a negative errno. */
int log_match_match(const struct log_match *log_match, sd_journal *journal);
