#include "cli/doctor/network.h"

#include <ifaddrs.h>
#include <inttypes.h>
#include <net/if.h>
#include <net/route.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cli/common/this-machine.h"
#include "cli/doctor/finding.h"
#include "util/cleanup.h"

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

	if (!this_machine_address(item->ifa_addr, &address))
		return;
	if (!has_default && !side->is_there)
		snprintf(side->interface, sizeof side->interface, "%s", item->ifa_name);
	else if (!has_default && strcmp(side->interface, item->ifa_name) != 0)
		side->interface[0] = '\0';
	side->is_there = true;
	if (side->has_address || address_is_link_local(&address) ||
	    strcmp(side->interface, item->ifa_name) != 0)
		return;
	side->address = address;
	side->has_address = true;
	side->has_neighbours = !(item->ifa_flags & (IFF_NOARP | IFF_POINTOPOINT));
}

static void own_add(struct surroundings *around, const struct sockaddr *from)
{
	struct address *own = reallocarray(around->own, around->n_own + 1, sizeof *own);

	if (!own)
		return;
	around->own = own;
	around->n_own += this_machine_address(from, &own[around->n_own]);
}

static void take_all(struct doctor *doctor, const bool has_default[static N_FAMILIES])
{
	struct ifaddrs *list;

	if (getifaddrs(&list) < 0)
		return;
	for (const struct ifaddrs *item = list; item; item = item->ifa_next) {
		int kind = item->ifa_addr ? item->ifa_addr->sa_family : AF_UNSPEC;
		enum family family = kind == AF_INET6 ? FAMILY_IPV6 : FAMILY_IPV4;

		if (kind == AF_INET || kind == AF_INET6)
			own_add(&doctor->around, item->ifa_addr);
		if ((kind == AF_INET || kind == AF_INET6) && !(item->ifa_flags & IFF_LOOPBACK))
			side_take(&doctor->sides[family], item, has_default[family]);
	}
	freeifaddrs(list);
}

static void route_add(struct surroundings *around, const struct network *network,
		      const char *interface)
{
	struct route *routes = reallocarray(around->routes, around->n_routes + 1, sizeof *routes);

	if (!routes)
		return;
	around->routes = routes;
	routes[around->n_routes] = (struct route){.network = *network};
	snprintf(routes[around->n_routes].interface, IF_NAMESIZE, "%s", interface);
	around->n_routes++;
}

/* The numbers are as the machine has them in memory. */
static void take_ipv4_routes(struct surroundings *around)
{
	CLEANUP(cleanup_fclose) FILE *file = fopen("/proc/net/route", "re");
	char line[512], name[IF_NAMESIZE];
	unsigned target, flags, mask;

	while (file && fgets(line, sizeof line, file)) {
		struct network network = {.base.bytes = {[10] = 0xff, [11] = 0xff}};
		uint32_t bytes;

		if (sscanf(line, "%15s %x %*x %x %*s %*s %*s %x", name, &target, &flags, &mask) !=
			    4 ||
		    flags & RTF_REJECT)
			continue;
		bytes = target;
		memcpy(network.base.bytes + 12, &bytes, sizeof bytes);
		network.prefix = (uint8_t)(96 + __builtin_popcount(mask));
		route_add(around, &network, name);
	}
}

static void take_ipv6_routes(struct surroundings *around)
{
	CLEANUP(cleanup_fclose) FILE *file = fopen("/proc/net/ipv6_route", "re");
	char line[512], target[33], name[IF_NAMESIZE];
	unsigned prefix, flags;

	while (file && fgets(line, sizeof line, file)) {
		struct network network = {0};

		if (sscanf(line, "%32s %x %*s %*s %*s %*s %*s %*s %x %15s", target, &prefix, &flags,
			   name) != 4 ||
		    flags & RTF_REJECT || strlen(target) != 32)
			continue;
		for (size_t i = 0; i < sizeof network.base.bytes; i++)
			sscanf(target + 2 * i, "%2hhx", &network.base.bytes[i]);
		network.prefix = (uint8_t)prefix;
		route_add(around, &network, name);
	}
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
	take_ipv4_routes(&doctor->around);
	take_ipv6_routes(&doctor->around);
	if (!sides[FAMILY_IPV4].is_there && !sides[FAMILY_IPV6].is_there)
		sides[FAMILY_IPV4].is_there = sides[FAMILY_IPV6].is_there = true;
}

void doctor_forget_network(struct doctor *doctor)
{
	free(doctor->around.own);
	free(doctor->around.routes);
	doctor->around = (struct surroundings){0};
}
