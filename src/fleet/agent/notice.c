#include "fleet/agent/notice.h"

#include <stdarg.h>
#include <stdio.h>
#include <systemd/sd-journal.h>

#include "util/log.h"

static const struct {
	const char *message_id;
	int priority;
} notices[N_NOTICES] = {
	[NOTICE_UP] = {"c9fdffacbe7941f19281216e238cb137", LOG_NOTICE},
	[NOTICE_DOWN] = {"07c17cc4c20c4f6e8100b9434ef591f4", LOG_WARNING},
	[NOTICE_REFUSED] = {"5575ce157c96463581e475b2ab78555c", LOG_WARNING},
	[NOTICE_CLOCK] = {"1e6037365d8847bcbc76ab22624feda4", LOG_WARNING},
	[NOTICE_TWICE] = {"cf462f052ef74ac58db4ec240a13fbbb", LOG_ERR},
};

void notice_send(enum notice notice, const char *format, ...)
{
	char text[512];
	va_list arguments;

	va_start(arguments, format);
	vsnprintf(text, sizeof text, format, arguments);
	va_end(arguments);
	sd_journal_send("MESSAGE=%s", text, "MESSAGE_ID=%s", notices[notice].message_id,
			"PRIORITY=%d", notices[notice].priority,
			"SYSLOG_IDENTIFIER=knocktail-fleetd", NULL);
	if (!log_is_journal())
		log_line(notices[notice].priority, "%s", text);
}
