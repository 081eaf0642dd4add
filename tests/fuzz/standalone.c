/* A fuzz target without its fuzzer: runs it once over each file that is named. */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include "util/cleanup.h"

enum { INPUT_MAX = 1 << 20 };

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static int run_file(const char *path)
{
	CLEANUP(cleanup_fclose) FILE *file = fopen(path, "re");
	CLEANUP(cleanup_free) uint8_t *data = malloc(INPUT_MAX);
	size_t size;

	if (!file || !data) {
		perror(path);
		return -1;
	}
	size = fread(data, 1, INPUT_MAX, file);
	if (ferror(file)) {
		perror(path);
		return -1;
	}
	LLVMFuzzerTestOneInput(data, size);
	return 0;
}

int main(int argc, char **argv)
{
	for (int i = 1; i < argc; i++)
		if (run_file(argv[i]) < 0)
			return EXIT_FAILURE;
	printf("%d inputs\n", argc - 1);
	return EXIT_SUCCESS;
}
