#include "cli/import/knockd/iptables.h"

#include <arpa/inet.h>
#include <netdb.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include "core/opening/forward.h"
#include "util/number.h"

enum { WORDS_MAX = 48, WORDS_ROOM = 1024 };

/* A command taken apart as a shell would, as far as that is plain. */
struct words {
	size_t n;
	const char *words[WORDS_MAX];
	char room[WORDS_ROOM];
};

/* False: it is too long, or needs a shell. */
static bool words_read(struct words *self, const char *text)
{
	size_t used = 0;

	self->n = 0;
	for (;;) {
		char quote = '\0';

		text += strspn(text, " \t");
		if (*text == '\0')
			return true;
		if (self->n == WORDS_MAX)
			return false;
		self->words[self->n++] = self->room + used;
		for (; *text && (quote || !strchr(" \t", *text)); text++) {
			if (*text == quote) {
				quote = '\0';
				continue;
			}
			if (!quote && strchr("'\"", *text)) {
				quote = *text;
				continue;
			}
			if (used + 2 > sizeof self->room || strchr("\\$`", *text) ||
			    (!quote && strchr("|&;<>(){}*?[]~#", *text)))
				return false;
			self->room[used++] = *text;
		}
		if (quote || used + 1 > sizeof self->room)
			return false;
		self->room[used++] = '\0';
	}
}

static bool word_is(const char *word, const char *expected)
{
	return word && strcmp(word, expected) == 0;
}

static bool word_is_one_of(const char *word, const char *a, const char *b)
{
	return word_is(word, a) || word_is(word, b);
}

static const char *program_name(const char *path)
{
	const char *slash = strrchr(path, '/');

	return slash ? slash + 1 : path;
}

static bool names_ipv4(const char *path)
{
	const char *name = program_name(path);

	return word_is(name, "iptables") || word_is(name, "iptables-nft") ||
	       word_is(name, "iptables-legacy");
}

bool iptables_is_ipv4(const char *text)
{
	char program[64];
	size_t length;

	text += strspn(text, " \t");
	length = strcspn(text, " \t");
	snprintf(program, sizeof program, "%.*s", (int)length, text);
	return names_ipv4(program);
}

/* What options have been seen to say, a bit each. */
enum {
	SAYS_INPUT = 1,
	SAYS_SOURCE = 2,
	SAYS_ACCEPT = 4,
	SAYS_ALL = SAYS_INPUT | SAYS_SOURCE | SAYS_ACCEPT,
	SAYS_NAT = 8,
	SAYS_PREROUTING = 16,
	SAYS_DNAT = 32,
	SAYS_TARGET = 64,
	SAYS_ALL_OF_NAT = SAYS_NAT | SAYS_PREROUTING | SAYS_SOURCE | SAYS_DNAT | SAYS_TARGET,
};

struct rule_reading {
	const struct words *words;
	size_t next; /* the word to be read */
	unsigned seen;
	const char *protocol; /* NULL: any */
	const char *ports;    /* NULL: all */
	struct iptables_rule *rule;
};

static const char *take_word(struct rule_reading *reading)
{
	return reading->next < reading->words->n ? reading->words->words[reading->next++] : NULL;
}

/* "22", "ssh", "5900:5910": how it is written in `ports`. */
static bool put_port(const char *text, size_t length, const char *protocol, char *room, size_t size)
{
	const char *colon = memchr(text, ':', length);
	char name[64], last[64] = "";
	uint64_t from, to = 0;
	struct servent *service;

	snprintf(name, sizeof name, "%.*s", (int)(colon ? colon - text : (ptrdiff_t)length), text);
	if (colon)
		snprintf(last, sizeof last, "%.*s", (int)(text + length - colon - 1), colon + 1);
	if (number_parse(name, strlen(name), &from) < 0) {
		service = colon ? NULL : getservbyname(name, protocol);
		if (!service)
			return false;
		from = ntohs((uint16_t)service->s_port);
	}
	if (colon && (number_parse(last, strlen(last), &to) < 0 || to < from || to > UINT16_MAX))
		return false;
	if (from < 1 || from > UINT16_MAX)
		return false;
	if (to > from)
		return snprintf(room, size, "%u-%u/%s", (unsigned)from, (unsigned)to, protocol) <
		       (int)size;
	return snprintf(room, size, "%u/%s", (unsigned)from, protocol) < (int)size;
}

static bool put_all_ports(const char *protocol, struct iptables_rule *rule)
{
	snprintf(rule->ports, sizeof rule->ports, "%s%s", protocol ? "1-65535/" : "all",
		 protocol ? protocol : "");
	return true;
}

static bool put_ports(const char *text, const char *protocol, struct iptables_rule *rule)
{
	size_t used = 0, length;

	for (;; text += length + 1) {
		size_t left = sizeof rule->ports - used;

		length = strcspn(text, ",");
		if (used > 0) {
			if (left < 3)
				return false;
			used += (size_t)snprintf(rule->ports + used, left, ", ");
			left -= 2;
		}
		if (!put_port(text, length, protocol, rule->ports + used, left))
			return false;
		used = strlen(rule->ports);
		if (text[length] == '\0')
			return true;
	}
}

/* -A INPUT, -I INPUT 1 */
static bool read_chain(struct rule_reading *reading)
{
	const char *chain = take_word(reading);
	uint64_t position;

	if (!word_is_one_of(chain, "INPUT", "PREROUTING"))
		return false;
	if (reading->next < reading->words->n) {
		const char *word = reading->words->words[reading->next];

		reading->next += number_parse(word, strlen(word), &position) == 0;
	}
	reading->seen |= word_is(chain, "INPUT") ? SAYS_INPUT : SAYS_PREROUTING;
	return true;
}

