/* Sockets that take as little as the kernel gives everybody, for one process: preloaded, it has no
 * socket ask for a larger buffer of what it sends. So a peer that does not read is felt early. */
#include <dlfcn.h>
#include <sys/socket.h>

__attribute__((visibility("default"))) int setsockopt(int fd, int level, int name,
						      const void *value, socklen_t size)
{
	static int (*real)(int, int, int, const void *, socklen_t);

	if (level == SOL_SOCKET && (name == SO_SNDBUF || name == SO_SNDBUFFORCE))
		return 0;
	if (!real)
		*(void **)&real = dlsym(RTLD_NEXT, "setsockopt");
	return real(fd, level, name, value, size);
}
