#include "config/forwards.h"

#include <arpa/inet.h>
#include <ifaddrs.h>
#include <netinet/in.h>
#include <string.h>

#include "config/complaint.h"
#include "config/config.h"
#include "config/draft.h"
#include "config/ini/ini.h"
#include "core/door.h"

static const char *const forward_keys[N_FAMILIES] = {"forward", "forward_6"};
static const char *const set_keys[N_FAMILIES] = {"set", "set_6"};

/* One door being looked at. */
struct forward_check {
	const struct door *door;
	const struct ini_section *section;
	struct complaints *complaints;
};

/* Where the key stands; the section's line if it does not. */
static unsigned forward_line(const struct forward_check *check, const char *key)
{
	const struct ini_entry *entry = ini_find(check->section, key);

	return entry ? entry->line : check->section->line;
}

/* The key that makes it such a door. */
static const char *forward_key(const struct opening *opening)
{
	if (opening->docker)
		return "docker";
	return forward_keys[opening->forward[FAMILY_IPV4].is_there ? FAMILY_IPV4 : FAMILY_IPV6];
}

/* Behind this machine, the port that somebody has asked for is not what it was. */
static void check_port(const struct forward_check *check)
{
	const struct opening *opening = &check->door->opening;
	const char *key = forward_key(opening);

	if (port_set_is_empty(&opening->ports))
		complain_error(check->complaints, forward_line(check, key),
			       "door %s: %s without ports: it is not said which of this machine's "
			       "ports it is",
			       check->door->name, key);
	if (opening->ports.is_all && opening_forwards(opening))
		complain_error(check->complaints, forward_line(check, "ports"),
			       "door %s: ports = all, and %s: this machine would get nothing any "
			       "more from who has knocked: name the ports",
			       check->door->name, key);
	if (opening->entry && strcmp(opening->entry, "%IP%") != 0)
		complain_error(check->complaints, forward_line(check, "entry"),
			       "door %s: %s, and an entry that is more than %%IP%%: its port is "
			       "another one behind this machine",
			       check->door->name, key);
	if (opening->chain && strlen(opening->chain) > FORWARD_CHAIN_MAX)
		complain_error(
			check->complaints, forward_line(check, "chain"),
			"door %s: chain: %s is too long for a door that forwards, which adds " FORWARD_CHAIN_SUFFIX
			": at most %d characters",
			check->door->name, opening->chain, FORWARD_CHAIN_MAX);
	if (opening->docker && opening_forwards(opening))
		complain_error(check->complaints, forward_line(check, "docker"),
			       "door %s: docker and forward: where Docker sends a port on to, it "
			       "says itself",
			       check->door->name);
}

static size_t count_ports(const struct port_set *ports, uint8_t protocol)
{
	size_t n = 0;

	for (size_t i = 0; i < ports->n_ranges; i++)
		if (ports->ranges[i].protocol == protocol)
			n += ports->ranges[i].last - ports->ranges[i].first + 1U;
	return n;
}

static void check_family(const struct forward_check *check, enum family family)
{
	const struct opening *opening = &check->door->opening;
	const struct forward *forward = &opening->forward[family];
	const char *key = forward_keys[family];
	char text[FORWARD_TEXT_MAX];

	if (!forward->is_there) {
		if (opening->set[family])
			complain_error(check->complaints, forward_line(check, set_keys[family]),
				       "door %s: %s, and no %s: who knocks over %s would be sent "
				       "nowhere",
				       check->door->name, set_keys[family], key,
				       family_name(family));
		return;
	}
	if (!door_opens_for(check->door, family))
		complain_error(check->complaints, forward_line(check, key),
			       "door %s: %s is for %s, for which nothing opens the door",
			       check->door->name, key, family_name(family));
	if (forward->port && (count_ports(&opening->ports, IPPROTO_TCP) > 1 ||
			      count_ports(&opening->ports, IPPROTO_UDP) > 1))
		complain_error(check->complaints, forward_line(check, key),
			       "door %s: %s = %s: several ports cannot become one: name one in "
			       "ports, or only the address",
			       check->door->name, key, forward_format(forward, text));
}

static bool is_address(const struct sockaddr *from, const struct address *address)
{
	char text[ADDRESS_TEXT_MAX] = "";
	struct address own;

	if (from && from->sa_family == AF_INET)
		inet_ntop(AF_INET, &((const struct sockaddr_in *)from)->sin_addr, text,
			  sizeof text);
	else if (from && from->sa_family == AF_INET6)
		inet_ntop(AF_INET6, &((const struct sockaddr_in6 *)from)->sin6_addr, text,
			  sizeof text);
	return address_parse(text, &own) == 0 && address_equal(&own, address);
}