static bool is_state_of_new(const char *states)
{
	return states && strstr(states, "NEW");
}

static bool is_module(const char *name)
{
	static const char *const modules[] = {"tcp",	   "udp",	"state",
					      "conntrack", "multiport", "comment"};

	for (size_t i = 0; i < sizeof modules / sizeof modules[0]; i++)
		if (word_is(name, modules[i]))
			return true;
	return false;
}

static bool read_protocol(struct rule_reading *reading)
{
	const char *word = take_word(reading);

	reading->protocol = word_is(word, "all") ? NULL : word;
	return word_is(word, "all") || word_is_one_of(word, "tcp", "udp");
}

static bool read_interface(struct rule_reading *reading)
{
	const char *name = take_word(reading);

	if (!name || strlen(name) >= sizeof reading->rule->interface)
		return false;
	memcpy(reading->rule->interface, name, strlen(name) + 1);
	return true;
}

static bool read_table(struct rule_reading *reading, const char *name)
{
	if (word_is(name, "nat"))
		reading->seen |= SAYS_NAT;
	return word_is_one_of(name, "filter", "nat");
}

static bool read_target(struct rule_reading *reading, const char *text)
{
	struct forward forward;

	if (!text || forward_parse(text, FAMILY_IPV4, &forward) < 0)
		return false;
	snprintf(reading->rule->forward, sizeof reading->rule->forward, "%s", text);
	reading->seen |= SAYS_TARGET;
	return true;
}

/* Takes one option with its arguments. False: it is none of those that are understood. */
static bool read_option(struct rule_reading *reading, const char *word)
{
	const char *value;

	if (word_is(word, "--syn") || word_is_one_of(word, "-w", "--wait"))
		return true;
	if (word_is_one_of(word, "-A", "--append") || word_is_one_of(word, "-I", "--insert"))
		return read_chain(reading);
	if (word_is_one_of(word, "-p", "--protocol") || word_is(word, "--proto"))
		return read_protocol(reading);
	if (word_is_one_of(word, "-i", "--in-interface"))
		return read_interface(reading);
	value = take_word(reading);
	if (word_is_one_of(word, "-m", "--match"))
		return is_module(value);
	if (word_is_one_of(word, "--state", "--ctstate"))
		return is_state_of_new(value);
	if (word_is(word, "--comment"))
		return value != NULL;
	if (word_is_one_of(word, "-t", "--table"))
		return read_table(reading, value);
	if (word_is_one_of(word, "-s", "--source") || word_is(word, "--src")) {
		reading->seen |= SAYS_SOURCE;
		return word_is_one_of(value, "%IP%", "%IP%/32");
	}
	if (word_is_one_of(word, "-j", "--jump")) {
		reading->seen |= word_is(value, "ACCEPT") ? SAYS_ACCEPT : SAYS_DNAT;
		return word_is_one_of(value, "ACCEPT", "DNAT");
	}
	if (word_is_one_of(word, "--to-destination", "--to"))
		return read_target(reading, value);
	if (word_is_one_of(word, "--dport", "--dports") ||
	    word_is_one_of(word, "--destination-port", "--destination-ports")) {
		reading->ports = value;
		return value != NULL;
	}
	return false;
}

bool iptables_accepts(const char *text, struct iptables_rule *ret)
{
	struct words words;
	struct iptables_rule rule = {0};
	struct rule_reading reading = {.words = &words, .next = 1, .rule = &rule};
	const char *word;

	if (!words_read(&words, text) || words.n == 0 || !names_ipv4(words.words[0]))
		return false;
	while ((word = take_word(&reading)))
		if (!read_option(&reading, word))
			return false;
	if (reading.seen != SAYS_ALL && (reading.seen != SAYS_ALL_OF_NAT || !reading.ports))
		return false;
	if (!(reading.ports
		      ? put_ports(reading.ports, reading.protocol ? reading.protocol : "tcp", &rule)
		      : put_all_ports(reading.protocol, &rule)))
		return false;
	*ret = rule;
	return true;
}

/* The next word that says what the rule is, and not how it is put in or taken out: without -w, and
 * without the position behind -I's chain. NULL: there is none. */
static const char *next_of_rule(const struct words *words, size_t *at)
{
	uint64_t position;
	const char *word;

	while (*at < words->n && word_is_one_of(words->words[*at], "-w", "--wait"))
		(*at)++;
	if (*at >= words->n)
		return NULL;
	word = words->words[(*at)++];
	if (*at >= 3 && word_is_one_of(words->words[*at - 3], "-I", "--insert") &&
	    number_parse(word, strlen(word), &position) == 0)
		return next_of_rule(words, at);
	return word;
}

static bool undoes_word(const char *word, const char *undo, bool *adds)
{
	if (!word || !undo)
		return false;
	if ((word_is_one_of(word, "-A", "--append") || word_is_one_of(word, "-I", "--insert")) &&
	    word_is_one_of(undo, "-D", "--delete")) {
		*adds = true;
		return true;
	}
	return strcmp(word, undo) == 0;
}

bool iptables_undoes(const char *text, const char *undo)
{
	struct words words, others;
	size_t i = 1, j = 1;
	bool adds = false;

	if (!words_read(&words, text) || !words_read(&others, undo) || words.n == 0 ||
	    others.n == 0 || !names_ipv4(words.words[0]) ||
	    strcmp(program_name(words.words[0]), program_name(others.words[0])) != 0)
		return false;
	for (;;) {
		const char *word = next_of_rule(&words, &i), *other = next_of_rule(&others, &j);

		if (!word && !other)
			return adds;
		if (!undoes_word(word, other, &adds))
			return false;
	}
}
