#include "cli/common/json.h"

#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#include "cli/common/output.h"
#include "util/cleanup.h"

/* The length of the UTF-8 sequence that begins here (RFC 3629), or 0. */
static size_t utf8_length(const unsigned char *c)
{
	size_t n = *c < 0x80		     ? 1
		   : *c >= 0xc2 && *c < 0xe0 ? 2
		   : *c >= 0xe0 && *c < 0xf0 ? 3
		   : *c >= 0xf0 && *c < 0xf5 ? 4
					     : 0;

	for (size_t i = 1; i < n; i++)
		if ((c[i] & 0xc0) != 0x80)
			return 0;
	if ((c[0] == 0xe0 && c[1] < 0xa0) || (c[0] == 0xed && c[1] >= 0xa0) ||
	    (c[0] == 0xf0 && c[1] < 0x90) || (c[0] == 0xf4 && c[1] >= 0x90))
		return 0;
	return n;
}

void json_put(struct json_object *object, const char *name, struct json_object *value)
{
	if (!object || json_object_object_add(object, name, value) < 0)
		json_object_put(value);
}

void json_put_text(struct json_object *object, const char *name, const char *text)
{
	CLEANUP(cleanup_free) char *copy = text ? strdup(text) : NULL;

	for (unsigned char *c = (unsigned char *)copy; c && *c;) {
		size_t n = utf8_length(c);

		if (n == 0)
			*c = '?';
		c += n ? n : 1;
	}
	json_put(object, name, copy ? json_object_new_string(copy) : NULL);
}

void json_put_number(struct json_object *object, const char *name, uint64_t number)
{
	json_put(object, name, json_object_new_uint64(number));
}

void json_put_time(struct json_object *object, const char *name, uint64_t realtime_us)
{
	char text[TIME_TEXT_MAX];

	json_put_text(object, name, realtime_us > 0 ? output_time_iso(realtime_us, text) : NULL);
}

void json_print(struct json_object *document)
{
	puts(json_object_to_json_string_ext(document, JSON_C_TO_STRING_PRETTY |
							      JSON_C_TO_STRING_SPACED |
							      JSON_C_TO_STRING_NOSLASHESCAPE));
	json_object_put(document);
}

void json_print_item(struct json_object *item, size_t i)
{
	fputs(i == 0 ? "[\n" : ",\n", stdout);
	fputs(json_object_to_json_string_ext(item, JSON_C_TO_STRING_PRETTY |
							   JSON_C_TO_STRING_SPACED |
							   JSON_C_TO_STRING_NOSLASHESCAPE),
	      stdout);
	json_object_put(item);
}

void json_print_end(size_t n)
{
	puts(n == 0 ? "[]" : "\n]");
}
