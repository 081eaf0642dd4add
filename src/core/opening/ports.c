#include "core/opening/ports.h"

#include <errno.h>
#include <string.h>
#include <strings.h>

/* "22", "22/tcp", "60000-61000/udp": what stands behind the dash is a step. 0 or -EINVAL. */
static int port_range_parse(const char *text, size_t length, struct port_range *ret)
{
	char item[PORT_RANGE_TEXT_MAX], *dash;
	struct step first, last;

	if (length >= sizeof item)
		return -EINVAL;
	memcpy(item, text, length);
	item[length] = '\0';
	dash = strchr(item, '-');
	if (dash)
		*dash++ = '\0';
	if (dash && item[strspn(item, "0123456789")])
		return -EINVAL;
	if (step_parse(item, &first) < 0 || step_parse(dash ? dash : item, &last) < 0)
		return -EINVAL;
	*ret = (struct port_range){first.port, last.port, last.protocol};
	return 0;
}

static bool have_in_common(const struct port_range *a, const struct port_range *b)
{
	return a->protocol == b->protocol && a->first <= b->last && b->first <= a->last;
}

static int port_set_add(struct port_set *set, const struct port_range *range,
			struct port_range ret_fault[static 2])
{
	ret_fault[0] = *range;
	if (range->last < range->first)
		return -ERANGE;
	for (size_t i = 0; i < set->n_ranges; i++)
		if (have_in_common(&set->ranges[i], range)) {
			ret_fault[1] = set->ranges[i];
			return -EEXIST;
		}
	if (set->n_ranges == PORT_RANGES_MAX)
		return -E2BIG;
	set->ranges[set->n_ranges++] = *range;
	return 0;
}

int port_set_parse(const char *text, struct port_set *ret, struct port_range ret_fault[static 2])
{
	static const char separators[] = ", \t";
	struct port_set set = {0};

	for (text += strspn(text, separators); *text; text += strspn(text, separators)) {
		size_t length = strcspn(text, separators);
		struct port_range range;
		int r;

		if (set.is_all)
			return -EINVAL;
		if (length == 3 && strncasecmp(text, "all", length) == 0 && set.n_ranges == 0) {
			set.is_all = true;
			text += length;
			continue;
		}
		r = port_range_parse(text, length, &range);
		if (r == 0)
			r = port_set_add(&set, &range, ret_fault);
		if (r < 0)
			return r;
		text += length;
	}
	if (port_set_is_empty(&set))
		return -EINVAL;
	*ret = set;
	return 0;
}

bool port_set_has(const struct port_set *set, const struct step *port)
{
	const struct port_range range = {port->port, port->port, port->protocol};
	bool has = set->is_all;

	for (size_t i = 0; i < set->n_ranges; i++)
		has = has || have_in_common(&set->ranges[i], &range);
	return has;
}

bool port_set_common(const struct port_set *a, const struct port_set *b, struct port_range *ret)
{
	if (a->is_all || b->is_all) {
		const struct port_set *other = a->is_all ? b : a;

		if (other->n_ranges > 0)
			*ret = other->ranges[0];
		return other->n_ranges > 0;
	}
	for (size_t i = 0; i < a->n_ranges; i++)
		for (size_t j = 0; j < b->n_ranges; j++) {
			const struct port_range *one = &a->ranges[i], *other = &b->ranges[j];

			if (!have_in_common(one, other))
				continue;
			*ret = one->first > other->first ? *one : *other;
			ret->last = one->last < other->last ? one->last : other->last;
			return true;
		}
	return false;
}

bool port_set_is_empty(const struct port_set *set)
{
	return !set->is_all && set->n_ranges == 0;
}

/* Returns where it ends. */
static char *put_port(uint16_t port, char *text)
{
	size_t n_digits = 1;

	for (unsigned rest = port / 10U; rest > 0; rest /= 10)
		n_digits++;
	for (size_t i = n_digits; i > 0; i--, port /= 10)
		text[i - 1] = (char)('0' + port % 10);
	text[n_digits] = '\0';
	return text + n_digits;
}

static char *put_range(const struct port_range *range, char between, char *text)
{
	text = put_port(range->first, text);
	if (range->first == range->last)
		return text;
	*text = between;
	return put_port(range->last, text + 1);
}

const char *port_range_numbers(const struct port_range *range, char between,
			       char text[static PORT_RANGE_TEXT_MAX])
{
	put_range(range, between, text);
	return text;
}

const char *port_range_format(const struct port_range *range, char text[static PORT_RANGE_TEXT_MAX])
{
	char *end = put_range(range, '-', text);
	const char *word = protocol_word(range->protocol);

	*end = '/';
	memcpy(end + 1, word, strlen(word) + 1);
	return text;
}
