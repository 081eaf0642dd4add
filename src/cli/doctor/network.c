#include "cli/doctor/network.h"

#include <arpa/inet.h>
#include <ifaddrs.h>
#include <inttypes.h>
#include <net/if.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cli/doctor/finding.h"
#include "util/cleanup.h"

static bool address_from_socket(const struct sockaddr *from, struct address *ret)
{
	char text[INET6_ADDRSTRLEN];
	const void *bytes = from->sa_family == AF_INET6
				    ? (const void *)&((const struct sockaddr_in6 *)from)->sin6_addr
				    : (const void *)&((const struct sockaddr_in *)from)->sin_addr;

	return inet_ntop(from->sa_family, bytes, text, sizeof text) &&
	       address_parse(text, ret) == 0;
}

static bool is_link_local(const struct address *address)
{
	return address->bytes[0] == 0xfe && (address->bytes[1] & 0xc0) == 0x80;
}

/* The interface of the default route of the lowest metric; "": there is none. */
static void find_default(enum family family, char interface[static IF_NAMESIZE])
{
	CLEANUP(cleanup_fclose)
	FILE *file =
		fopen(family == FAMILY_IPV6 ? "/proc/net/ipv6_route" : "/proc/net/route", "re");
	char line[512], name[IF_NAMESIZE];
	uint64_t best = UINT64_MAX;

	interface[0] = '\0';
	while (file && fgets(line, sizeof line, file)) {
		unsigned long long metric = 0;
		int n = family == FAMILY_IPV6
				? sscanf(line,
					 "00000000000000000000000000000000 00 %*s %*s %*s %llx "
					 "%*s %*s %*s %15s",
					 &metric, name)
				: sscanf(line, "%15s 00000000 %*s %*s %*s %*s %llu 00000000", name,
					 &metric);

		if (n == 2 && strcmp(name, "lo") != 0 && metric < best) {
			memcpy(interface, name, sizeof name);
			best = metric;
		}
	}
}

/* Without a default route, the only interface that has an address. */
static void side_take(struct doctor_side *side, const struct ifaddrs *item, bool has_default)
{
	struct address address;

	if (!address_from_socket(item->ifa_addr, &address))
		return;
	if (!has_default && !side->is_there)
		snprintf(side->interface, sizeof side->interface, "%s", item->ifa_name);
	else if (!has_default && strcmp(side->interface, item->ifa_name) != 0)
		side->interface[0] = '\0';
	side->is_there = true;
	if (side->has_address || is_link_local(&address) ||
	    strcmp(side->interface, item->ifa_name) != 0)
		return;
	side->address = address;
	side->has_address = true;
}

static void take_all(struct doctor *doctor, const bool has_default[static N_FAMILIES])
{
	struct ifaddrs *list;

	if (getifaddrs(&list) < 0)
		return;
	for (const struct ifaddrs *item = list; item; item = item->ifa_next) {
		int kind = item->ifa_addr ? item->ifa_addr->sa_family : AF_UNSPEC;
		enum family family = kind == AF_INET6 ? FAMILY_IPV6 : FAMILY_IPV4;

		if ((kind == AF_INET || kind == AF_INET6) && !(item->ifa_flags & IFF_LOOPBACK))
			side_take(&doctor->sides[family], item, has_default[family]);
	}
	freeifaddrs(list);
}

/* A machine that is not on a network yet will be, and then with both families. */
void doctor_look_at_network(struct doctor *doctor)
{
	struct doctor_side *sides = doctor->sides;
	bool has_default[N_FAMILIES];

	for (enum family family = 0; family < N_FAMILIES; family++) {
		sides[family] = (struct doctor_side){0};
		find_default(family, sides[family].interface);
		has_default[family] = sides[family].interface[0];
	}
	take_all(doctor, has_default);
	if (!sides[FAMILY_IPV4].is_there && !sides[FAMILY_IPV6].is_there)
		sides[FAMILY_IPV4].is_there = sides[FAMILY_IPV6].is_there = true;
}
