#include "cli/common/this-machine.h"

#include <arpa/inet.h>
#include <ifaddrs.h>
#include <net/if.h>
#include <stdbool.h>
#include <stdio.h>

#include "core/door.h"

static bool has_interface(const struct filter *filter)
{
	struct if_nameindex *list = if_nameindex();
	bool found = !list; /* not known */

	for (const struct if_nameindex *item = list; item && item->if_index; item++)
		found = found || filter_takes_interface(filter, item->if_name);
	if (list)
		if_freenameindex(list);
	return found;
}

bool this_machine_address(const struct sockaddr *from, struct address *ret)
{
	char text[INET6_ADDRSTRLEN];
	const void *bytes;

	if (!from || (from->sa_family != AF_INET && from->sa_family != AF_INET6))
		return false;
	bytes = from->sa_family == AF_INET6
			? (const void *)&((const struct sockaddr_in6 *)from)->sin6_addr
			: (const void *)&((const struct sockaddr_in *)from)->sin_addr;
	return inet_ntop(from->sa_family, bytes, text, sizeof text) &&
	       address_parse(text, ret) == 0;
}

static bool has_address(const struct address *address)
{
	struct address own;
	struct ifaddrs *list;
	bool found = false;

	if (getifaddrs(&list) < 0)
		return true; /* not known */
	for (const struct ifaddrs *item = list; item; item = item->ifa_next)
		found = found || (this_machine_address(item->ifa_addr, &own) &&
				  address_equal(&own, address));
	freeifaddrs(list);
	return found;
}

const char *this_machine_lacks(const struct door *door, char text[static ABSENCE_TEXT_MAX])
{
	const struct filter *filter = &door->knock.filter;
	char address[ADDRESS_TEXT_MAX];

	if (!filter_is_logged_here(filter))
		return NULL;
	if (filter->interface[0] && !has_interface(filter)) {
		snprintf(text, ABSENCE_TEXT_MAX, "this machine has no interface %s",
			 filter->interface);
		return text;
	}
	if (filter->has_target && !has_address(&filter->target)) {
		snprintf(text, ABSENCE_TEXT_MAX,
			 "this machine has no address %s: behind a translation, target is the "
			 "inner one",
			 address_format(&filter->target, address));
		return text;
	}
	return NULL;
}
