#include "core/door.h"

#include <stdlib.h>
#include <string.h>

#include "core/strv.h"
#include "core/visitor.h"

void door_done(struct door *door)
{
	strv_free(door->users);
	free(door->allow);
	free(door->one_time_sequences);
	free(door->log);
	free(door->opening.entry);
	free(door->opening.chain);
	for (enum family family = 0; family < N_FAMILIES; family++) {
		free(door->opening.set[family]);
		strv_free(door->opening.start_command[family]);
		strv_free(door->opening.stop_command[family]);
	}
	*door = (struct door){0};
}

bool door_has_user(const struct door *door, const char *user)
{
	for (char *const *one = door->users; one && *one; one++)
		if (strcmp(*one, "*") == 0 || strcmp(*one, user) == 0)
			return true;
	return false;
}

uint64_t door_timeout_us(const struct door *door, uint32_t seconds)
{
	uint64_t asked_us = seconds * UINT64_C(1000000);
	uint64_t max_us = door->max_timeout_us ? door->max_timeout_us : door->timeout_us;

	if (seconds == 0)
		return door->timeout_us;
	return asked_us < max_us ? asked_us : max_us;
}

const char *opening_prefix_key(enum family family)
{
	return family == FAMILY_IPV6 ? OPENING_PREFIX_KEY_6 : OPENING_PREFIX_KEY;
}

/* Of whole addresses, unless it is said. */
static unsigned opening_prefix(const struct opening *opening, enum family family)
{
	return opening->prefix[family] ? opening->prefix[family] : address_bits(family);
}

bool opening_opens_address(const struct opening *opening, enum family family)
{
	return opening_prefix(opening, family) == address_bits(family);
}

bool opening_forwards(const struct opening *opening)
{
	return opening->forward[FAMILY_IPV4].is_there || opening->forward[FAMILY_IPV6].is_there;
}

struct network opening_network(const struct opening *opening, const struct address *source)
{
	enum family family = address_family(source);

	/* All of a link have one network, whoever they are. */
	return network_of(source, address_is_link_local(source) ? address_bits(family)
								: opening_prefix(opening, family));
}

bool opening_opens_for(const struct opening *opening, enum family family)
{
	if (opening->backend == BACKEND_IPTABLES)
		return !opening_forwards(opening) || opening->forward[family].is_there;
	return opening->set[family] || opening->start_command[family];
}

bool door_opens_for(const struct door *door, enum family family)
{
	return opening_opens_for(&door->opening, family);
}

bool door_allows(const struct door *door, const struct address *source)
{
	if (door->n_allow == 0)
		return true;
	for (size_t i = 0; i < door->n_allow; i++)
		if (network_contains(&door->allow[i], source))
			return true;
	return false;
}

bool user_is_name(const char *text)
{
	static const char first[] = "abcdefghijklmnopqrstuvwxyz0123456789";
	static const char others[] = "abcdefghijklmnopqrstuvwxyz0123456789_-";
	size_t length = strspn(text, others);

	return length > 0 && length <= USER_NAME_MAX && text[length] == '\0' &&
	       strchr(first, text[0]);
}

bool visitor_is_name(const char *text)
{
	const char *host = visitor_host(text);
	char user[USER_NAME_MAX + 1];
	size_t length;

	if (!host)
		return user_is_name(text);
	length = (size_t)(host - 1 - text);
	if (length > USER_NAME_MAX || !visitor_host_is_name(host))
		return false;
	memcpy(user, text, length);
	user[length] = '\0';
	return length == 0 || user_is_name(user);
}
