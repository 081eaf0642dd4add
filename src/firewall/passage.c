#include "firewall/passage.h"

#include <errno.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include "core/strv.h"
#include "firewall/backend.h"
#include "util/cleanup.h"

/* The lines of a passage in a state file; those of `start` are not needed to close it. */
static const struct {
	const char *key;
	size_t offset;
	bool is_vector; /* a line for each string; otherwise one line, if there is such a text */
	size_t n_least; /* bytes in a value */
} fields[] = {
	{"set", offsetof(struct passage, set), false, 1},
	{"element", offsetof(struct passage, element), false, 1},
	{"chain", offsetof(struct passage, chain), false, 1},
	{"comment", offsetof(struct passage, comment), false, 1},
	{"forward", offsetof(struct passage, forward), false, 1},
	{"ports", offsetof(struct passage, ports), true, sizeof "tcp 1" - 1},
	{"stop", offsetof(struct passage, stop), true, 0},
};

DEFINE_CLEANUP(struct passage *, passage_free)

struct passage *passage_free(struct passage *passage)
{
	if (passage) {
		free(passage->set);
		free(passage->element);
		free(passage->chain);
		free(passage->comment);
		free(passage->forward);
		strv_free(passage->ports);
		strv_free(passage->start);
		strv_free(passage->stop);
		free(passage);
	}
	return NULL;
}

static int text_copy(const char *text, char **ret)
{
	if (text)
		*ret = strdup(text);
	return !text || *ret ? 0 : -ENOMEM;
}

int passage_new_place(const struct passage *passage, struct passage **ret)
{
	CLEANUP(cleanup_passage_free) struct passage *place = calloc(1, sizeof *place);

	if (!place || text_copy(passage->set, &place->set) < 0 ||
	    text_copy(passage->chain, &place->chain) < 0 ||
	    text_copy(passage->forward, &place->forward) < 0 ||
	    text_copy(passage->element, &place->element) < 0)
		return -ENOMEM;
	place->backend = passage->backend;
	*ret = TAKE_PTR(place);
	return 0;
}

/* A chain is of one family, and so are the addresses in its rules; sets differ by name. */
static bool passage_shares_family(const struct passage *a, const struct passage *b)
{
	return !a->chain || !a->element || !b->element ||
	       !strchr(a->element, ':') == !strchr(b->element, ':');
}

bool passage_names_ports(const char *ports)
{
	return strcmp(ports, PASSAGE_ALL_PORTS) != 0;
}

/* The part of an element that is one: "22 . 192.0.2.0/24", "2001:db8::/56,tcp:22". */
bool passage_find_network(const struct passage *passage, struct network *ret)
{
	const char *part = passage->element ? passage->element : "";

	for (; *part; part += strcspn(part, " ,"), part += strspn(part, " ,")) {
		size_t length = strcspn(part, " ,");
		char text[NETWORK_TEXT_MAX];

		if (length >= sizeof text || !memchr(part, '/', length))
			continue;
		memcpy(text, part, length);
		text[length] = '\0';
		if (network_parse(text, ret) == 0)
			return true;
	}
	return false;
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
	       text_equal(a->comment, b->comment) && text_equal(a->forward, b->forward) &&
	       strv_equal(a->ports, b->ports) && strv_equal(a->stop, b->stop);
}

bool passage_shares_place(const struct passage *a, const struct passage *b)
{
	return a->backend == b->backend && text_equal(a->set, b->set) &&
	       text_equal(a->chain, b->chain) && passage_shares_family(a, b);
}

void passage_write(const struct passage *passage, FILE *file)
{
	fprintf(file, "backend=%s\n", passage->backend->name);
	for (size_t i = 0; i < sizeof fields / sizeof fields[0]; i++) {
		const void *field = (const char *)passage + fields[i].offset;

		if (fields[i].is_vector)
			for (char **one = *(char **const *)field; one && *one; one++)
				fprintf(file, "%s=%s\n", fields[i].key, *one);
		else if (*(char *const *)field)
			fprintf(file, "%s=%s\n", fields[i].key, *(char *const *)field);
	}
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

static int text_read(const char *value, char **text)
{
	if (*text)
		return -EINVAL;
	*text = strdup(value);
	return *text ? 0 : -ENOMEM;
}

int passage_read_field(const char *key, const char *value, struct passage *passage)
{
	for (size_t i = 0; i < sizeof fields / sizeof fields[0]; i++) {
		void *field = (char *)passage + fields[i].offset;

		if (strcmp(key, fields[i].key) != 0)
			continue;
		if (!passage || strlen(value) < fields[i].n_least)
			return -EINVAL;
		return fields[i].is_vector ? argv_append(field, value) : text_read(value, field);
	}
	return -ENOENT;
}

bool passage_is_whole(const struct passage *passage)
{
	return passage && passage->backend->is_whole(passage);
}
