/* MUST: who was let in for a time is not let in for longer because a table is put back. */
#include "cli/rules/nft-age.h"

#include <inttypes.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "util/duration.h"
#include "util/text/stream.h"

static const char begin[] = "elements = { ";
static const char expires[] = " expires ";

/* The first such text outside of quotes before `end`; NULL: there is none. */
static const char *find_plain(const char *text, const char *end, const char *wanted)
{
	size_t length = strlen(wanted);
	bool quoted = false;

	for (; text < end; text++) {
		if (*text == '"')
			quoted = !quoted;
		else if (!quoted && strncmp(text, wanted, length) == 0)
			return text;
	}
	return NULL;
}

/* The comma or brace that ends an element. */
static const char *end_of_element(const char *text)
{
	bool quoted = false;

	for (; *text && (quoted || (*text != ',' && *text != '}')); text++)
		quoted = quoted != (*text == '"');
	return text;
}

/* "1m59s984ms"; *end is what comes after it. */
static uint64_t nft_read_span(const char *text, const char **end)
{
	size_t length = strspn(text, "0123456789dhms");
	char span[DURATION_TEXT_MAX];
	uint64_t us = 0;

	*end = text + length;
	if (length < sizeof span) {
		memcpy(span, text, length);
		span[length] = '\0';
		duration_parse(span, &us);
	}
	return us;
}

static void put_element(const char *text, const char *end, uint64_t elapsed_us, bool *first,
			FILE *file)
{
	const char *at = find_plain(text, end, expires), *rest = text;
	uint64_t left_us = at ? nft_read_span(at + strlen(expires), &rest) : 0;

	if (at && left_us / 1000 <= elapsed_us / 1000)
		return;
	left_us -= elapsed_us;
	fputs(*first ? begin : ",", file);
	*first = false;
	if (at)
		fprintf(file, "%.*s%s%" PRIu64 "s%" PRIu64 "ms", (int)(at - text), text, expires,
			left_us / 1000000, left_us / 1000 % 1000);
	fprintf(file, "%.*s", (int)(end - rest), rest);
}

/* Takes the elements of one set; returns what comes after them. */
static const char *put_elements(const char *text, uint64_t elapsed_us, FILE *file)
{
	bool first = true;

	for (;;) {
		const char *end = end_of_element(text);

		put_element(text, end, elapsed_us, &first, file);
		text = end + (*end != '\0');
		if (*end != ',')
			break;
	}
	if (!first)
		fputc('}', file);
	return text;
}

char *nft_age(const char *table, uint64_t elapsed_us)
{
	char *text = NULL;
	FILE *file = text_stream_open(&text, NULL);
	const char *at, *end = table + strlen(table);

	if (!file)
		return NULL;
	while ((at = find_plain(table, end, begin))) {
		fprintf(file, "%.*s", (int)(at - table), table);
		table = put_elements(at + strlen(begin), elapsed_us, file);
	}
	fputs(table, file);
	fclose(file);
	return text;
}
