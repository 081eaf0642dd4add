/* The backends whose libraries configure was told to leave out. The configuration refuses doors of
 * theirs; what an earlier daemon has left open ends with its timeout in the kernel. */
#include <errno.h>

#include "firewall/backend.h"
#include "firewall/set.h"

static int absent_refuse(struct firewall *firewall)
{
	return firewall_fail(firewall, -EOPNOTSUPP,
			     "knocktaild was built without the library for it (see --version)");
}

static int absent_check(struct firewall *firewall, const struct opening *opening,
			enum family family)
{
	(void)opening;
	(void)family;
	return absent_refuse(firewall);
}

static int absent_open(struct firewall *firewall, const struct passage *passage, uint64_t left_us,
		       uint64_t now_us, void *owner)
{
	(void)passage;
	(void)left_us;
	(void)now_us;
	(void)owner;
	return absent_refuse(firewall);
}

static int absent_close(struct firewall *firewall, const struct passage *passage, uint64_t now_us,
			void *owner)
{
	return absent_open(firewall, passage, 0, now_us, owner);
}

static int absent_check_ports(struct firewall *firewall, const char *set)
{
	(void)set;
	return absent_refuse(firewall);
}

static int absent_put_ports(struct firewall *firewall, const char *set,
			    const struct firewall_port *ports, size_t n)
{
	(void)ports;
	(void)n;
	return absent_check_ports(firewall, set);
}

static int absent_has_port(struct firewall *firewall, const char *set, uint16_t port)
{
	(void)port;
	return absent_check_ports(firewall, set);
}

#define ABSENT(own_name)                                                                           \
	{                                                                                          \
		.name = own_name, .expires = true, .spell = set_spell, .check = absent_check,      \
		.open = absent_open, .close = absent_close, .find = set_find,                      \
		.is_whole = set_is_whole, .check_ports = absent_check_ports,                       \
		.put_ports = absent_put_ports, .has_port = absent_has_port,                        \
	}

#ifndef HAVE_IPSET
const struct backend backend_ipset = ABSENT("ipset");
#endif
#ifndef HAVE_NFTABLES
const struct backend backend_nft = ABSENT("nft");
#endif
