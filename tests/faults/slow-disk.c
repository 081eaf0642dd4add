/* A disk that takes its time, for one process: preloaded, it lets nothing be synced for as long as
 * the file is there that SLOW_DISK names. */
#include <stdlib.h>
#include <sys/syscall.h>
#include <unistd.h>

enum { LOOK_US = 5000 };

static int sync_slowly(long call, int fd)
{
	const char *path = getenv("SLOW_DISK");

	while (path && access(path, F_OK) == 0)
		usleep(LOOK_US);
	return (int)syscall(call, fd);
}

__attribute__((visibility("default"))) int fsync(int fd)
{
	return sync_slowly(SYS_fsync, fd);
}

__attribute__((visibility("default"))) int fdatasync(int fd)
{
	return sync_slowly(SYS_fdatasync, fd);
}
