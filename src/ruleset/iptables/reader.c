#include "ruleset/iptables/reader.h"

#include <errno.h>
#include <stdlib.h>

const char *reader_take(struct rule_reader *reader)
{
	return reader->i < reader->n ? reader->words[reader->i++] : "";
}

int reader_add_number(struct rule_reader *reader, enum field field, uint32_t number)
{
	return rule_view_add_number(reader->rule, field, reader->negated, number);
}

int reader_add_mask(struct rule_reader *reader, enum field field, uint32_t mask, uint32_t number)
{
	return rule_view_add_mask(reader->rule, field, reader->negated, mask, number);
}

int reader_read_range(const char *text, uint32_t *ret_first, uint32_t *ret_last)
{
	char *end;
	uint32_t first = (uint32_t)strtoul(text, &end, 10), last = first;

	if (end == text && *end != ':')
		return -EINVAL;
	if (*end == ':' || *end == '-')
		last = end[1] ? (uint32_t)strtoul(end + 1, &end, 10) : UINT16_MAX;
	*ret_first = first;
	*ret_last = last;
	return 0;
}

void reader_read_masked(const char *text, uint32_t *ret_number, uint32_t *ret_mask)
{
	char *end;

	*ret_number = (uint32_t)strtoul(text, &end, 0);
	*ret_mask = *end == '/' ? (uint32_t)strtoul(end + 1, NULL, 0) : UINT32_MAX;
}
