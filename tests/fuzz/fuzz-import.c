/* Any bytes as a file of knockd's or fwknop's: what becomes of it passes the check, and each door
 * is there, in use or as a comment. */
#include "cli/import/knockd/doors.h"

#include <errno.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "cli/import/fwknop/access.h"
#include "cli/import/fwknop/client.h"
#include "cli/import/fwknop/file.h"
#include "cli/import/knockd/file.h"
#include "cli/import/result.h"
#include "config/config.h"
#include "config/load.h"
#include "core/engine/engine.h"
#include "tap/profile.h"
#include "tap/settings.h"

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

static void try_knockd(const uint8_t *data, size_t size, struct import_result *result)
{
	struct knockd_fault fault;
	struct knockd_file file;

	if (knockd_parse((const char *)data, size, &file, &fault) < 0)
		return;
	require(knockd_import(&file, NULL, result) == 0);
	knockd_done(&file);
}

/* The profiles are judged whole, whichever host is asked for. */
static void check_profiles(const char *text, size_t size)
{
	struct profile_fault fault;
	struct settings settings;

	settings_init(&settings);
	require(size > PROFILE_SIZE_MAX ||
		profile_apply(text, size, "gateway", &settings, &fault) == 0);
}

static void try_fwknop(const char *data, enum fwknop_kind kind, struct import_result *result)
{
	struct fwknop_users users = {0};
	struct fwknop_file file;

	require(fwknop_parse(data, kind, &file) == 0);
	if (kind == FWKNOP_CLIENT) {
		result->comment = '#';
		fwknop_import_client(&file, result);
	} else {
		require(fwknop_import_access(&file, &file, "fwknopd.conf", result, &users) == 0);
	}
	fwknop_done(&file);
	free(users.items);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	char *text = NULL, *told = NULL, *line = strndup((const char *)data, size);
	enum fwknop_kind kind = fwknop_recognise(line);
	struct import_result result = {.path = "knockd.conf"};
	size_t text_size, told_size;

	result.out = open_memstream(&text, &text_size);
	result.told = open_memstream(&told, &told_size);
	require(result.out && result.told);
	if (kind == FWKNOP_NONE)
		try_knockd(data, size, &result);
	else
		try_fwknop(line, kind, &result);
	fclose(result.out);
	fclose(result.told);
	if (kind == FWKNOP_CLIENT)
		check_profiles(text, text_size);
	else if (text_size > 0)
		check(text, text_size, &result);
	import_result_done(&result);
	free(line);
	free(text);
	free(told);
	return 0;
}
