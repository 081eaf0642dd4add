#include "firewall/spelling.h"

#include <netdb.h>
#include <netinet/in.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/address.h"
#include "util/number.h"

/* One of an element's parts, which " . " (nft) or a comma (ipset) ends. */
struct element_part {
	char text[ADDRESS_TEXT_MAX * 2];
	const char *separator; /* what followed it: "" at the end */
};

static const char nft_separator[] = " . ", ipset_separator[] = ",";

/* Takes the next part off the element; false: there is none, or none that fits. */
static bool element_take_part(const char **element, struct element_part *part)
{
	const char *dot = strstr(*element, nft_separator), *comma = strchr(*element, ',');
	const char *end = dot ? dot : comma;
	size_t length = end ? (size_t)(end - *element) : strlen(*element);

	part->separator = dot ? nft_separator : comma ? ipset_separator : "";
	if (length == 0 || length >= sizeof part->text)
		return false;
	memcpy(part->text, *element, length);
	part->text[length] = '\0';
	*element += length + strlen(part->separator);
	return true;
}

static bool text_append(char text[static SPELLING_MAX], const char *part, const char *separator)
{
	size_t used = strlen(text);
	int n = snprintf(text + used, SPELLING_MAX - used, "%s%s", part, separator);

	return n >= 0 && (size_t)n < SPELLING_MAX - used;
}

static bool text_is_address(const char *text)
{
	struct address address;

	return address_parse(text, &address) == 0;
}

/* The text before and after a '/' or the '-' of a range; false: there is neither. */
static bool text_cut(const char *text, char head[static ADDRESS_TEXT_MAX * 2], const char **tail,
		     char *sign)
{
	size_t length = strcspn(text, "/-");

	if (length == 0 || !text[length])
		return false;
	memcpy(head, text, length);
	head[length] = '\0';
	*sign = text[length];
	*tail = text + length + 1;
	return true;
}

static bool text_is_wide(const char *text)
{
	char head[ADDRESS_TEXT_MAX * 2], sign;
	const char *tail;
	uint64_t number;

	return text_cut(text, head, &tail, &sign) &&
	       (text_is_address(head) || number_parse(head, strlen(head), &number) == 0);
}

/* The element with a '*' for each address. */
static bool element_make_form(const char *element, char form[static SPELLING_MAX], bool *ret_wide)
{
	struct element_part part;

	form[0] = '\0';
	*ret_wide = false;
	do {
		if (!element_take_part(&element, &part) ||
		    !text_append(form, text_is_address(part.text) ? "*" : part.text,
				 part.separator))
			return false;
		*ret_wide = *ret_wide || text_is_wide(part.text);
	} while (part.separator[0]);
	return true;
}

static bool spelling_has_form(const struct spelling *spelling, const char *form)
{
	for (size_t i = 0; i < spelling->n_forms; i++)
		if (strcmp(spelling->forms[i], form) == 0)
			return true;
	return false;
}

void spelling_note(struct spelling *spelling, const char *element)
{
	char form[SPELLING_MAX];
	bool is_wide;

	if (!element_make_form(element, form, &is_wide))
		return;
	spelling->wide = spelling->wide || is_wide;
	if (is_wide || spelling->n_forms == SPELLING_FORMS_MAX || spelling_has_form(spelling, form))
		return;
	spelling->forms[spelling->n_forms] = strdup(form);
	spelling->n_forms += spelling->forms[spelling->n_forms] != NULL;
}

void spelling_done(struct spelling *spelling)
{
	while (spelling->n_forms > 0)
		free(spelling->forms[--spelling->n_forms]);
}

bool spelling_is_known(const struct spelling *spelling, const char *element)
{
	char form[SPELLING_MAX];
	bool is_wide;

	return text_is_address(element) ||
	       (element_make_form(element, form, &is_wide) && spelling_has_form(spelling, form));
}

/* The port of a service by its name, as nft (any protocol) and ipset find it; 0: there is none. */
static unsigned service_look_up(const char *name, const char *protocol)
{
	const struct servent *service = getservbyname(name, *protocol ? protocol : NULL);

	return service ? ntohs((uint16_t)service->s_port) : 0;
}

