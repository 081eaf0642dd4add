/* What bench-replay compares with: all entries of the journal files in a directory, some fields of
 * each, and nothing else.
 *
 * Usage: bare-journal DIRECTORY FIELD... */
#include <stdio.h>
#include <stdlib.h>
#include <systemd/sd-journal.h>

int main(int argc, char *argv[])
{
	size_t n = 0, n_bytes = 0, length;
	sd_journal *journal;
	const void *data;

	if (argc < 3 || sd_journal_open_directory(&journal, argv[1], 0) < 0)
		return EXIT_FAILURE;
	while (sd_journal_next(journal) > 0) {
		n++;
		for (int i = 2; i < argc; i++)
			if (sd_journal_get_data(journal, argv[i], &data, &length) >= 0)
				n_bytes += length;
	}
	sd_journal_close(journal);
	printf("%zu records read, %zu bytes\n", n, n_bytes);
	return EXIT_SUCCESS;
}
