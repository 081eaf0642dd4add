/* Rules: made from a door and a source, written down, and read back. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "core/door.h"
#include "core/strv.h"
#include "firewall/backend.h"
#include "util/cleanup.h"

static const struct backend *const backends[N_BACKENDS] = {
	[BACKEND_IPSET] = &backend_ipset,
	[BACKEND_NFT] = &backend_nft,
	[BACKEND_IPTABLES] = &backend_iptables,
	[BACKEND_COMMAND] = &backend_command,
};

DEFINE_CLEANUP(struct passage *, passage_free)

const struct backend *backend_of(const struct door *door)
{
	return backends[door->opening.backend];
}

int passage_new(const struct door *door, const struct visitor *visitor, struct passage **ret)
{
	CLEANUP(cleanup_passage_free) struct passage *passage = calloc(1, sizeof *passage);
	int r;

	if (!passage)
		return -ENOMEM;
	passage->backend = backend_of(door);
	r = passage->backend->spell(door, visitor, passage);
	if (r < 0)
		return r;
	*ret = TAKE_PTR(passage);
	return 0;
}

struct passage *passage_free(struct passage *passage)
{
	if (passage) {
		free(passage->set);
		free(passage->element);
		free(passage->chain);
		free(passage->comment);
		strv_free(passage->ports);
		strv_free(passage->start);
		strv_free(passage->stop);
		free(passage);
	}
	return NULL;
}

static int copy_text(const char *text, char **ret)
{
	if (text)
		*ret = strdup(text);
	return !text || *ret ? 0 : -ENOMEM;
}

int passage_new_place(const struct passage *passage, struct passage **ret)
{
	CLEANUP(cleanup_passage_free) struct passage *place = calloc(1, sizeof *place);

	if (!place || copy_text(passage->set, &place->set) < 0 ||
	    copy_text(passage->chain, &place->chain) < 0 ||
	    copy_text(passage->element, &place->element) < 0)
		return -ENOMEM;
	place->backend = passage->backend;
	*ret = TAKE_PTR(place);
	return 0;
}

/* A chain is of one family, and so are the addresses in its rules; sets tell by their names. */
static bool same_family(const struct passage *a, const struct passage *b)
{
	return !a->chain || !a->element || !b->element ||
	       !strchr(a->element, ':') == !strchr(b->element, ':');
}

bool passage_expires(const struct passage *passage)
{
	return passage->backend->expires;
}

static bool text_equal(const char *a, const char *b)
{
	return a == b || (a && b && strcmp(a, b) == 0);
}

bool passage_equal(const struct passage *a, const struct passage *b)
{
	return a->backend == b->backend && text_equal(a->set, b->set) &&
	       text_equal(a->element, b->element) && text_equal(a->chain, b->chain) &&
	       text_equal(a->comment, b->comment) && strv_equal(a->ports, b->ports) &&
	       strv_equal(a->stop, b->stop);
}

bool passage_shares_place(const struct passage *a, const struct passage *b)
{
	return a->backend == b->backend && text_equal(a->set, b->set) &&
	       text_equal(a->chain, b->chain) && same_family(a, b);
}

void passage_write(const struct passage *passage, FILE *file)
{
	fprintf(file, "backend=%s\n", passage->backend->name);
	if (passage->set)
		fprintf(file, "set=%s\n", passage->set);
	if (passage->element)
		fprintf(file, "element=%s\n", passage->element);
	if (passage->chain)
		fprintf(file, "chain=%s\n", passage->chain);
	if (passage->comment)
		fprintf(file, "comment=%s\n", passage->comment);
	for (char **ports = passage->ports; ports && *ports; ports++)
		fprintf(file, "ports=%s\n", *ports);
	for (char **argument = passage->stop; argument && *argument; argument++)
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

static int read_backend(const char *value, struct passage **passage)
{
	if (*passage)
		return -EINVAL;
	for (size_t i = 0; i < N_BACKENDS; i++) {
		if (strcmp(backends[i]->name, value) != 0)
			continue;
		*passage = calloc(1, sizeof **passage);
		if (!*passage)
			return -ENOMEM;
		(*passage)->backend = backends[i];
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

int passage_read_line(const char *key, const char *value, struct passage **passage)
{
	if (strcmp(key, "backend") == 0)
		return read_backend(value, passage);
	if (strcmp(key, "set") == 0)
		return *passage ? read_text(value, &(*passage)->set) : -EINVAL;
	if (strcmp(key, "element") == 0)
		return *passage ? read_text(value, &(*passage)->element) : -EINVAL;
	if (strcmp(key, "chain") == 0)
		return *passage ? read_text(value, &(*passage)->chain) : -EINVAL;
	if (strcmp(key, "comment") == 0)
		return *passage ? read_text(value, &(*passage)->comment) : -EINVAL;
	if (strcmp(key, "ports") == 0)
		return *passage && strlen(value) > 4 ? argv_append(&(*passage)->ports, value)
						     : -EINVAL;
	if (strcmp(key, "stop") == 0)
		return *passage ? argv_append(&(*passage)->stop, value) : -EINVAL;
	return -ENOENT;
}

bool passage_is_whole(const struct passage *passage)
{
	return passage && passage->backend->is_whole(passage);
}
