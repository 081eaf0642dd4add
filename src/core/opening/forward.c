#include "core/opening/forward.h"

#include <errno.h>
#include <string.h>

#include "core/opening/ports.h"
#include "core/sequence.h"

/* What stands behind the address: nothing, or ":PORT". */
static int port_parse(const char *text, uint16_t *ret)
{
	struct step step;

	*ret = 0;
	if (!*text)
		return 0;
	if (*text != ':' || text[1 + strspn(text + 1, "0123456789")] ||
	    step_parse(text + 1, &step) < 0)
		return -EINVAL;
	*ret = step.port;
	return 0;
}

int forward_parse(const char *text, enum family family, struct forward *ret)
{
	struct forward forward = {.is_there = true};
	char address[ADDRESS_TEXT_MAX];
	bool has_brackets = family == FAMILY_IPV6 && *text == '[';
	size_t length;

	text += has_brackets;
	length = strcspn(text, has_brackets ? "]" : family == FAMILY_IPV6 ? "" : ":");
	if (length >= sizeof address || (has_brackets && text[length] != ']'))
		return -EINVAL;
	memcpy(address, text, length);
	address[length] = '\0';
	/* A link-local address without a zone leads nowhere. */
	if (address_parse(address, &forward.address) < 0 ||
	    address_family(&forward.address) != family || !address_is_host(&forward.address) ||
	    address_is_link_local(&forward.address) ||
	    port_parse(text + length + has_brackets, &forward.port) < 0)
		return -EINVAL;
	*ret = forward;
	return 0;
}

/* Returns where it ends. */
static char *put_text(char *end, const char *text)
{
	size_t length = strlen(text);

	memcpy(end, text, length + 1);
	return end + length;
}

const char *forward_format(const struct forward *forward, char text[static FORWARD_TEXT_MAX])
{
	const struct port_range port = {forward->port, forward->port, IPPROTO_TCP};
	bool has_brackets = forward->port && address_family(&forward->address) == FAMILY_IPV6;
	char address[ADDRESS_TEXT_MAX], number[PORT_RANGE_TEXT_MAX], *end = text;

	end = put_text(end, has_brackets ? "[" : "");
	end = put_text(end, address_format(&forward->address, address));
	end = put_text(end, has_brackets ? "]" : "");
	if (forward->port)
		put_text(put_text(end, ":"), port_range_numbers(&port, '-', number));
	return text;
}
