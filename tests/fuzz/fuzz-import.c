/* Any bytes as a file of knockd's: what becomes of it passes the check, and each door is there, in
 * use or as a comment. */
#include "cli/import/knockd/doors.h"

#include <errno.h>
#include <stdint.h>
#include <stdlib.h>

#include "cli/import/knockd/file.h"
#include "cli/import/result.h"
#include "config/config.h"
#include "config/load.h"
#include "core/engine/engine.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void require(bool holds)
{
	if (!holds)
		abort();
}

static void check(const char *text, size_t size, const struct import_result *result)
{
	struct config *config = NULL;
	struct complaints complaints;
	int r = config_load_bytes(text, size, NULL, &config, &complaints);

	/* A filter a door may be too many filters. */
	require(r == 0 || result->n_doors == 0 || result->n_doors > ENGINE_LANES_MAX ||
		size > 1 << 20);
	require(!config || config->n_doors == result->n_doors);
	config_free(config);
	complaints_done(&complaints);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	char *text = NULL, *told = NULL;
	size_t text_size, told_size;
	struct import_result result = {.path = "knockd.conf"};
	struct knockd_fault fault;
	struct knockd_file file;

	if (knockd_parse((const char *)data, size, &file, &fault) < 0)
		return 0;
	result.out = open_memstream(&text, &text_size);
	result.told = open_memstream(&told, &told_size);
	require(result.out && result.told);
	require(knockd_import(&file, NULL, &result) == 0);
	fclose(result.out);
	fclose(result.told);
	check(text, text_size, &result);
	import_result_done(&result);
	knockd_done(&file);
	free(text);
	free(told);
	return 0;
}
