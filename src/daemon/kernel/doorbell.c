#include "daemon/kernel/doorbell.h"

#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <systemd/sd-daemon.h>
#include <unistd.h>

#include "util/cleanup.h"

/* Linux: Documentation/admin-guide/devices.txt */
enum { MEMORY_DEVICES = 1, KMSG_MINOR = 11 };

/* How long the service manager may take to have taken a descriptor. */
#define BARRIER_US UINT64_C(5000000)

struct doorbell {
	int fd;
	sd_event_source *ring;
	doorbell_fn fn;
	void *userdata;
};

DEFINE_CLEANUP(struct doorbell *, doorbell_free)

static bool is_kmsg(int fd)
{
	struct stat status;
	int flags = fcntl(fd, F_GETFL);

	return flags >= 0 && (flags & O_ACCMODE) != O_WRONLY && fstat(fd, &status) == 0 &&
	       S_ISCHR(status.st_mode) && status.st_rdev == makedev(MEMORY_DEVICES, KMSG_MINOR);
}

/* A descriptor that stays the giver's, or a negative errno. */
static int find_kmsg(void)
{
	int n = sd_listen_fds(0);

	for (int fd = SD_LISTEN_FDS_START; fd < SD_LISTEN_FDS_START + n; fd++)
		if (is_kmsg(fd))
			return fd;
	return is_kmsg(STDIN_FILENO) ? STDIN_FILENO : -ENODEV;
}

/* All that was logged so far is past. */
static void doorbell_silence(struct doorbell *doorbell)
{
	lseek(doorbell->fd, 0, SEEK_END);
}

static int on_ring(sd_event_source *source, int fd, uint32_t events, void *userdata)
{
	struct doorbell *doorbell = userdata;

	(void)fd;
	(void)events;
	doorbell_silence(doorbell);
	sd_event_source_set_enabled(source, SD_EVENT_OFF);
	doorbell->fn(doorbell->userdata);
	return 0;
}

int doorbell_new(sd_event *event, doorbell_fn fn, void *userdata, struct doorbell **ret)
{
	CLEANUP(cleanup_doorbell_free) struct doorbell *doorbell = calloc(1, sizeof *doorbell);
	int r;

	if (!doorbell)
		return -ENOMEM;
	doorbell->fd = -1;
	doorbell->fn = fn;
	doorbell->userdata = userdata;
	r = find_kmsg();
	if (r < 0)
		return r;
	doorbell->fd = fcntl(r, F_DUPFD_CLOEXEC, 0);
	if (doorbell->fd < 0)
		return -errno;
	doorbell_silence(doorbell);
	r = sd_event_add_io(event, &doorbell->ring, doorbell->fd, EPOLLIN, on_ring, doorbell);
	if (r < 0)
		return r;
	*ret = TAKE_PTR(doorbell);
	return 0;
}

int doorbell_pass_kmsg(void)
{
	/* What a daemon that died has left there goes. The manager is not to poll it: it would
	 * close a descriptor with an error, which this one has whenever the kernel's log has turned
	 * over. */
	static const char remove[] = "FDSTOREREMOVE=1\nFDNAME=kmsg";
	static const char store[] = "FDSTORE=1\nFDPOLL=0\nFDNAME=kmsg";
	CLEANUP(cleanup_close) int fd = open("/dev/kmsg", O_RDONLY | O_NONBLOCK | O_CLOEXEC);
	int r;

	if (fd < 0)
		return -errno;
	r = sd_notify(0, remove);
	if (r > 0)
		r = sd_pid_notify_with_fds(0, 0, store, &fd, 1);
	if (r > 0)
		r = sd_notify_barrier(0, BARRIER_US);
	return r == 0 ? -ENOTCONN : r < 0 ? r : 0;
}

void doorbell_listen(struct doorbell *doorbell)
{
	sd_event_source_set_enabled(doorbell->ring, SD_EVENT_ON);
}

struct doorbell *doorbell_free(struct doorbell *doorbell)
{
	if (doorbell) {
		sd_event_source_unref(doorbell->ring);
		if (doorbell->fd >= 0)
			close(doorbell->fd);
		free(doorbell);
	}
	return NULL;
}
