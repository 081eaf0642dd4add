#include "firewall/iptables/restore.h"

#include <errno.h>
#include <inttypes.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/opening/forward.h"
#include "firewall/iptables/request.h"
#include "firewall/passage.h"
#include "util/cleanup.h"
#include "util/clock.h"
#include "util/text/stream.h"
#include "util/timestamp.h"

/* Of the packets that are there: to these ports, or sent on from them. */
static void put_ports(enum iptables_place place, const char *ports, FILE *file)
{
	if (passage_names_ports(ports))
		fprintf(file, " -p %.3s", ports);
	if (place == PLACE_FORWARD)
		fprintf(file, " -m conntrack --ctstate DNAT --ctdir ORIGINAL --ctorigdstport %s",
			ports + 4);
	else if (passage_names_ports(ports))
		fprintf(file, " -m multiport --dports %s", ports + 4);
	if (place == PLACE_NAT)
		fputs(" -m addrtype --dst-type LOCAL", file);
}

static void put_target(const struct passage *passage, FILE *file)
{
	enum family family = strchr(passage->element, ':') ? FAMILY_IPV6 : FAMILY_IPV4;
	char text[ADDRESS_TEXT_MAX];
	struct forward forward;

	if (forward_parse(passage->forward, family, &forward) == 0)
		fprintf(file, " -d %s", address_format(&forward.address, text));
}

static void put_verdict(const struct passage *passage, enum iptables_place place, FILE *file)
{
	if (place == PLACE_NAT)
		fprintf(file, " -j DNAT --to-destination %s\n", passage->forward);
	else
		fputs(" -j ACCEPT\n", file);
}

char *iptables_spell_rules(const struct passage *passage, enum iptables_place place,
			   uint64_t deadline_s)
{
	char *text = NULL, until[TIMESTAMP_TEXT_MAX];
	FILE *file = text_stream_open(&text, NULL);

	if (!file)
		return NULL;
	timestamp_format_iso(deadline_s * US_PER_S, until);
	for (char **ports = passage->ports; *ports; ports++) {
		fprintf(file, "-A %s -s %s", passage->chain, passage->element);
		if (place == PLACE_FORWARD)
			put_target(passage, file);
		put_ports(place, *ports, file);
		fprintf(file, " -m time --datestop %.19s -m comment --comment \"%s:%" PRIu64 "\"",
			until, passage->comment, deadline_s);
		put_verdict(passage, place, file);
	}
	fclose(file);
	return text;
}

/* What identifies the owner of a rule. The comment may go on behind `length`. */
struct rule_key {
	struct address source;
	const char *comment;
	size_t length;
};

struct rule_change {
	struct rule_key key;
	const struct iptables_request *request;
	size_t number;
};

static int rule_key_compare(const struct rule_key *a, const struct rule_key *b)
{
	int order = memcmp(a->source.bytes, b->source.bytes, sizeof a->source.bytes);

	if (order == 0 && a->length != b->length)
		order = a->length < b->length ? -1 : 1;
	return order != 0 ? order : memcmp(a->comment, b->comment, a->length);
}

static int rule_change_compare(const void *a, const void *b)
{
	const struct rule_change *first = a, *second = b;
	int order = rule_key_compare(&first->key, &second->key);

	return order != 0 ? order
			  : (first->number > second->number) - (first->number < second->number);
}

static int rule_change_compare_to_key(const void *key, const void *entry)
{
	return rule_key_compare(key, &((const struct rule_change *)entry)->key);
}

/* Sorted, one for each key. */
static struct rule_change *rule_changes_new(const struct iptables_request *requests, size_t *ret_n)
{
	struct rule_change *entries;
	size_t n = 0, n_kept = 0;

	for (const struct iptables_request *request = requests; request; request = request->next)
		n++;
	entries = calloc(n, sizeof *entries);
	if (!entries)
		return NULL;
	n = 0;
	for (const struct iptables_request *request = requests; request; request = request->next) {
		entries[n] = (struct rule_change){
			{request->source, request->comment, strlen(request->comment)}, request, n};
		n++;
	}
	qsort(entries, n, sizeof *entries, rule_change_compare);
	for (size_t i = 0; i < n; i++)
		if (i + 1 == n || rule_key_compare(&entries[i].key, &entries[i + 1].key) != 0)
			entries[n_kept++] = entries[i];
	*ret_n = n_kept;
	return entries;
}

