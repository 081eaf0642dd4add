/* Rules: made from a door and a source, written down, and read back. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "core/door.h"
#include "core/placeholder.h"
#include "firewall/backend.h"
#include "util/cleanup.h"

static const struct backend *const backends[N_BACKENDS] = {
	[BACKEND_IPSET] = &backend_ipset,
	[BACKEND_NFT] = &backend_nft,
	[BACKEND_IPTABLES] = &backend_iptables,
	[BACKEND_COMMAND] = &backend_command,
};

DEFINE_CLEANUP(struct rule *, rule_free)

const struct backend *backend_of(const struct door *door)
{
	return backends[door->backend];
}

int rule_new(const struct door *door, const struct caller *caller, struct rule **ret)
{
	CLEANUP(cleanup_rule_free) struct rule *rule = calloc(1, sizeof *rule);
	int r;

	if (!rule)
		return -ENOMEM;
	rule->backend = backend_of(door);
	r = rule->backend->spell(door, caller, rule);
	if (r < 0)
		return r;
	*ret = TAKE_PTR(rule);
	return 0;
}

struct rule *rule_free(struct rule *rule)
{
	if (rule) {
		free(rule->set);
		free(rule->element);
		free(rule->chain);
		free(rule->comment);
		command_free(rule->ports);
		command_free(rule->start);
		command_free(rule->stop);
		free(rule);
	}
	return NULL;
}

static int copy_text(const char *text, char **ret)
{
	if (text)
		*ret = strdup(text);
	return !text || *ret ? 0 : -ENOMEM;
}

int rule_new_place(const struct rule *rule, struct rule **ret)
{
	CLEANUP(cleanup_rule_free) struct rule *place = calloc(1, sizeof *place);

	if (!place || copy_text(rule->set, &place->set) < 0 ||
	    copy_text(rule->chain, &place->chain) < 0 ||
	    copy_text(rule->element, &place->element) < 0)
		return -ENOMEM;
	place->backend = rule->backend;
	*ret = TAKE_PTR(place);
	return 0;
}

/* A chain is of one family, and so are the addresses in its rules; sets tell by their names. */
static bool same_family(const struct rule *a, const struct rule *b)
{
	return !a->chain || !a->element || !b->element ||
	       !strchr(a->element, ':') == !strchr(b->element, ':');
}

bool rule_expires(const struct rule *rule)
{
	return rule->backend->expires;
}

static bool text_equal(const char *a, const char *b)
{
	return a == b || (a && b && strcmp(a, b) == 0);
}

bool rule_equal(const struct rule *a, const struct rule *b)
{
	return a->backend == b->backend && text_equal(a->set, b->set) &&
	       text_equal(a->element, b->element) && text_equal(a->chain, b->chain) &&
	       text_equal(a->comment, b->comment) && command_equal(a->ports, b->ports) &&
	       command_equal(a->stop, b->stop);
}

bool rule_shares_place(const struct rule *a, const struct rule *b)
{
	return a->backend == b->backend && text_equal(a->set, b->set) &&
	       text_equal(a->chain, b->chain) && same_family(a, b);
}

void rule_write(const struct rule *rule, FILE *file)
{
	fprintf(file, "backend=%s\n", rule->backend->name);
	if (rule->set)
		fprintf(file, "set=%s\n", rule->set);
	if (rule->element)
		fprintf(file, "element=%s\n", rule->element);
	if (rule->chain)
		fprintf(file, "chain=%s\n", rule->chain);
	if (rule->comment)
		fprintf(file, "comment=%s\n", rule->comment);
	for (char **ports = rule->ports; ports && *ports; ports++)
		fprintf(file, "ports=%s\n", *ports);
	for (char **argument = rule->stop; argument && *argument; argument++)
		fprintf(file, "stop=%s\n", *argument);
}

static int argv_append(char ***argv, const char *argument)
{
	size_t n = 0;
	char **longer;

	while (*argv && (*argv)[n])
		n++;
	longer = realloc(*argv, (n + 2) * sizeof *longer);
	if (!longer)
		return -ENOMEM;
	*argv = longer;
	longer[n + 1] = NULL;
	longer[n] = strdup(argument);
	return longer[n] ? 0 : -ENOMEM;
}

static int read_backend(const char *value, struct rule **rule)
{
	if (*rule)
		return -EINVAL;
	for (size_t i = 0; i < N_BACKENDS; i++) {
		if (strcmp(backends[i]->name, value) != 0)
			continue;
		*rule = calloc(1, sizeof **rule);
		if (!*rule)
			return -ENOMEM;
		(*rule)->backend = backends[i];
		return 0;
	}
	return -EINVAL;
}

static int read_text(const char *value, char **text)
{
	if (*text || !*value)
		return -EINVAL;
	*text = strdup(value);
	return *text ? 0 : -ENOMEM;
}

int rule_read_line(const char *key, const char *value, struct rule **rule)
{
	if (strcmp(key, "backend") == 0)
		return read_backend(value, rule);
	if (strcmp(key, "set") == 0)
		return *rule ? read_text(value, &(*rule)->set) : -EINVAL;
	if (strcmp(key, "element") == 0)
		return *rule ? read_text(value, &(*rule)->element) : -EINVAL;
	if (strcmp(key, "chain") == 0)
		return *rule ? read_text(value, &(*rule)->chain) : -EINVAL;
	if (strcmp(key, "comment") == 0)
		return *rule ? read_text(value, &(*rule)->comment) : -EINVAL;
	if (strcmp(key, "ports") == 0)
		return *rule && strlen(value) > 4 ? argv_append(&(*rule)->ports, value) : -EINVAL;
	if (strcmp(key, "stop") == 0)
		return *rule ? argv_append(&(*rule)->stop, value) : -EINVAL;
	return -ENOENT;
}

bool rule_is_whole(const struct rule *rule)
{
	return rule && rule->backend->is_whole(rule);
}
