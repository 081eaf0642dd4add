#include "util/children.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <spawn.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "util/cleanup.h"

struct child {
	pid_t pid; /* 0: this slot is free */
	int pidfd;
	int output_fd; /* -1: closed */
	uint64_t kill_at_us;
	bool timed_out;
	void *owner;
	size_t n_output;
	char output[CHILD_OUTPUT_MAX];
};

struct children {
	int epoll_fd;
	size_t n_max, n_running;
	struct child places[];
};

DEFINE_CLEANUP(struct children *, children_free)

int children_new(size_t max, struct children **ret)
{
	CLEANUP(cleanup_children_free)
	struct children *children = calloc(1, sizeof *children + max * sizeof children->places[0]);

	if (!children)
		return -ENOMEM;
	children->n_max = max;
	/* Where SIGCHLD is ignored, as a parent may hand it down, no child's end can be learnt. */
	signal(SIGCHLD, SIG_DFL);
	children->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
	if (children->epoll_fd < 0)
		return -errno;
	*ret = TAKE_PTR(children);
	return 0;
}

static void kill_group(const struct child *child)
{
	/* Not yet reaped, so neither the process nor its group can be anybody else's. The child may
	 * not have made its group yet: then the first fails and the second does not. */
	if (kill(-child->pid, SIGKILL) < 0)
		kill(child->pid, SIGKILL);
}

static void close_output(struct child *child)
{
	cleanup_close(&child->output_fd);
	child->output_fd = -1;
}

static void child_release(struct children *children, struct child *child)
{
	close_output(child);
	cleanup_close(&child->pidfd);
	child->pid = 0;
	children->n_running--;
}

struct children *children_free(struct children *children)
{
	if (!children)
		return NULL;
	for (size_t i = 0; i < children->n_max; i++) {
		struct child *child = &children->places[i];

		if (!child->pid)
			continue;
		kill_group(child);
		waitpid(child->pid, NULL, 0);
		child_release(children, child);
	}
	cleanup_close(&children->epoll_fd);
	free(children);
	return NULL;
}

/* The child starts as from a fresh login: default signals, nothing blocked, only 0, 1 and 2 open.
 */
static int prepare_spawn(posix_spawn_file_actions_t *actions, posix_spawnattr_t *attributes,
			 const struct child_files *files, int output_fd)
{
	sigset_t none, all;
	int r;

	sigemptyset(&none);
	sigfillset(&all);
	r = files->input < 0
		    ? posix_spawn_file_actions_addopen(actions, STDIN_FILENO, "/dev/null", O_RDONLY,
						       0)
		    : posix_spawn_file_actions_adddup2(actions, files->input, STDIN_FILENO);
	if (r == 0)
		r = posix_spawn_file_actions_adddup2(
			actions, files->output < 0 ? output_fd : files->output, STDOUT_FILENO);
	if (r == 0)
		r = posix_spawn_file_actions_adddup2(actions, output_fd, STDERR_FILENO);
	if (r == 0)
		r = posix_spawn_file_actions_addclosefrom_np(actions, STDERR_FILENO + 1);
	if (r == 0)
		r = posix_spawnattr_setpgroup(attributes, 0);
	if (r == 0)
		r = posix_spawnattr_setsigmask(attributes, &none);
	if (r == 0)
		r = posix_spawnattr_setsigdefault(attributes, &all);
	if (r == 0)
		r = posix_spawnattr_setflags(attributes, POSIX_SPAWN_SETPGROUP |
								 POSIX_SPAWN_SETSIGMASK |
								 POSIX_SPAWN_SETSIGDEF);
	return -r;
}

/* MUST: there are 256 bytes and more behind the arguments. ipset(8) 7.22, in Debian 13, reads so
 * many from where a comment begins, however short it is, and 32 from where the name of a set does,
 * and dies where its memory ends before; 7.17, in Debian 12, does not. What lies there is the
 * environment. */
#define DOTS_64 "................................................................"

static int spawn_program(char *const argv[], const struct child_files *files, int output_fd,
			 pid_t *ret)
{
	static char *const environment[] = {
		(char *)"PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
		(char *)"LC_ALL=C.UTF-8",
		(char *)"KNOCKTAIL_ROOM=" DOTS_64 DOTS_64 DOTS_64 DOTS_64 DOTS_64,
		NULL,
	};
	posix_spawn_file_actions_t actions;
	posix_spawnattr_t attributes;
	int r;

	r = posix_spawn_file_actions_init(&actions);
	if (r != 0)
		return -r;
	r = posix_spawnattr_init(&attributes);
	if (r == 0) {
		r = -prepare_spawn(&actions, &attributes, files, output_fd);
		if (r == 0)
			r = posix_spawn(ret, argv[0], &actions, &attributes, argv, environment);
		posix_spawnattr_destroy(&attributes);
	}
	posix_spawn_file_actions_destroy(&actions);
	return -r;
}

static int children_watch(struct children *children, int fd, size_t place)
{
	struct epoll_event event = {.events = EPOLLIN, .data.u64 = place};

	return epoll_ctl(children->epoll_fd, EPOLL_CTL_ADD, fd, &event) < 0 ? -errno : 0;
}

int children_spawn(struct children *children, char *const argv[], uint64_t kill_at_us, void *owner)
{
	return children_spawn_files(children, argv, &(struct child_files){-1, -1}, kill_at_us,
				    owner);
}

