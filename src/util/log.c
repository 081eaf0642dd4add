#include "util/log.h"

#include <errno.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

bool log_is_journal(void)
{
	const char *stream = getenv("JOURNAL_STREAM");
	uintmax_t device, inode;
	struct stat st;

	return stream && sscanf(stream, "%ju:%ju", &device, &inode) == 2 &&
	       fstat(STDERR_FILENO, &st) == 0 && st.st_dev == device && st.st_ino == inode;
}

void log_line(int priority, const char *format, ...)
{
	char text[1024];
	int length = 0;
	va_list arguments;
	bool journal = log_is_journal();

	if (journal)
		length = snprintf(text, sizeof text, "<%d>", priority);
	va_start(arguments, format);
	length += vsnprintf(text + length, sizeof text - (size_t)length, format, arguments);
	va_end(arguments);
	if ((size_t)length >= sizeof text)
		length = sizeof text - 1;
	text[length++] = '\n';
	/* A stream of the journal is a socket, and logging must not hang because journald
	 * does. */
	if (!journal ||
	    (send(STDERR_FILENO, text, (size_t)length, MSG_DONTWAIT | MSG_NOSIGNAL) < 0 &&
	     errno == ENOTSOCK))
		fwrite(text, 1, (size_t)length, stderr);
}
