#include "firewall/set.h"

#include <errno.h>
#include <string.h>

#include "core/caller.h"
#include "core/command.h"
#include "core/door.h"
#include "firewall/backend.h"
#include "firewall/listing.h"

#define US_PER_S UINT64_C(1000000)

int set_spell(const struct door *door, const struct caller *caller, struct rule *rule)
{
	const char *set = door->set[address_family(&caller->source)];

	if (!set)
		return -EAFNOSUPPORT;
	rule->set = strdup(set);
	rule->element = token_expand(door->entry, door, caller);
	return rule->set && rule->element ? 0 : -ENOMEM;
}

bool set_is_whole(const struct rule *rule)
{
	return rule->set && rule->element;
}

enum firewall_answer set_find(const struct listing *listing, const struct rule *rule,
			      uint64_t *ret_left_us)
{
	return listing_find(listing, rule->element, ret_left_us) ? FIREWALL_PRESENT
								 : FIREWALL_ABSENT;
}

uint64_t set_timeout_s(uint64_t left_us)
{
	return left_us > 0 ? left_us / US_PER_S + (left_us % US_PER_S > 0) : 1;
}
