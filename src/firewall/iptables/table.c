#include "firewall/iptables/table.h"

#include <netinet/in.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#include "firewall/listing.h"
#include "firewall/passage.h"
#include "util/clock.h"
#include "util/number.h"

enum { KEY_MAX = 256 };

/* The next word, which ends at a blank; *text moves behind it. */
static char *text_take_word(char **text)
{
	char *word = *text + strspn(*text, " "), *end = word + strcspn(word, " ");

	*text = *end ? end + 1 : end;
	*end = '\0';
	return word;
}

/* Some releases print its name, others its number; 0: another protocol. */
static int protocol_of(const char *word)
{
	if (strcmp(word, "tcp") == 0 || strcmp(word, "6") == 0)
		return IPPROTO_TCP;
	return strcmp(word, "udp") == 0 || strcmp(word, "17") == 0 ? IPPROTO_UDP : 0;
}

/* "... multiport dports 22,60000:61000 TIME ...", "... ctorigdstport 22 TIME ...": what is between;
 * "": it asks for no ports. It begins behind `text` and ends before `end`. */
static int text_find_ports(const char *text, const char *end, const char **ret)
{
	static const char *const words[] = {" dports ", " ctorigdstport "};

	*ret = "";
	for (size_t i = 0; i < sizeof words / sizeof words[0]; i++) {
		const char *at = strstr(text, words[i]);

		if (at && at < end)
			*ret = at + strlen(words[i]);
	}
	return (int)strcspn(*ret, " ");
}

/* "ACCEPT 6 -- 192.0.2.1 0.0.0.0/0 multiport dports 22 TIME until date ... UTC", and the comment.
 * The dashes are not there in every release. */
static int listing_add_rule(struct listing *listing, char *line, uint64_t wall_us)
{
	char *comment = strstr(line, "/* knocktail:"), *target, *source, *deadline, *end;
	const char *ports;
	uint64_t deadline_s, deadline_us;
	char key[KEY_MAX];
	int protocol, n, n_ports;

	target = text_take_word(&line);
	protocol = protocol_of(text_take_word(&line));
	source = text_take_word(&line);
	if (strcmp(source, "--") == 0)
		source = text_take_word(&line);
	source[strcspn(source, "/")] = '\0';
	if (!comment || comment < line)
		return 0;
	n_ports = text_find_ports(line, comment, &ports);
	comment += strlen("/* ");
	end = strstr(comment, " */");
	if (!end)
		return 0;
	*end = '\0';
	deadline = strrchr(comment, ':');
	if (number_parse(deadline + 1, strlen(deadline + 1), &deadline_s) < 0)
		return 0;
	*deadline = '\0';
	deadline_us = deadline_s * US_PER_S;
	n = snprintf(key, sizeof key, "%s %s %d %.*s %s", target, source, protocol, n_ports, ports,
		     comment);
	if (n < 0 || (size_t)n >= sizeof key)
		return 0;
	return listing_add(listing, key, (size_t)n,
			   deadline_us > wall_us ? deadline_us - wall_us : 0);
}

int iptables_read_table(struct listing *listing, char *text, uint64_t wall_us)
{
	char *rest = NULL;
	int r = 0;

	for (char *line = strtok_r(text, "\n", &rest); line && r == 0;
	     line = strtok_r(NULL, "\n", &rest))
		r = listing_add_rule(listing, line, wall_us);
	return r;
}

static int protocol_of_ports(const char *ports)
{
	if (!passage_names_ports(ports))
		return 0;
	return *ports == 't' ? IPPROTO_TCP : IPPROTO_UDP;
}

/* All its rules have to be there; the first of them to end counts, unless one has no end that is
 * known. What is sent on has two for each of its ports. */
enum firewall_answer iptables_find_rules(const struct listing *listing,
					 const struct passage *passage, uint64_t *ret_left_us)
{
	static const char *const targets[] = {"ACCEPT", "DNAT"};
	int n_source = (int)strcspn(passage->element, "/");
	uint64_t least_us = UINT64_MAX;
	bool is_endless = false;

	for (size_t i = 0; i < (passage->forward ? 2 : 1); i++)
		for (char **ports = passage->ports; *ports; ports++) {
			uint64_t left_us;
			char key[KEY_MAX];

			snprintf(key, sizeof key, "%s %.*s %d %s %s", targets[i], n_source,
				 passage->element, protocol_of_ports(*ports),
				 passage_names_ports(*ports) ? *ports + 4 : "", passage->comment);
			if (!listing_find(listing, key, &left_us))
				return FIREWALL_ABSENT;
			least_us = left_us < least_us ? left_us : least_us;
			is_endless = is_endless || left_us == UINT64_MAX;
		}
	*ret_left_us = is_endless ? UINT64_MAX : least_us;
	return FIREWALL_PRESENT;
}
