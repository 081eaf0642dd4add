#include "util/program.h"

#include <errno.h>
#include <inttypes.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "util/children.h"
#include "util/cleanup.h"
#include "util/clock.h"
#include "util/file.h"

enum { LIMIT_S = 30, OUTPUT_MAX = 256 << 20 };

DEFINE_CLEANUP(struct children *, children_free)

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
		snprintf(problem, PROGRAM_PROBLEM_MAX, "%s: %s%s", argv[0], strerror(-r),
			 r == -ENOENT ? " (is it installed?)" : "");
		return r;
	}
	return explain_exit(argv[0], &end, problem);
}

static int run_with(const char *const argv[], const char *input, char **ret_output, char *problem)
{
	CLEANUP(cleanup_close) int input_fd = children_file(input);
	CLEANUP(cleanup_close) int output_fd = children_file(NULL);
	size_t size;
	int r, status;

	if (input_fd < 0 || output_fd < 0)
		return input_fd < 0 ? input_fd : output_fd;
	status = run_to_end(argv, input_fd, output_fd, problem);
	if (status < 0 || !ret_output)
		return status;
	if (lseek(output_fd, 0, SEEK_SET) < 0)
		return -errno;
	r = file_read(output_fd, OUTPUT_MAX, ret_output, &size);
	return r < 0 ? r : status;
}

int program_run(const char *const argv[], const char *input, char **ret_output,
		char problem[static PROGRAM_PROBLEM_MAX])
{
	int r;

	problem[0] = '\0';
	r = run_with(argv, input, ret_output, problem);
	/* What the program has said before is another matter. */
	if (r == -ENOMEM || (r < 0 && !problem[0]))
		snprintf(problem, PROGRAM_PROBLEM_MAX, "%s: %s", argv[0], strerror(-r));
	return r;
}
