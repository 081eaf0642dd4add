#include "config/load.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>

#include "config/check-knocks.h"
#include "config/check.h"
#include "config/draft.h"
#include "config/ini/ini.h"
#include "util/cleanup.h"
#include "util/file.h"

enum { FILE_SIZE_MAX = 1 << 20 };

static const char *file_kind(mode_t mode)
{
	return S_ISDIR(mode)	? "a directory"
	       : S_ISFIFO(mode) ? "a FIFO"
	       : S_ISSOCK(mode) ? "a socket"
				: "a device";
}

static void complain_too_large(struct complaints *complaints)
{
	complain_error(complaints, 0, "the file is larger than %d bytes", FILE_SIZE_MAX);
}

/* Whoever may write the file decides who gets in and what runs. */
static int check_config_file(const struct stat *status, const char *path,
			     struct complaints *complaints)
{
	mode_t mode = status->st_mode;

	if (!S_ISREG(mode))
		complain_error(complaints, 0, "the file is %s, not a regular file",
			       file_kind(mode));
	else if (status->st_size > FILE_SIZE_MAX)
		complain_too_large(complaints);
	else if (mode & (S_IWGRP | S_IWOTH))
		complain_error(complaints, 0,
			       "the file's mode is %04o, so users other than its owner may write "
			       "it: chmod go-w %s",
			       mode & 07777, path);
	else
		return 0;
	return -EBADMSG;
}

static void check_readers(const struct stat *status, const char *path,
			  struct complaints *complaints)
{
	if (status->st_mode & S_IROTH)
		complain_warning(complaints, 0,
				 "everybody on this machine may read the file and the sequences "
				 "in it: chmod o-r %s",
				 path);
}

/* The whole file; -EBADMSG, with a complaint, if it cannot be taken, or grows too large meanwhile.
 */
static int read_checked(const char *path, struct complaints *complaints, struct stat *ret_status,
			char **ret_data, size_t *ret_size)
{
	/* O_NONBLOCK: opening a FIFO must not wait for a writer. */
	int fd CLEANUP(cleanup_close) = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);
	int r;

	if (fd < 0 || fstat(fd, ret_status) < 0)
		return -errno;
	r = check_config_file(ret_status, path, complaints);
	if (r < 0)
		return r;
	r = file_read(fd, FILE_SIZE_MAX, ret_data, ret_size);
	if (r == -EFBIG) {
		complain_too_large(complaints);
		return -EBADMSG;
	}
	return r;
}

static int build_draft(const char *data, size_t size, const char *proc_net, struct draft *draft,
		       struct complaints *complaints)
{
	struct ini ini CLEANUP(ini_done) = {0};
	int r;

	r = ini_scan(data, size, complaints, &ini);
	if (r < 0)
		return r;
	r = draft_build(&ini, complaints, draft);
	if (r < 0)
		return r;
	draft_link_logs(draft, complaints);
	draft_check_doors(draft, complaints);
	r = draft_check_tags(draft, complaints);
	if (r == 0)
		r = draft_check_knocks(draft, complaints);
	if (r == 0 && proc_net)
		r = draft_check_ports(draft, proc_net, complaints);
	return r;
}

int config_load_bytes(const char *data, size_t size, const char *proc_net,
		      struct config **ret_config, struct complaints *ret_complaints)
{
	struct draft draft CLEANUP(draft_done) = {0};
	int r;

	*ret_complaints = (struct complaints){0};
	r = build_draft(data, size, proc_net, &draft, ret_complaints);
	complaints_sort(ret_complaints);
	if (r < 0)
		return r;
	if (ret_complaints->error < 0)
		return ret_complaints->error;
	if (ret_complaints->n_errors > 0)
		return -EBADMSG;
	*ret_config = TAKE_PTR(draft.config);
	return 0;
}

int config_load(const char *path, struct config **ret_config, struct complaints *ret_complaints)
{
	char *data CLEANUP(cleanup_free) = NULL;
	struct stat status;
	size_t size = 0;
	int r;

	*ret_complaints = (struct complaints){0};
	r = read_checked(path, ret_complaints, &status, &data, &size);
	if (r < 0)
		return r;
	r = config_load_bytes(data, size, "/proc/self/net", ret_config, ret_complaints);
	check_readers(&status, path, ret_complaints);
	complaints_sort(ret_complaints);
	return r;
}
