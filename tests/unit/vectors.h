/* The test vectors of tests/vectors/knocks: blocks of "name = value" lines, empty lines between. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "core/address.h"
#include "core/secret.h"

enum { VECTOR_FIELDS_MAX = 16 };

struct vector {
	char *names[VECTOR_FIELDS_MAX], *values[VECTOR_FIELDS_MAX];
	size_t n_fields;
};

/* Calls `fn` for each block that says "knock = KIND", and returns how many there were. What is
 * wrong with the file fails the test. */
size_t vectors_each(const char *kind, void (*fn)(const struct vector *vector));

/* Fields, as what they are; one that is not there fails the test. */
const char *vector_text(const struct vector *vector, const char *name);
uint64_t vector_number(const struct vector *vector, const char *name);
void vector_hex(const struct vector *vector, const char *name, uint8_t *ret, size_t size);
/* The base of the key in the realm, which the vector must have as we compute it. */
struct secret vector_base(const struct vector *vector);

/* The field `source`: false if it is "-". */
bool vector_source(const struct vector *vector, struct address *ret);
