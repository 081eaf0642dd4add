/* knocktail import: knockd's configuration as knocktail's.
 *
 * MUST: what is written passes `knocktail check`; a door of which that cannot be said is left out,
 * as a comment. MUST: what means something else here is said, and no step of a sequence with it. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "cli/common/options.h"
#include "cli/import/knockd/defaults.h"
#include "cli/import/knockd/doors.h"
#include "cli/import/knockd/file.h"
#include "cli/import/result.h"
#include "cli/verb.h"
#include "config/config.h"
#include "config/load.h"
#include "util/cleanup.h"
#include "util/file.h"

enum { FILE_SIZE_MAX = 1 << 20 };

static int import_read_file(const char *path, char **ret_data, size_t *ret_size)
{
	CLEANUP(cleanup_close)
	int fd = strcmp(path, "-") == 0 ? dup(STDIN_FILENO) : open(path, O_RDONLY | O_CLOEXEC);

	return fd < 0 ? -errno : file_read(fd, FILE_SIZE_MAX, ret_data, ret_size);
}

/* Checks what the doors say together. */
static enum status import_check(const char *text, size_t size)
{
	struct complaints complaints = {0};
	struct config *config = NULL;
	int r = config_load_bytes(text, size, NULL, &config, &complaints);

	for (size_t i = 0; r == -EBADMSG && i < complaints.n_items; i++)
		if (!complaints.items[i].warning)
			fprintf(stderr, "knocktail import: the result is refused: %s\n",
				complaints.items[i].text);
	if (r < 0 && r != -EBADMSG)
		fprintf(stderr, "knocktail import: %s\n", strerror(-r));
	complaints_done(&complaints);
	config_free(config);
	return r < 0 ? STATUS_FAILED : STATUS_OK;
}

/* It holds secrets: nobody else reads it, and none that is there is lost. */
static enum status write_result(const char *path, const char *text, size_t size)
{
	FILE *file;
	int fd;

	if (!path)
		return fwrite(text, 1, size, stdout) == size ? STATUS_OK : STATUS_FAILED;
	fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0640);
	file = fd < 0 ? NULL : fdopen(fd, "w");
	if (file && fwrite(text, 1, size, file) == size && fclose(file) == 0)
		return STATUS_OK;
	fprintf(stderr, "knocktail import: cannot write %s: %s\n", path, strerror(errno));
	if (fd >= 0)
		unlink(path);
	return STATUS_FAILED;
}

/* What the verb was asked for. */
struct import_request {
	const char *path, *output, *defaults;
};

/* Checks what has been written, and puts it where it belongs. */
static enum status import_hand_over(const struct import_request *request,
				    const struct import_result *result, const char *text,
				    size_t size)
{
	if (result->n_doors == 0) {
		fprintf(stderr, "knocktail import: %s: no door could be carried over\n",
			request->path);
		return STATUS_FAILED;
	}
	if (import_check(text, size) != STATUS_OK ||
	    write_result(request->output, text, size) != STATUS_OK)
		return STATUS_FAILED;
	return result->n_left_out > 0 ? STATUS_FAILED : STATUS_OK;
}

static enum status import_translate(const struct import_request *request,
				    const struct knockd_file *file,
				    const struct knockd_defaults *defaults)
{
	char *text CLEANUP(cleanup_free) = NULL;
	size_t size;
	struct import_result result = {
		.path = request->path, .out = open_memstream(&text, &size), .told = stderr};
	enum status status = STATUS_FAILED;
	int r = result.out ? knockd_import(file, defaults, &result) : -ENOMEM;

	if (result.out && fclose(result.out) != 0 && r == 0)
		r = -ENOMEM;
	if (r < 0)
		fprintf(stderr, "knocktail import: %s\n", strerror(-r));
	else
		status = import_hand_over(request, &result, text, size);
	import_result_done(&result);
	return status;
}

/* The file that starts knockd, if it stands where it does on Debian (default) or Fedora
 * (sysconfig).
 */
static char *find_defaults(const char *path)
{
	static const char *const folders[] = {"default", "sysconfig"};
	const char *slash = strrchr(path, '/');
	int n = slash ? (int)(slash + 1 - path) : 0;

	for (size_t i = 0; i < sizeof folders / sizeof folders[0]; i++) {
		char *found;

		if (asprintf(&found, "%.*s%s/knockd", n, path, folders[i]) < 0)
			return NULL;
		if (access(found, F_OK) == 0)
			return found;
		free(found);
	}
	return NULL;
}

static enum status import_knockd(const struct import_request *request,
				 const struct knockd_file *file)
{
	char *found CLEANUP(cleanup_free) = NULL, *data CLEANUP(cleanup_free) = NULL;
	const char *path = request->defaults;
	struct knockd_defaults defaults;
	size_t size;
	int r;

	if (!path && strcmp(request->path, "-") != 0)
		path = found = find_defaults(request->path);
	if (!path)
		return import_translate(request, file, NULL);
	r = import_read_file(path, &data, &size);
	if (r < 0) {
		fprintf(stderr, "knocktail import: cannot read %s: %s\n", path, strerror(-r));
		return STATUS_USAGE;
	}
	knockd_defaults_parse(path, data, &defaults);
	return import_translate(request, file, &defaults);
}

static enum status import_file(const struct import_request *request)
{
	char *data CLEANUP(cleanup_free) = NULL;
	struct knockd_file file = {0};
	struct knockd_fault fault;
	enum status status;
	size_t size = 0;
	int r = import_read_file(request->path, &data, &size);

	if (r < 0) {
		fprintf(stderr, "knocktail import: cannot read %s: %s\n", request->path,
			strerror(-r));
		return STATUS_USAGE;
	}
	r = knockd_parse(data, size, &file, &fault);
	if (r == -EBADMSG) {
		fprintf(stderr, "%s:%u: error: %s\n", request->path, fault.line, fault.text);
		return STATUS_USAGE;
	}
	if (r < 0) {
		fprintf(stderr, "knocktail import: %s\n", strerror(-r));
		return STATUS_FAILED;
	}
	status = import_knockd(request, &file);
	knockd_done(&file);
	return status;
}

static enum status import_run(int argc, char *argv[])
{
	struct import_request request = {0};
	enum status status;
	const struct verb_option options[] = {
		{"output", 'o', .text = &request.output},
		{"defaults", .text = &request.defaults},
		{0},
	};

	if (!options_read(&verb_import, argc, argv, options, &status))
		return status;
	if (optind == argc) {
		fputs("knocktail import: missing file (knockd has /etc/knockd.conf)\n", stderr);
		return verb_misused(&verb_import);
	}
	request.path = argv[optind++];
	if (verb_check_end(&verb_import, argc, argv) != STATUS_OK)
		return STATUS_USAGE;
	return import_file(&request);
}

const struct verb verb_import = {
	.name = "import",
	.summary = "convert a knockd configuration",
	.help = "Usage: knocktail import [-o FILE] [--defaults FILE] KNOCKD.CONF\n"
		"\n"
		"Writes an equivalent knocktail.conf, and reports on standard error, line by line, "
		"what\n"
		"could not be carried over and what means something else here.\n"
		"\n"
		"  -o, --output FILE  write it there, if there is no such file yet (default:\n"
		"                     standard output)\n"
		"      --defaults FILE  what starts knockd, with its options (default: the file\n"
		"                     default/knockd beside KNOCKD.CONF, if there is one)\n"
		"  -h, --help         print this\n"
		"\n"
		"Exit status: 0 every door was carried over, 1 one was not, 2 it is not a "
		"knockd file.\n",
	.run = import_run,
};
