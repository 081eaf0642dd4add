#include "vectors.h"

#include <errno.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/key-file.h"

#include "cmocka-all.h"

const char *vector_text(const struct vector *vector, const char *name)
{
	for (size_t i = 0; i < vector->n_fields; i++)
		if (strcmp(vector->names[i], name) == 0)
			return vector->values[i];
	fail_msg("no field %s", name);
	return NULL;
}

uint64_t vector_number(const struct vector *vector, const char *name)
{
	char *end;
	uint64_t number;

	errno = 0;
	number = strtoull(vector_text(vector, name), &end, 10);
	assert_true(*end == '\0' && errno == 0);
	return number;
}

void vector_hex(const struct vector *vector, const char *name, uint8_t *ret, size_t size)
{
	const char *text = vector_text(vector, name);
	size_t length = 0;

	assert_int_equal(sodium_hex2bin(ret, size, text, strlen(text), NULL, &length, NULL), 0);
	assert_int_equal(length, size);
}

struct secret vector_base(const struct vector *vector)
{
	const char *realm = vector_text(vector, "realm");
	char line[KEY_LINE_MAX + 1];
	const char *fault;
	struct secret expected;
	struct key_file file;

	snprintf(line, sizeof line, "knocktail2 %s %s", realm, vector_text(vector, "key"));
	assert_int_equal(key_file_parse(line, strlen(line), &file, &fault), 0);
	assert_string_equal(file.realm, realm);
	vector_hex(vector, "base", expected.bytes, sizeof expected.bytes);
	assert_memory_equal(&file.bases[0], &expected, sizeof expected);
	return file.bases[0];
}

bool vector_source(const struct vector *vector, struct address *ret)
{
	const char *text = vector_text(vector, "source");

	if (strcmp(text, "-") == 0)
		return false;
	assert_int_equal(address_parse(text, ret), 0);
	return true;
}

static void clear(struct vector *vector)
{
	for (size_t i = 0; i < vector->n_fields; i++) {
		free(vector->names[i]);
		free(vector->values[i]);
	}
	vector->n_fields = 0;
}

static void add(struct vector *vector, const char *line)
{
	const char *equals = strstr(line, " = ");

	assert_non_null(equals);
	assert_true(vector->n_fields < VECTOR_FIELDS_MAX);
	vector->names[vector->n_fields] = strndup(line, (size_t)(equals - line));
	vector->values[vector->n_fields++] = strdup(equals + 3);
}

static bool deliver(struct vector *vector, const char *kind, void (*fn)(const struct vector *))
{
	bool wanted = vector->n_fields > 0 && strcmp(vector_text(vector, "knock"), kind) == 0;

	if (wanted)
		fn(vector);
	clear(vector);
	return wanted;
}

size_t vectors_each(const char *kind, void (*fn)(const struct vector *vector))
{
	FILE *file = fopen(TEST_DATA_DIR "/vectors/knocks", "re");
	struct vector vector = {.n_fields = 0};
	size_t n = 0, size = 0;
	char *line = NULL;

	assert_non_null(file);
	while (getline(&line, &size, file) > 0) {
		line[strcspn(line, "\n")] = '\0';
		if (*line == '\0')
			n += deliver(&vector, kind, fn);
		else if (*line != '#')
			add(&vector, line);
	}
	n += deliver(&vector, kind, fn);
	free(line);
	fclose(file);
	return n;
}
