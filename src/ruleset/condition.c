#include "ruleset/condition.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "util/cleanup.h"

void condition_done(struct condition *condition)
{
	for (size_t i = 0; i < condition->n_entries * condition->n_fields; i++)
		free(condition->accepted[i].text);
	free(condition->accepted);
	free(condition->set);
}

struct accepted *condition_add(struct condition *condition)
{
	size_t n = condition->n_fields;
	struct accepted *accepted, *entry;

	/* Twice as many whenever a power of two is full. */
	if ((condition->n_entries & (condition->n_entries - 1)) == 0) {
		size_t room = condition->n_entries ? condition->n_entries * 2 : 1;

		accepted = reallocarray(condition->accepted, room * n, sizeof *accepted);
		if (!accepted)
			return NULL;
		condition->accepted = accepted;
	}
	entry = &condition->accepted[condition->n_entries++ * n];
	memset(entry, 0, n * sizeof *entry);
	for (size_t i = 0; i < n; i++)
		entry[i].first = 1;
	return entry;
}

int condition_add_range(struct condition *condition, uint32_t first, uint32_t last)
{
	struct accepted *accepted = condition_add(condition);

	if (!accepted)
		return -ENOMEM;
	accepted->first = first;
	accepted->last = last;
	return 0;
}

int accepted_set_text(struct accepted *accepted, const char *text)
{
	free(accepted->text);
	accepted->text = strdup(text);
	return accepted->text ? 0 : -ENOMEM;
}

static void set_network(struct accepted *accepted, const struct network *network)
{
	accepted->low = accepted->high = network->base;
	for (unsigned bit = network->prefix; bit < 128; bit++)
		accepted->high.bytes[bit / 8] |= (uint8_t)(0x80 >> bit % 8);
}

void accepted_set_all_addresses(struct accepted *accepted)
{
	set_network(accepted, &(struct network){0});
}

/* "::ffff:192.0.2.0/120": of IPv4, as IPv6 has it, which is no packet's. */
static int mapped_parse(const char *text, struct network *ret)
{
	const char *slash = strchr(text, '/');
	char *host CLEANUP(cleanup_free) = slash ? strndup(text, (size_t)(slash - text)) : NULL;
	long prefix = slash ? strtol(slash + 1, NULL, 10) : 0;

	if (!host || strncmp(host, "::ffff:", 7) != 0 || prefix < 96 || prefix > 128)
		return -EINVAL;
	ret->prefix = (uint8_t)prefix;
	return address_parse(host + 7, &ret->base);
}

int accepted_set_addresses(struct accepted *accepted, const char *text)
{
	char *copy CLEANUP(cleanup_free) = strdup(text + (*text == '[')), *dash;
	struct network network;

	if (!copy)
		return -EINVAL;
	copy[strcspn(copy, "]")] = '\0';
	dash = strchr(copy, '-');
	if (dash) {
		*dash = '\0';
		return address_parse(copy, &accepted->low) < 0 ||
				       address_parse(dash + 1 + (dash[1] == '['), &accepted->high) <
					       0
			       ? -EINVAL
			       : 0;
	}
	if (network_parse(copy, &network) < 0 && mapped_parse(copy, &network) < 0)
		return -EINVAL;
	set_network(accepted, &network);
	return 0;
}

bool condition_asks(const struct condition *condition, enum field field)
{
	for (size_t i = 0; i < condition->n_fields; i++)
		if (condition->fields[i] == field)
			return true;
	return false;
}
