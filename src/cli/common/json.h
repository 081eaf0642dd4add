/* JSON, for programs: objects of json-c, printed as one document. Where memory runs out, an object
 * or an array that is NULL included, the program ends (memory_out()). */
#pragma once

#include <json-c/json.h>
#include <stddef.h>
#include <stdint.h>

/* Each puts a value under a name; json_put() takes what it is given. A text that is NULL is null in
 * the document. Invalid UTF-8 is replaced by '?'. */
void json_put(struct json_object *object, const char *name, struct json_object *value);
void json_put_null(struct json_object *object, const char *name);
void json_put_text(struct json_object *object, const char *name, const char *text);
void json_put_number(struct json_object *object, const char *name, uint64_t number);

/* A point in time, as ISO 8601 in UTC; 0 is null. */
void json_put_time(struct json_object *object, const char *name, uint64_t realtime_us);

/* Appends what it takes. */
void json_add(struct json_object *array, struct json_object *item);

/* Prints the document on standard output and frees it. */
void json_print(struct json_object *document);

/* An array that may be too large to be held: prints its i-th item and frees it, and after the last
 * of n, its end. */
void json_print_item(struct json_object *item, size_t i);
void json_print_end(size_t n);