/* Of a line "-A CHAIN -s ADDRESS/32 ... --comment \"knocktail:DOOR:DEADLINE\" ...". Whether it is
 * one. */
static bool rule_key_read(const char *line, const char *chain, struct rule_key *ret)
{
	const char *source = strstr(line, " -s "), *comment = strstr(line, " --comment "), *end;
	size_t length = strlen(chain);
	char text[ADDRESS_TEXT_MAX];

	if (strncmp(line, "-A ", 3) != 0 || strncmp(line + 3, chain, length) != 0 ||
	    line[3 + length] != ' ' || !source || !comment)
		return false;
	source += strlen(" -s ");
	length = strcspn(source, "/ ");
	if (length >= sizeof text)
		return false;
	memcpy(text, source, length);
	text[length] = '\0';
	comment += strlen(" --comment ");
	comment += *comment == '"';
	if (strncmp(comment, "knocktail:", strlen("knocktail:")) != 0)
		return false;
	end = strchr(comment + strlen("knocktail:"), ':');
	if (!end || address_parse(text, &ret->source) < 0)
		return false;
	ret->comment = comment;
	ret->length = (size_t)(end + 1 - comment);
	return true;
}

/* In the order of the listing: the program looks for each from the beginning of the chain. */
static size_t write_deletions(FILE *file, const char *chain, char *listing,
			      const struct rule_change *entries, size_t n)
{
	char *rest = NULL;
	size_t n_deleted = 0;

	for (char *line = strtok_r(listing, "\n", &rest); line;
	     line = strtok_r(NULL, "\n", &rest)) {
		struct rule_key key;

		if (!rule_key_read(line, chain, &key) ||
		    !bsearch(&key, entries, n, sizeof *entries, rule_change_compare_to_key))
			continue;
		fprintf(file, "-D%s\n", line + 2);
		n_deleted++;
	}
	return n_deleted;
}

/* In the order of the requests, so that the first to end are the first in the chain. */
static size_t write_rules(FILE *file, const struct iptables_request *requests,
			  const struct rule_change *entries, size_t n)
{
	size_t n_added = 0;

	for (const struct iptables_request *request = requests; request; request = request->next) {
		struct rule_key key = {request->source, request->comment, strlen(request->comment)};
		const struct rule_change *entry =
			bsearch(&key, entries, n, sizeof *entries, rule_change_compare_to_key);

		if (!request->rules || entry->request != request)
			continue;
		fputs(request->rules, file);
		n_added++;
	}
	return n_added;
}

static bool has_rules(const struct rule_change *entries, size_t n)
{
	for (size_t i = 0; i < n; i++)
		if (entries[i].request->rules)
			return true;
	return false;
}

int iptables_compile(const char *chain, const struct iptables_request *requests, char *listing,
		     char **ret)
{
	CLEANUP(cleanup_free) struct rule_change *entries = NULL;
	CLEANUP(cleanup_free) char *text = NULL;
	const struct iptables_hook *hook = &iptables_hooks[requests->place];
	size_t n, n_changes = 0;
	FILE *file;

	entries = rule_changes_new(requests, &n);
	file = entries ? text_stream_open(&text, NULL) : NULL;
	if (!file)
		return -ENOMEM;
	fprintf(file, "*%s\n", hook->table);
	/* "-N", other than ":CHAIN", fails if there is one, and flushes nothing. */
	if (listing)
		n_changes = write_deletions(file, chain, listing, entries, n);
	else if (has_rules(entries, n))
		fprintf(file, "-N %s\n-I %s 1 -j %s\n", chain, hook->chain, chain);
	else
		fprintf(file, "-N %s\n-X %s\n", chain, chain);
	n_changes += write_rules(file, requests, entries, n);
	fputs("COMMIT\n", file);
	if (fclose(file) != 0)
		return -ENOMEM;
	*ret = !listing || n_changes > 0 ? TAKE_PTR(text) : NULL;
	return 0;
}

char *iptables_compile_test(const char *chain, const struct iptables_request *requests)
{
	char *text = NULL;
	FILE *file = text_stream_open(&text, NULL);

	if (!file)
		return NULL;
	fprintf(file, "*%s\n:%s - [0:0]\n", iptables_hooks[requests->place].table, chain);
	for (const struct iptables_request *request = requests; request; request = request->next)
		fputs(request->rules, file);
	fputs("COMMIT\n", file);
	fclose(file);
	return text;
}
