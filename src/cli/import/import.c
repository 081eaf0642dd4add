/* knocktail import: knockd's configuration, and fwknop's, as knocktail's.
 *
 * MUST: what is written passes `knocktail check`; a door of which that cannot be said is left out,
 * as a comment. MUST: what means something else here is said, and no step of a sequence with it. */
#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "cli/common/options.h"
#include "cli/import/fwknop/access.h"
#include "cli/import/fwknop/client.h"
#include "cli/import/fwknop/file.h"
#include "cli/import/fwknop/keys.h"
#include "cli/import/knockd/defaults.h"
#include "cli/import/knockd/doors.h"
#include "cli/import/knockd/file.h"
#include "cli/import/result.h"
#include "cli/verb.h"
#include "config/config.h"
#include "config/load.h"
#include "util/cleanup.h"
#include "util/file.h"
#include "util/text/stream.h"

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
	const char *path, *output, *defaults, *keys;
};

/* What there is of it, read and recognised. */
struct import_source {
	const struct import_request *request;
	const char *data;
	size_t size;
	enum fwknop_kind kind;
};

/* Checks what has been written, and puts it where it belongs. */
static enum status import_hand_over(const struct import_source *source,
				    const struct import_result *result, const char *text,
				    size_t size)
{
	bool is_client = source->kind == FWKNOP_CLIENT;

	if (result->n_doors == 0) {
		fprintf(stderr, "knocktail import: %s: no %s could be carried over\n",
			source->request->path, is_client ? "profile" : "door");
		return STATUS_FAILED;
	}
	if ((!is_client && import_check(text, size) != STATUS_OK) ||
	    write_result(source->request->output, text, size) != STATUS_OK)
		return STATUS_FAILED;
	return result->n_left_out > 0 ? STATUS_FAILED : STATUS_OK;
}

static enum status import_fail(int error)
{
	fprintf(stderr, "knocktail import: %s\n", strerror(-error));
	return STATUS_FAILED;
}

static char *beside(const char *path, const char *name)
{
	const char *slash = strrchr(path, '/');
	char *found;

	if (asprintf(&found, "%.*s%s", slash ? (int)(slash + 1 - path) : 0, path, name) < 0)
		return NULL;
	if (access(found, F_OK) == 0)
		return found;
	free(found);
	return NULL;
}

/* The file that starts knockd, if it stands where it does on Debian (default) or Fedora
 * (sysconfig).
 */
static char *find_defaults(const char *path)
{
	char *found = beside(path, "default/knockd");

	return found ? found : beside(path, "sysconfig/knockd");
}

/* Reads another file that belongs to the one that is imported. */
static int read_other(const char *path, char **ret_data)
{
	size_t size;
	int r = import_read_file(path, ret_data, &size);

	if (r < 0)
		fprintf(stderr, "knocktail import: cannot read %s: %s\n", path, strerror(-r));
	return r;
}

static int import_knockd(const struct import_source *source, struct import_result *result,
			 enum status *ret_status)
{
	const struct import_request *request = source->request;
	char *found CLEANUP(cleanup_free) = NULL, *data CLEANUP(cleanup_free) = NULL;
	const char *path = request->defaults;
	struct knockd_defaults defaults;
	struct knockd_file file = {0};
	struct knockd_fault fault;
	int r;

	*ret_status = STATUS_USAGE;
	if (!path && strcmp(request->path, "-") != 0)
		path = found = find_defaults(request->path);
	if (path && read_other(path, &data) < 0)
		return -EBADMSG;
	if (path)
		knockd_defaults_parse(path, data, &defaults);
	r = knockd_parse(source->data, source->size, &file, &fault);
	if (r == -EBADMSG)
		fprintf(stderr, "%s:%u: error: %s\n", request->path, fault.line, fault.text);
	if (r == 0)
		r = knockd_import(&file, path ? &defaults : NULL, result);
	knockd_done(&file);
	return r;
}

static int import_client(const struct import_source *source, struct import_result *result)
{
	struct fwknop_file file;
	int r = fwknop_parse(source->data, FWKNOP_CLIENT, &file);

	if (r < 0)
		return r;
	result->comment = '#';
	fwknop_import_client(&file, result);
	fwknop_done(&file);
	return 0;
}

/* Without fwknopd.conf there is nothing to say of it. */
static int import_access(const struct import_source *source, struct import_result *result,
			 struct fwknop_users *ret_users, enum status *ret_status)
{
	const char *path = source->request->path;
	char *found CLEANUP(cleanup_free) =
		strcmp(path, "-") != 0 ? beside(path, "fwknopd.conf") : NULL;
	char *data CLEANUP(cleanup_free) = NULL;
	struct fwknop_file file = {0}, options = {0};
	int r;

