#include "cli/common/json.h"

#include <stdio.h>
#include <string.h>

#include "cli/common/output.h"
#include "util/cleanup.h"
#include "util/timestamp.h"
#include "util/utf8.h"

void json_put(struct json_object *object, const char *name, struct json_object *value)
{
	if (!object || json_object_object_add(object, name, value) < 0)
		json_object_put(value);
}

void json_put_text(struct json_object *object, const char *name, const char *text)
{
	CLEANUP(cleanup_free) char *copy = text ? strdup(text) : NULL;

	for (char *c = copy, *end = c ? c + strlen(c) : NULL; c != end;) {
		uint32_t code;
		size_t n = utf8_decode(c, (size_t)(end - c), &code);

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
	char text[TIMESTAMP_TEXT_MAX];

	json_put_text(object, name,
		      realtime_us > 0 ? timestamp_format_iso(realtime_us, text) : NULL);
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
