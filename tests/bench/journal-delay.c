/* Usage: journal-delay DIRECTORY ROUNDS. How long after the kernel has a line in its log journald
 * has it in the journal, for a reader that does nothing but look: a line of microseconds for each
 * round. Writes to /dev/kmsg, so it needs root. */
#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <systemd/sd-journal.h>
#include <unistd.h>

#include "util/clock.h"

enum { LOOK_US = 50, PAUSE_MIN_US = 200000, PAUSE_MAX_US = 400000, LINE_MAX_BYTES = 64 };

/* Each time anew: the kernel takes few lines of one descriptor. */
static void kernel_log(const char *line)
{
	int fd = open("/dev/kmsg", O_WRONLY | O_CLOEXEC);
	char text[LINE_MAX_BYTES + 8];
	int length = snprintf(text, sizeof text, "<4>%s\n", line);

	if (fd < 0 || write(fd, text, (size_t)length) < 0) {
		perror("/dev/kmsg");
		exit(1);
	}
	close(fd);
}

static bool is_line(sd_journal *journal, const char *line)
{
	const char *data;
	size_t length, n = strlen("MESSAGE=");

	return sd_journal_get_data(journal, "MESSAGE", (const void **)&data, &length) >= 0 &&
	       length == n + strlen(line) && memcmp(data + n, line, length - n) == 0;
}

static uint64_t time_line(sd_journal *journal, const char *line)
{
	uint64_t begun_us = clock_us(CLOCK_MONOTONIC);

	kernel_log(line);
	for (;;) {
		while (sd_journal_next(journal) > 0)
			if (is_line(journal, line))
				return clock_us(CLOCK_MONOTONIC) - begun_us;
		usleep(LOOK_US);
		sd_journal_process(journal);
	}
}

int main(int argc, char *argv[])
{
	sd_journal *journal;
	long n_rounds;

	if (argc != 3)
		return 2;
	n_rounds = strtol(argv[2], NULL, 10);
	if (sd_journal_open_directory(&journal, argv[1], 0) < 0 || sd_journal_get_fd(journal) < 0 ||
	    sd_journal_seek_tail(journal) < 0 || sd_journal_previous(journal) < 0)
		return 1;
	for (long i = 0; i < n_rounds; i++) {
		char line[LINE_MAX_BYTES];

		snprintf(line, sizeof line, "journal-delay %d.%ld", (int)getpid(), i);
		usleep(PAUSE_MIN_US + (useconds_t)rand() % (PAUSE_MAX_US - PAUSE_MIN_US));
		printf("%llu\n", (unsigned long long)time_line(journal, line));
	}
	sd_journal_close(journal);
	return 0;
}
