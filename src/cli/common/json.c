#include "cli/common/json.h"

#include <stdio.h>
#include <string.h>

#include "cli/common/memory.h"
#include "cli/common/output.h"
#include "util/cleanup.h"
#include "util/text/utf8.h"
#include "util/timestamp.h"

void json_put(struct json_object *object, const char *name, struct json_object *value)
{
	if (!object || !value || json_object_object_add(object, name, value) < 0)
		memory_out();
}

void json_put_null(struct json_object *object, const char *name)
{
	if (!object || json_object_object_add(object, name, NULL) < 0)
		memory_out();
}

void json_add(struct json_object *array, struct json_object *item)
{
	if (!array || !item || json_object_array_add(array, item) < 0)
		memory_out();
}

void json_put_text(struct json_object *object, const char *name, const char *text)
{
	CLEANUP(cleanup_free) char *copy = text ? strdup(text) : NULL;

	if (!text) {
		json_put_null(object, name);
		return;
	}
	if (!copy)
		memory_out();
	for (char *c = copy, *end = c + strlen(c); c != end;) {
		uint32_t code;
		size_t n = utf8_decode(c, (size_t)(end - c), &code);

		if (n == 0)
			*c = '?';
		c += n ? n : 1;
	}
	json_put(object, name, json_object_new_string(copy));
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

static void json_spell(struct json_object *document)
{
	const char *text =
		document ? json_object_to_json_string_ext(
				   document, JSON_C_TO_STRING_PRETTY | JSON_C_TO_STRING_SPACED |
						     JSON_C_TO_STRING_NOSLASHESCAPE)
			 : NULL;

	if (!text)
		memory_out();
	fputs(text, stdout);
	json_object_put(document);
}

void json_print(struct json_object *document)
{
	json_spell(document);
	putchar('\n');
}

void json_print_item(struct json_object *item, size_t i)
{
	fputs(i == 0 ? "[\n" : ",\n", stdout);
	json_spell(item);
}

void json_print_end(size_t n)
{
	puts(n == 0 ? "[]" : "\n]");
}
