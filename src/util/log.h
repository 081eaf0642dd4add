/* Plain log lines on standard error, as systemd and a terminal both want them. */
#pragma once

#include <stdbool.h>
#include <syslog.h>

/* Whether standard error is a stream of the journal (systemd.exec(5), JOURNAL_STREAM). */
bool log_is_journal(void);

/* One line with a priority of syslog.h; towards the journal it carries the priority as sd-daemon(3)
 * has it. */
__attribute__((format(printf, 2, 3))) void log_line(int priority, const char *format, ...);