static void check_own(const struct forward_check *check, enum family family,
		      const struct ifaddrs *list)
{
	const struct forward *forward = &check->door->opening.forward[family];
	char text[ADDRESS_TEXT_MAX];

	for (const struct ifaddrs *item = list; item; item = item->ifa_next) {
		if (!forward->is_there || !is_address(item->ifa_addr, &forward->address))
			continue;
		complain_error(check->complaints, forward_line(check, forward_keys[family]),
			       "door %s: %s: %s is this machine's own: a door opens its ports "
			       "without",
			       check->door->name, forward_keys[family],
			       address_format(&forward->address, text));
		return;
	}
}

/* All ports cannot be sent on, which has been said. */
static bool sends_all_on(const struct opening *opening)
{
	return opening_forwards(opening) && opening->ports.is_all;
}

/* Whether one sends ports of its own on, and the other guards where Docker sends the same. */
static bool are_rivals(const struct opening *a, const struct opening *b)
{
	return !a->ports.is_all && !b->ports.is_all &&
	       ((opening_forwards(a) && b->docker) || (a->docker && opening_forwards(b)));
}

/* Who has opened both comes to one of them. */
static void check_shared_ports(const struct forward_check *check, const struct config *config,
			       size_t n)
{
	const struct opening *opening = &check->door->opening;

	for (size_t i = 0; i < n; i++) {
		const struct opening *other = &config->doors[i].opening;
		char text[PORT_RANGE_TEXT_MAX];
		struct port_range common;

		if ((!opening_forwards(opening) && !opening_forwards(other)) ||
		    sends_all_on(opening) || sends_all_on(other) ||
		    !port_set_common(&opening->ports, &other->ports, &common))
			continue;
		port_range_format(&common, text);
		if (are_rivals(opening, other))
			complain_error(
				check->complaints, forward_line(check, "ports"),
				"door %s: door %s guards %s, too: a port is either forwarded or "
				"published by Docker",
				check->door->name, config->doors[i].name, text);
		else
			complain_warning(check->complaints, forward_line(check, "ports"),
					 "door %s: door %s guards %s, too: who has opened both is "
					 "sent to where door %s leads",
					 check->door->name, config->doors[i].name, text,
					 opening_forwards(other) ? config->doors[i].name
								 : check->door->name);
		return;
	}
}

/* "fd00::5:443" is an address of its own. */
static void check_without_brackets(const struct forward_check *check)
{
	const struct forward *forward = &check->door->opening.forward[FAMILY_IPV6];
	const struct ini_entry *entry = ini_find(check->section, forward_keys[FAMILY_IPV6]);
	char whole[ADDRESS_TEXT_MAX], start[ADDRESS_TEXT_MAX], *colon;
	struct address address;

	if (!forward->is_there || forward->port || !entry ||
	    memchr(entry->value, '[', entry->length))
		return;
	address_format(&forward->address, whole);
	memcpy(start, whole, sizeof start);
	colon = strrchr(start, ':');
	*colon = '\0';
	if (colon[1 + strspn(colon + 1, "0123456789")] || address_parse(start, &address) < 0)
		return;
	complain_warning(
		check->complaints, entry->line,
		"door %s: forward_6 = %s is an address without a port: with one it would be "
		"[%s]:%s",
		check->door->name, whole, start, colon + 1);
}

static void forward_check_door(const struct forward_check *check, const struct ifaddrs *own)
{
	const struct opening *opening = &check->door->opening;

	if (opening->masquerade && !opening_forwards(opening))
		complain_error(check->complaints, forward_line(check, "masquerade"),
			       "door %s: masquerade without forward: nothing is sent on",
			       check->door->name);
	if (opening->docker || opening_forwards(opening))
		check_port(check);
	if (!opening_forwards(opening))
		return;
	for (enum family family = 0; family < N_FAMILIES; family++) {
		check_family(check, family);
		check_own(check, family, own);
	}
	check_without_brackets(check);
}

void draft_check_forwards(const struct draft *draft, bool on_this_machine,
			  struct complaints *complaints)
{
	struct ifaddrs *own = NULL;
	bool any = false;

	for (size_t i = 0; i < draft->config->n_doors; i++)
		any = any || opening_forwards(&draft->config->doors[i].opening);
	if (any && on_this_machine && getifaddrs(&own) < 0)
		own = NULL;
	for (size_t i = 0; i < draft->config->n_doors; i++) {
		const struct forward_check check = {&draft->config->doors[i],
						    draft->doors[i].section, complaints};

		if (!draft->doors[i].whole)
			continue;
		forward_check_door(&check, own);
		check_shared_ports(&check, draft->config, i);
	}
	if (own)
		freeifaddrs(own);
}
