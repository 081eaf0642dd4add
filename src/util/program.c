#include "util/program.h"

#include <errno.h>
#include <inttypes.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "util/children.h"
#include "util/cleanup.h"
#include "util/clock.h"

enum { LIMIT_S = 30, OUTPUT_MAX = 256 << 20 };

DEFINE_CLEANUP(struct children *, children_free)

static int make_file(const char *text)
{
	size_t length = text ? strlen(text) : 0, done = 0;
	int fd = memfd_create("knocktail", MFD_CLOEXEC);

	if (fd < 0)
		return -errno;
	while (done < length) {
		ssize_t n = write(fd, text + done, length - done);

		if (n < 0) {
			int r = -errno;

			close(fd);
			return r;
		}
		done += (size_t)n;
	}
	lseek(fd, 0, SEEK_SET);
	return fd;
}

static int read_output(int fd, char **ret)
{
	struct stat status;
	char *text;

	if (fstat(fd, &status) < 0)
		return -errno;
	if (status.st_size > OUTPUT_MAX)
		return -EFBIG;
	text = calloc(1, (size_t)status.st_size + 1);
	if (!text)
		return -ENOMEM;
	if (pread(fd, text, (size_t)status.st_size, 0) != status.st_size) {
		free(text);
		return -EIO;
	}
	*ret = text;
	return 0;
}

static int wait_for(struct children *children, struct child_exit *ret)
{
	while (!children_next(children, clock_us(CLOCK_MONOTONIC), ret)) {
		struct pollfd poll_fd = {.fd = children_fd(children), .events = POLLIN};

		if (poll(&poll_fd, 1, 100) < 0 && errno != EINTR)
			return -errno;
	}
	return 0;
}

static int explain_exit(const char *program, const struct child_exit *end, char *problem)
{
	if (end->timed_out) {
		snprintf(problem, PROGRAM_PROBLEM_MAX, "%s: did not end within %d s", program,
			 LIMIT_S);
		return -ETIMEDOUT;
	}
	if (end->code != CLD_EXITED) {
		snprintf(problem, PROGRAM_PROBLEM_MAX, "%s: killed by signal %d", program,
			 end->status);
		return -EIO;
	}
	if (end->status != 0)
		snprintf(problem, PROGRAM_PROBLEM_MAX, "%s: exit status %d: %s", program,
			 end->status, end->output);
	return end->status;
}

static int run_to_end(const char *const argv[], int input, int output, char *problem)
{
	CLEANUP(cleanup_children_free) struct children *children = NULL;
	const struct child_files files = {.input = input, .output = output};
	struct child_exit end;
	int r = children_new(1, &children);

	if (r == 0)
		r = children_spawn_files(children, (char *const *)argv, &files,
					 clock_us(CLOCK_MONOTONIC) + LIMIT_S * US_PER_S, NULL);
	if (r == 0)
		r = wait_for(children, &end);
	if (r < 0) {
		snprintf(problem, PROGRAM_PROBLEM_MAX, "%s: %s", argv[0], strerror(-r));
		return r;
	}
	return explain_exit(argv[0], &end, problem);
}

int program_run(const char *const argv[], const char *input, char **ret_output,
		char problem[static PROGRAM_PROBLEM_MAX])
{
	CLEANUP(cleanup_close) int input_fd = make_file(input);
	CLEANUP(cleanup_close) int output_fd = make_file(NULL);
	int r, status;

	problem[0] = '\0';
	if (input_fd < 0 || output_fd < 0)
		return input_fd < 0 ? input_fd : output_fd;
	status = run_to_end(argv, input_fd, output_fd, problem);
	if (status < 0 || !ret_output)
		return status;
	r = read_output(output_fd, ret_output);
	return r < 0 ? r : status;
}
