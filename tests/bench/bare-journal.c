/* What bench-replay compares with: all entries of the journal files in a directory, and the message
 * of each, and nothing else.
 *
 * Usage: bare-journal DIRECTORY */
#include <stdio.h>
#include <stdlib.h>
#include <systemd/sd-journal.h>

int main(int argc, char *argv[])
{
	size_t n = 0, n_bytes = 0, length;
	sd_journal *journal;
	const void *data;

	if (argc != 2 || sd_journal_open_directory(&journal, argv[1], 0) < 0)
		return EXIT_FAILURE;
	while (sd_journal_next(journal) > 0) {
		if (sd_journal_get_data(journal, "MESSAGE", &data, &length) < 0)
			continue;
		n++;
		n_bytes += length;
	}
	sd_journal_close(journal);
	printf("%zu records read, %zu bytes\n", n, n_bytes);
	return EXIT_SUCCESS;
}
