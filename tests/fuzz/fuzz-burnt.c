/* Any bytes as the record of what a key was used for: either they are refused, or they are read as
 * what they are written as. */
#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "keys/burnt-file.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void require(bool holds)
{
	if (!holds)
		abort();
}

static void check_burnt(const char *text, size_t size)
{
	struct burnt_key key = {.n_doors = 0}, again = {.n_doors = 0};
	size_t written_size;
	char *written;
	int r = burnt_file_parse(text, size, &key);

	require(r == 0 || r == -EBADMSG);
	if (r == 0) {
		require(key.n_doors <= BURNT_DOORS_MAX && key.n_nonces <= BURNT_NONCES_MAX);
		written = burnt_file_format(&key, &written_size);
		require(written && burnt_file_parse(written, written_size, &again) == 0);
		require(again.step_floor == key.step_floor && again.time_floor == key.time_floor);
		require(again.n_doors == key.n_doors && again.n_nonces == key.n_nonces);
		require(key.n_doors == 0 ||
			memcmp(again.doors, key.doors, key.n_doors * sizeof *key.doors) == 0);
		require(key.n_nonces == 0 ||
			memcmp(again.nonces, key.nonces, key.n_nonces * sizeof *key.nonces) == 0);
		free(written);
	}
	burnt_key_done(&key);
	burnt_key_done(&again);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	check_burnt((const char *)data, size);
	return 0;
}