/* The same, read from a file once for many elements. */
static unsigned spelling_find_port(struct spelling *spelling, const char *name,
				   const char *protocol)
{
	char wanted[SPELLING_NAME_MAX];
	size_t i = 0;

	if (snprintf(wanted, sizeof wanted, "%s/%s", protocol, name) >= (int)sizeof wanted)
		return 0;
	while (i < spelling->n_names && strcmp(spelling->names[i].name, wanted) != 0)
		i++;
	if (i < spelling->n_names)
		return spelling->names[i].port;
	i = spelling->n_names % SPELLING_NAMES_MAX;
	memcpy(spelling->names[i].name, wanted, sizeof wanted);
	spelling->names[i].port = service_look_up(name, protocol);
	if (spelling->n_names < SPELLING_NAMES_MAX)
		spelling->n_names++;
	return spelling->names[i].port;
}

/* "22", "ssh", "tcp:ssh" or "tcp:22-80" as ipset shows it. */
static void part_guess_ipset(struct spelling *spelling, struct element_part *part)
{
	const char *colon = strchr(part->text, ':'), *port = colon ? colon + 1 : part->text;
	size_t n_digits = strspn(port, "0123456789");
	char protocol[16] = "tcp";
	unsigned number = 0;

	if (colon)
		snprintf(protocol, sizeof protocol, "%.*s", (int)(colon - part->text), part->text);
	if (n_digits > 0 && n_digits < 6 && (!port[n_digits] || port[n_digits] == '-'))
		number = (unsigned)strtoul(port, NULL, 10);
	else if (n_digits == 0)
		number = spelling_find_port(spelling, port, protocol);
	if (number == 0)
		return;
	snprintf(part->text, sizeof part->text, "%s:%u", protocol, number);
}

static void part_guess_nft(struct spelling *spelling, struct element_part *part)
{
	bool is_number = !part->text[strspn(part->text, "0123456789")];
	unsigned port = is_number ? 0 : spelling_find_port(spelling, part->text, "");

	if (port > 0)
		snprintf(part->text, sizeof part->text, "%u", port);
}

bool spelling_guess(struct spelling *spelling, const char *element, char guess[static SPELLING_MAX])
{
	const char *rest = element;
	struct element_part part;

	guess[0] = '\0';
	do {
		if (!element_take_part(&rest, &part))
			return false;
		if (!text_is_address(part.text) && strchr(element, ','))
			part_guess_ipset(spelling, &part);
		else if (!text_is_address(part.text))
			part_guess_nft(spelling, &part);
		if (!text_append(guess, part.text, part.separator))
			return false;
	} while (part.separator[0]);
	return strcmp(guess, element) != 0;
}

static bool range_covers(const char *low, const char *high, const char *text)
{
	struct address first, last, address;
	uint64_t from, to, number;

	if (address_parse(text, &address) == 0)
		return address_parse(low, &first) == 0 && address_parse(high, &last) == 0 &&
		       address_family(&first) == address_family(&address) &&
		       memcmp(&first, &address, sizeof first) <= 0 &&
		       memcmp(&address, &last, sizeof last) <= 0;
	return number_parse(text, strlen(text), &number) == 0 &&
	       number_parse(low, strlen(low), &from) == 0 &&
	       number_parse(high, strlen(high), &to) == 0 && from <= number && number <= to;
}

static bool part_covers(const char *wide, const char *text)
{
	char head[ADDRESS_TEXT_MAX * 2], sign;
	struct network network;
	struct address address;
	const char *tail;

	if (strcmp(wide, text) == 0)
		return true;
	if (!text_cut(wide, head, &tail, &sign))
		return false;
	if (sign == '-')
		return range_covers(head, tail, text);
	return address_parse(text, &address) == 0 && network_parse(wide, &network) == 0 &&
	       network_contains(&network, &address);
}

bool spelling_covers(const char *wide, const char *element)
{
	struct element_part a, b;

	do {
		if (!element_take_part(&wide, &a) || !element_take_part(&element, &b) ||
		    a.separator != b.separator || !part_covers(a.text, b.text))
			return false;
	} while (a.separator[0]);
	return true;
}