int children_file(const char *text)
{
	CLEANUP(cleanup_close) int fd = memfd_create("knocktail", MFD_CLOEXEC);
	size_t length = text ? strlen(text) : 0, done = 0;
	int r;

	if (fd < 0)
		return -errno;
	while (done < length) {
		ssize_t n = pwrite(fd, text + done, length - done, (off_t)done);

		if (n < 0)
			return -errno;
		done += (size_t)n;
	}
	r = fd;
	fd = -1;
	return r;
}

int children_spawn_files(struct children *children, char *const argv[],
			 const struct child_files *files, uint64_t kill_at_us, void *owner)
{
	struct child *child = children->places;
	CLEANUP(cleanup_close) int write_fd = -1;
	int pipe_fds[2], r;

	if (children->n_running == children->n_max)
		return -EAGAIN;
	while (child->pid)
		child++;
	if (pipe2(pipe_fds, O_CLOEXEC | O_NONBLOCK) < 0)
		return -errno;
	write_fd = pipe_fds[1];
	*child = (struct child){
		.pidfd = -1,
		.output_fd = pipe_fds[0],
		.kill_at_us = kill_at_us,
		.owner = owner,
	};
	/* The child's end blocks as any program expects of its output. */
	r = fcntl(write_fd, F_SETFL, 0) < 0 ? -errno
					    : spawn_program(argv, files, write_fd, &child->pid);
	if (r < 0) {
		close_output(child);
		child->pid = 0;
		/* The system's limit is not ours, and worth a word. */
		return r == -EAGAIN ? -ENOMEM : r;
	}
	children->n_running++;

	child->pidfd = (int)syscall(SYS_pidfd_open, child->pid, 0);
	r = child->pidfd < 0 ? -errno : 0;
	if (r == 0)
		r = children_watch(children, child->pidfd, (size_t)(child - children->places));
	if (r == 0)
		r = children_watch(children, child->output_fd, (size_t)(child - children->places));
	if (r < 0) {
		kill_group(child);
		waitpid(child->pid, NULL, 0);
		child_release(children, child);
	}
	return r;
}

void children_limit(struct children *children, const void *owner, uint64_t kill_at_us)
{
	for (size_t i = 0; i < children->n_max; i++)
		if (children->places[i].pid && children->places[i].owner == owner)
			children->places[i].kill_at_us = kill_at_us;
}

size_t children_count(const struct children *children)
{
	return children->n_running;
}

int children_fd(const struct children *children)
{
	return children->epoll_fd;
}

uint64_t children_next_us(const struct children *children)
{
	uint64_t next_us = UINT64_MAX;

	for (size_t i = 0; children->n_running > 0 && i < children->n_max; i++) {
		const struct child *child = &children->places[i];

		if (child->pid && !child->timed_out && child->kill_at_us < next_us)
			next_us = child->kill_at_us;
	}
	return next_us;
}

/* Keeps what fits, drops the rest, so that the child never blocks on its output; no more than one
 * buffer at a time, so that we never do either. */
static void read_output(struct child *child)
{
	char buffer[4096];
	size_t room = sizeof child->output - 1 - child->n_output, kept;
	ssize_t n;

	if (child->output_fd < 0)
		return;
	n = read(child->output_fd, buffer, sizeof buffer);
	if (n > 0) {
		kept = (size_t)n < room ? (size_t)n : room;
		memcpy(child->output + child->n_output, buffer, kept);
		child->n_output += kept;
	} else if (n == 0 || (errno != EAGAIN && errno != EINTR)) {
		close_output(child);
	}
}

/* One line of ASCII: what would break a log line becomes a blank, what journalctl would hide the
 * line for becomes a '?', and blanks at the end go. */
static void tidy_output(struct child *child)
{
	for (size_t i = 0; i < child->n_output; i++)
		if ((unsigned char)child->output[i] < 0x20 || child->output[i] == 0x7f)
			child->output[i] = ' ';
		else if ((unsigned char)child->output[i] > 0x7f)
			child->output[i] = '?';
	while (child->n_output > 0 && child->output[child->n_output - 1] == ' ')
		child->n_output--;
	child->output[child->n_output] = '\0';
}

static bool child_reap(struct children *children, struct child *child, struct child_exit *ret)
{
	siginfo_t info = {0};

	if (waitid(P_PIDFD, (id_t)child->pidfd, &info, WEXITED | WNOHANG) < 0 || info.si_pid == 0)
		return false;
	read_output(child);
	tidy_output(child);
	*ret = (struct child_exit){
		.owner = child->owner,
		.code = info.si_code,
		.status = info.si_status,
		.timed_out = child->timed_out,
	};
	memcpy(ret->output, child->output, sizeof ret->output);
	child_release(children, child);
	return true;
}

static void kill_overdue(struct children *children, uint64_t now_us)
{
	if (children_next_us(children) > now_us)
		return;
	for (size_t i = 0; i < children->n_max; i++) {
		struct child *child = &children->places[i];

		if (child->pid && !child->timed_out && child->kill_at_us <= now_us) {
			child->timed_out = true;
			kill_group(child);
		}
	}
}

bool children_next(struct children *children, uint64_t now_us, struct child_exit *ret)
{
	kill_overdue(children, now_us);
	/* One that never stops talking must not keep us here. */
	for (size_t i = 0; i < 2 * children->n_max; i++) {
		struct epoll_event event;
		struct child *child;

		if (epoll_wait(children->epoll_fd, &event, 1, 0) != 1)
			break;
		child = &children->places[event.data.u64];
		read_output(child);
		if (child_reap(children, child, ret))
			return true;
	}
	return false;
}
