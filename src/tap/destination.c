#include "tap/destination.h"

#include <errno.h>
#include <netdb.h>
#include <netinet/in.h>
#include <stdbool.h>
#include <string.h>

#include "tap/settings.h"
#include "util/cleanup.h"

/* Whatever: nothing is sent to it. */
enum { SOME_PORT = 9 };

static bool destinations_include(const struct destinations *destinations,
				 const struct addrinfo *info)
{
	for (size_t i = 0; i < destinations->n; i++)
		if (destinations->items[i].size == info->ai_addrlen &&
		    memcmp(&destinations->items[i].socket_address, info->ai_addr,
			   info->ai_addrlen) == 0)
			return true;
	return false;
}

void destinations_pick(const struct addrinfo *list, bool both, struct destinations *ret)
{
	int family = AF_UNSPEC;

	memset(ret, 0, sizeof *ret);
	for (; list && ret->n < DESTINATIONS_MAX; list = list->ai_next) {
		struct destination *item = &ret->items[ret->n];

		if (list->ai_family != AF_INET && list->ai_family != AF_INET6)
			continue;
		if (family == AF_UNSPEC)
			family = list->ai_family;
		if ((list->ai_family != family && !both) || destinations_include(ret, list))
			continue;
		memcpy(&item->socket_address, list->ai_addr, list->ai_addrlen);
		item->size = list->ai_addrlen;
		ret->n++;
	}
}

const char *destinations_resolve(const char *host, int family, struct destinations *ret)
{
	bool both = family == SETTINGS_BOTH;
	const struct addrinfo hints = {.ai_family = both ? AF_UNSPEC : family,
				       .ai_socktype = SOCK_STREAM};
	struct addrinfo *list;
	int r = getaddrinfo(host, NULL, &hints, &list);

	if (r != 0)
		return r == EAI_SYSTEM ? strerror(errno) : gai_strerror(r);
	destinations_pick(list, both, ret);
	freeaddrinfo(list);
	return ret->n > 0 ? NULL : "it has no IP address";
}

int destinations_family(const struct destinations *destinations)
{
	return destinations->items[0].socket_address.ss_family;
}

struct destination destination_at(const struct destination *destination, uint16_t port)
{
	struct destination at = *destination;

	if (at.socket_address.ss_family == AF_INET)
		((struct sockaddr_in *)&at.socket_address)->sin_port = htons(port);
	else
		((struct sockaddr_in6 *)&at.socket_address)->sin6_port = htons(port);
	return at;
}

struct address destination_address(const struct destination *destination)
{
	const void *socket_address = &destination->socket_address;
	struct address address = {{[10] = 0xff, [11] = 0xff}};

	if (destination->socket_address.ss_family == AF_INET)
		memcpy(address.bytes + 12, &((const struct sockaddr_in *)socket_address)->sin_addr,
		       4);
	else
		memcpy(address.bytes, &((const struct sockaddr_in6 *)socket_address)->sin6_addr,
		       16);
	return address;
}

int destination_source(const struct destination *destination, struct destination *ret_source)
{
	struct destination at = destination_at(destination, SOME_PORT);
	struct destination source = {.size = sizeof(source.socket_address)};
	CLEANUP(cleanup_close) int fd = socket(at.socket_address.ss_family, SOCK_DGRAM, 0);

	if (fd < 0 || connect(fd, (struct sockaddr *)&at.socket_address, at.size) < 0 ||
	    getsockname(fd, (struct sockaddr *)&source.socket_address, &source.size) < 0)
		return -errno;
	*ret_source = destination_at(&source, 0);
	return 0;
}

bool destination_sees(const struct address *ours)
{
#define IPV4(a, b, c, bits)                                                                        \
	{                                                                                          \
		{{[10] = 0xff, 0xff, a, b, c}}, 96 + (bits)                                        \
	}
	/* RFC 6890 and RFC 1112: for private use, carriers, one link, one host, and for no host. */
	static const struct network translated[] = {
		IPV4(0, 0, 0, 8),    IPV4(10, 0, 0, 8),	    IPV4(100, 64, 0, 10),
		IPV4(127, 0, 0, 8),  IPV4(169, 254, 0, 16), IPV4(172, 16, 0, 12),
		IPV4(192, 0, 0, 24), IPV4(192, 168, 0, 16), IPV4(198, 18, 0, 15),
		IPV4(224, 0, 0, 3),
	};
#undef IPV4

	for (size_t i = 0; i < sizeof translated / sizeof translated[0]; i++)
		if (network_contains(&translated[i], ours))
			return false;
	return true;
}

int endpoint_parse(const char *text, char *ret_host, size_t size, uint16_t *ret_port)
{
	const char *colon = strrchr(text, ':');
	size_t length = colon ? (size_t)(colon - text) : 0;
	uint16_t port;

	if (length == 0 || port_parse(colon + 1, &port) < 0)
		return -EINVAL;
	if (text[0] == '[' && text[length - 1] == ']') {
		text++;
		length -= 2;
	}
	if (length == 0 || length >= size || memchr(text, '[', length) || memchr(text, ']', length))
		return -EINVAL;
	memcpy(ret_host, text, length);
	ret_host[length] = '\0';
	*ret_port = port;
	return 0;
}
