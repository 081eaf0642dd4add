#include "config/parse/parse.h"

#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "config/complaint.h"
#include "config/key.h"
#include "config/parse/split.h"
#include "config/text.h"
#include "core/opening/forward.h"
#include "core/opening/ports.h"

enum { NFT_TEXT_MAX = 255 };

/* Sets and entries end up in ipset's or nft's own command language: nothing that it could read as
 * more than a word. */
static bool is_set_word(const char *text, size_t max, const char *punctuation)
{
	size_t length = strlen(text);

	for (size_t i = 0; i < length; i++)
		if (!isascii(text[i]) || (!isalnum(text[i]) && !strchr(punctuation, text[i])))
			return false;
	return length > 0 && length <= max;
}

static int keep_text(const char *text, void *field)
{
	char *copy = strdup(text);

	if (!copy)
		return -ENOMEM;
	*(char **)field = copy;
	return 0;
}

int parse_set(const struct key_reading *reading, const char *text, void *field)
{
	if (!is_set_word(text, reading->key->max, "_.:-") || text[0] == '-')
		return parse_reject(reading, text,
				    "the name of a set: 1 to %u of the characters A-Z a-z 0-9 _ . "
				    ": -, not starting with '-'",
				    (unsigned)reading->key->max);
	return keep_text(text, field);
}

int parse_entry(const struct key_reading *reading, const char *text, void *field)
{
	static const char token[] = "%IP%";
	const char *at = strstr(text, token);

	if (!at || memchr(text, '%', (size_t)(at - text)) || strchr(at + strlen(token), '%'))
		return parse_reject(reading, text, "an element with %s once and no other '%%'",
				    token);
	if (!is_set_word(text, reading->key->max, ".,:/%_-") || text[0] == '-')
		return parse_reject(reading, text,
				    "an element such as %s,tcp:22: up to %u of the characters A-Z "
				    "a-z 0-9 . , : / _ -, not starting with '-'",
				    token, (unsigned)reading->key->max);
	/* What takes in more addresses than the one would be shared by sources that do not know of
	 * each other: the first to end would close it for all. */
	if ((at > text && at[-1] != ',') || (at[strlen(token)] && at[strlen(token)] != ','))
		return parse_reject(reading, text,
				    "an element in which %s is a part of its own: no network, no "
				    "range",
				    token);
	return keep_text(text, field);
}

/* Takes the next word off `*text`. Empty: there is none. */
static size_t next_word(const char **text, const char **ret_word)
{
	size_t length;

	*ret_word = *text + strspn(*text, " \t");
	length = strcspn(*ret_word, " \t");
	*text = *ret_word + length;
	return length;
}

/* The words with one blank in between; false: they are more than fit. */
static bool join_word(char *joined, size_t size, const char *word, size_t length)
{
	size_t used = strlen(joined);

	return snprintf(joined + used, size - used, "%s%.*s", used > 0 ? " " : "", (int)length,
			word) < (int)(size - used);
}

static bool is_nft_family(const char *word, size_t length)
{
	static const char *const families[] = {"ip", "ip6", "inet", "bridge", "netdev"};

	for (size_t i = 0; i < sizeof families / sizeof families[0]; i++)
		if (length == strlen(families[i]) && strncmp(word, families[i], length) == 0)
			return true;
	return false;
}

static bool is_nft_name(const char *word, size_t length)
{
	if (length == 0 || !isascii(word[0]) || (!isalpha(word[0]) && word[0] != '_'))
		return false;
	for (size_t i = 0; i < length; i++)
		if (!isascii(word[i]) || (!isalnum(word[i]) && !strchr("_.-", word[i])))
			return false;
	return true;
}

static bool is_nft_part(const char *word, size_t length)
{
	for (size_t i = 0; i < length; i++)
		if (!isascii(word[i]) || (!isalnum(word[i]) && !strchr("_.:-", word[i])))
			return false;
	return length > 0 && (isalnum(word[0]) || word[0] == '_');
}

/* "FAMILY TABLE SET" */
static bool join_nft_set(const char *text, char *joined, size_t size)
{
	const char *word;

	for (unsigned i = 0; i < 3; i++) {
		size_t length = next_word(&text, &word);

		if (!(i == 0 ? is_nft_family(word, length) : is_nft_name(word, length)) ||
		    !join_word(joined, size, word, length))
			return false;
	}
	return next_word(&text, &word) == 0;
}

/* "PART . PART . PART", of which one is %IP%. No part can be a range, a network or an option. */
static bool join_nft_entry(const char *text, char *joined, size_t size)
{
	size_t n_addresses = 0, length;
	const char *word;

	for (unsigned i = 0; (length = next_word(&text, &word)) > 0 || i % 2 == 0; i++) {
		bool is_address = length == 4 && strncmp(word, "%IP%", 4) == 0;

		n_addresses += is_address;
		if (i % 2 == 1 && (length != 1 || word[0] != '.'))
			return false;
		if (i % 2 == 0 && !is_address && !is_nft_part(word, length))
			return false;
		if (!join_word(joined, size, word, length))
			return false;
	}
	return n_addresses == 1;
}