	*ret_status = STATUS_USAGE;
	if (found && read_other(found, &data) < 0)
		return -EBADMSG;
	r = fwknop_parse(source->data, FWKNOP_ACCESS, &file);
	if (r == 0 && found)
		r = fwknop_parse(data, FWKNOP_OPTIONS, &options);
	if (r == 0)
		r = fwknop_import_access(&file, found ? &options : NULL, found, result, ret_users);
	fwknop_done(&file);
	fwknop_done(&options);
	return r;
}

/* Writes what comes of the file; -EBADMSG: that has been said, and *ret_status is what it means. */
static int import_translate(const struct import_source *source, struct import_result *result,
			    struct fwknop_users *ret_users, enum status *ret_status)
{
	if (source->kind == FWKNOP_CLIENT)
		return import_client(source, result);
	return source->kind == FWKNOP_ACCESS ? import_access(source, result, ret_users, ret_status)
					     : import_knockd(source, result, ret_status);
}

static enum status import_source_run(const struct import_source *source)
{
	char *text CLEANUP(cleanup_free) = NULL;
	size_t size;
	struct import_result result = {.path = source->request->path,
				       .out = text_stream_open(&text, &size),
				       .told = stderr};
	struct fwknop_users users = {0};
	enum status status = STATUS_FAILED;
	int r = result.out ? import_translate(source, &result, &users, &status) : -ENOMEM;

	if (result.out && fclose(result.out) != 0 && r == 0)
		r = -ENOMEM;
	if (r == 0)
		status = import_hand_over(source, &result, text, size);
	else if (r != -EBADMSG)
		status = import_fail(r);
	if (r == 0 && result.n_doors > 0 && source->request->keys &&
	    fwknop_make_keys(&users, source->request->keys) < 0)
		status = STATUS_FAILED;
	import_result_done(&result);
	free(users.items);
	return status;
}

static enum status import_file(const struct import_request *request)
{
	char *data CLEANUP(cleanup_free) = NULL;
	struct import_source source = {.request = request};
	enum status status;
	int r = import_read_file(request->path, &data, &source.size);

	if (r < 0) {
		fprintf(stderr, "knocktail import: cannot read %s: %s\n", request->path,
			strerror(-r));
		return STATUS_USAGE;
	}
	source.data = data;
	source.kind = fwknop_recognise(data);
	if (request->keys && source.kind != FWKNOP_ACCESS) {
		fputs("knocktail import: --keys is for an access.conf of fwknop's\n", stderr);
		return verb_misused(&verb_import);
	}
	status = import_source_run(&source);
	explicit_bzero(data, source.size);
	return status;
}

static enum status import_run(int argc, char *argv[])
{
	struct import_request request = {0};
	enum status status;
	const struct verb_option options[] = {
		{"output", 'o', .text = &request.output},
		{"defaults", .text = &request.defaults},
		{"keys", .text = &request.keys},
		{0},
	};

	if (!options_read(&verb_import, argc, argv, options, &status))
		return status;
	if (optind == argc) {
		fputs("knocktail import: missing file (knockd has /etc/knockd.conf, fwknop "
		      "/etc/fwknop/access.conf and ~/.fwknoprc)\n",
		      stderr);
		return verb_misused(&verb_import);
	}
	request.path = argv[optind++];
	if (verb_check_end(&verb_import, argc, argv) != STATUS_OK)
		return STATUS_USAGE;
	return import_file(&request);
}

const struct verb verb_import = {
	.name = "import",
	.summary = "convert a configuration of knockd or fwknop",
	.help = "Usage: knocktail import [-o FILE] [--defaults FILE] [--keys DIR] FILE\n"
		"\n"
		"Writes a knocktail.conf that does the same as FILE, a knockd.conf or an\n"
		"access.conf of fwknop's; or knocktap's profiles from a .fwknoprc. What FILE is,\n"
		"it sees by itself. Reports on standard error, line by line, what could not be\n"
		"carried over and what means something else here.\n"
		"\n"
		"  -o, --output FILE  write it there, if there is no such file yet (default:\n"
		"                     standard output)\n"
		"      --defaults FILE  what starts knockd, with its options (default: the file\n"
		"                     default/knockd beside FILE, if there is one)\n"
		"      --keys DIR     fwknop: make a key for each user in DIR, as keygen does\n"
		"  -h, --help         print this\n"
		"\n"
		"Exit status: 0 every door was carried over, 1 one was not, 2 it is not such a\n"
		"file.\n",
	.run = import_run,
};