int parse_nft_set(const struct key_reading *reading, const char *text, void *field)
{
	char joined[NFT_TEXT_MAX + 1] = "";

	if (!join_nft_set(text, joined, sizeof joined))
		return parse_reject(reading, text,
				    "a set as in inet filter knock_ssh: the family (ip, ip6, inet, "
				    "bridge or netdev), the table and the set, up to %d characters",
				    NFT_TEXT_MAX);
	return keep_text(joined, field);
}

/* An ipset set has one word, an nftables set three. */
int parse_any_set(const struct key_reading *reading, const char *text, void *field)
{
	return strpbrk(text, " \t") ? parse_nft_set(reading, text, field)
				    : parse_set(reading, text, field);
}

int parse_nft_entry(const struct key_reading *reading, const char *text, void *field)
{
	char joined[NFT_TEXT_MAX + 1] = "";

	if (!join_nft_entry(text, joined, sizeof joined))
		return parse_reject(
			reading, text,
			"an element such as %%IP%% . 22: %%IP%% once, and numbers, "
			"addresses or names, with \" . \" in between, up to %d characters",
			NFT_TEXT_MAX);
	return keep_text(joined, field);
}

int parse_ports(const struct key_reading *reading, const char *text, void *field)
{
	char one[PORT_RANGE_TEXT_MAX], other[PORT_RANGE_TEXT_MAX];
	struct port_range fault[2];

	switch (port_set_parse(text, field, fault)) {
	case 0:
		return 0;
	case -ERANGE:
		complain_error(reading->complaints, reading->line,
			       "%s: %s: the range %s ends before it begins", reading->where,
			       reading->key->name, port_range_format(&fault[0], one));
		return -EBADMSG;
	case -EEXIST:
		complain_error(reading->complaints, reading->line,
			       "%s: %s: %s and %s have ports in common: name each once",
			       reading->where, reading->key->name,
			       port_range_format(&fault[1], other),
			       port_range_format(&fault[0], one));
		return -EBADMSG;
	default:
		return parse_reject(reading, text,
				    "a list of ports such as 22/tcp, 60000-61000/udp, from 1 to "
				    "65535, or all");
	}
}

int parse_forward(const struct key_reading *reading, const char *text, void *field)
{
	if (forward_parse(text, FAMILY_IPV4, field) < 0)
		return parse_reject(reading, text,
				    "the IPv4 address of another machine, or one with a port, such "
				    "as 10.0.0.5:443");
	return 0;
}

int parse_forward_6(const struct key_reading *reading, const char *text, void *field)
{
	if (forward_parse(text, FAMILY_IPV6, field) < 0)
		return parse_reject(reading, text,
				    "the IPv6 address of another machine, or one with a port, such "
				    "as [fd00::5]:443");
	return 0;
}

int parse_chain(const struct key_reading *reading, const char *text, void *field)
{
	static const char *const others[] = {
		"INPUT", "FORWARD", "OUTPUT", "PREROUTING", "POSTROUTING", "ACCEPT",
		"DROP",	 "RETURN",  "QUEUE",  "REJECT",	    "LOG",
	};
	bool is_other = false;

	for (size_t i = 0; i < sizeof others / sizeof others[0]; i++)
		is_other = is_other || strcmp(text, others[i]) == 0;
	if (strlen(text) >= strlen(FORWARD_CHAIN_SUFFIX) &&
	    strcmp(text + strlen(text) - strlen(FORWARD_CHAIN_SUFFIX), FORWARD_CHAIN_SUFFIX) == 0)
		return parse_reject(reading, text,
				    "a name for a chain: those that end in " FORWARD_CHAIN_SUFFIX
				    " are for doors that forward, which add it themselves");
	if (is_other || !is_set_word(text, reading->key->max, "_.-") || text[0] == '-')
		return parse_reject(reading, text,
				    "the name of a chain for knocktail alone: 1 to %u of the "
				    "characters A-Z a-z 0-9 _ . -, not starting with '-'",
				    (unsigned)reading->key->max);
	return keep_text(text, field);
}

int parse_command(const struct key_reading *reading, const char *text, void *field)
{
	const char *fault = NULL;
	char quoted[TEXT_QUOTED_MAX], **argv;
	size_t shell;
	int r = command_split(text, &argv, &shell, &fault);

	if (r == -EINVAL) {
		complain_error(reading->complaints, reading->line,
			       "%s: %s: %s is not a command: %s", reading->where,
			       reading->key->name, text_quote(text, quoted), fault);
		return -EBADMSG;
	}
	if (r < 0)
		return r;
	if (shell > 0)
		complain_warning(reading->complaints, reading->line,
				 "%s: %s: %s is an argument like any other, because no shell runs "
				 "the command: use /bin/sh -c '...' if it needs one",
				 reading->where, reading->key->name,
				 text_quote(argv[shell], quoted));
	*(char ***)field = argv;
	return 0;
}
