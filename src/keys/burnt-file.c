#include "keys/burnt-file.h"

#include <errno.h>
#include <inttypes.h>
#include <sodium.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "util/cleanup.h"
#include "util/number.h"
#include "util/text/stream.h"

/* One line each: a word and what belongs to it. All of it can be read and none of it is secret. */
static const char head[] = "knocktail-burnt 1";
static const char tail[] = "end";

void burnt_file_name(const struct key_id *id, char name[static BURNT_NAME_SIZE])
{
	sodium_bin2hex(name, BURNT_NAME_SIZE, id->bytes, sizeof id->bytes);
}

void burnt_key_done(struct burnt_key *key)
{
	free(key->doors);
	free(key->nonces);
	*key = (struct burnt_key){.id = key->id};
}

struct burnt_door *burnt_key_add_door(struct burnt_key *key, const char *name)
{
	struct burnt_door *doors = reallocarray(key->doors, key->n_doors + 1, sizeof *doors);

	if (!doors)
		return NULL;
	key->doors = doors;
	doors[key->n_doors] = (struct burnt_door){.step = 0};
	memcpy(doors[key->n_doors].name, name, strlen(name) + 1);
	return &doors[key->n_doors++];
}

struct burnt_nonce *burnt_key_add_nonce(struct burnt_key *key)
{
	if (!key->nonces)
		key->nonces = calloc(BURNT_NONCES_MAX, sizeof *key->nonces);
	return key->nonces ? &key->nonces[key->n_nonces++] : NULL;
}

static void print_door(FILE *file, const struct burnt_door *door)
{
	fprintf(file, "token %s %" PRIu64 "\n", door->name, door->step);
	for (size_t i = 0; i < door->n_ahead; i++)
		fprintf(file, "ahead %s %" PRIu64 "\n", door->name, door->ahead[i]);
}

static void print_nonce(FILE *file, const struct burnt_nonce *nonce)
{
	char hex[2 * BURNT_NONCE_SIZE + 1];

	fprintf(file, "spa %" PRIu32 " %s\n", nonce->time_s,
		sodium_bin2hex(hex, sizeof hex, nonce->nonce, sizeof nonce->nonce));
}

char *burnt_file_format(const struct burnt_key *key, size_t *ret_size)
{
	char *text = NULL;
	FILE *file = text_stream_open(&text, ret_size);

	if (!file)
		return NULL;
	fprintf(file, "%s\ntoken-floor %" PRIu64 "\nspa-floor %" PRIu64 "\n", head, key->step_floor,
		key->time_floor);
	for (size_t i = 0; i < key->n_doors; i++)
		print_door(file, &key->doors[i]);
	for (size_t i = 0; i < key->n_nonces; i++)
		print_nonce(file, &key->nonces[i]);
	fprintf(file, "%s\n", tail);
	fclose(file);
	return text;
}

static int take_count(const char *word, uint64_t *ret)
{
	return word && number_parse(word, strlen(word), ret) == 0 ? 0 : -EBADMSG;
}

static int take_door(struct burnt_key *key, const char *name, const char *number)
{
	struct burnt_door *door;

	if (key->n_doors == BURNT_DOORS_MAX || !name || !*name || strlen(name) > BURNT_DOOR_MAX)
		return -EBADMSG;
	for (size_t i = 0; i < key->n_doors; i++)
		if (strcmp(key->doors[i].name, name) == 0)
			return -EBADMSG; /* which of them would count? */
	door = burnt_key_add_door(key, name);
	return door ? take_count(number, &door->step) : -ENOMEM;
}

/* Behind its door's line. */
static int take_ahead(struct burnt_key *key, const char *name, const char *number)
{
	struct burnt_door *door;

	if (key->n_doors == 0)
		return -EBADMSG;
	door = &key->doors[key->n_doors - 1];
	if (!name || strcmp(door->name, name) != 0 || door->n_ahead == BURNT_AHEAD_MAX)
		return -EBADMSG;
	return take_count(number, &door->ahead[door->n_ahead++]);
}

static int take_nonce(struct burnt_key *key, const char *time, const char *hex)
{
	struct burnt_nonce *nonce;
	uint64_t time_s;
	size_t size = 0;

	if (key->n_nonces == BURNT_NONCES_MAX || !hex || take_count(time, &time_s) < 0 ||
	    time_s > UINT32_MAX)
		return -EBADMSG;
	nonce = burnt_key_add_nonce(key);
	if (!nonce)
		return -ENOMEM;
	nonce->time_s = (uint32_t)time_s;
	if (sodium_hex2bin(nonce->nonce, sizeof nonce->nonce, hex, strlen(hex), NULL, &size,
			   NULL) != 0 ||
	    size != sizeof nonce->nonce)
		return -EBADMSG;
	return 0;
}

static int take_line(struct burnt_key *key, char *line)
{
	char *rest = line;
	const char *word = strsep(&rest, " "), *first = strsep(&rest, " "), *second = rest;

	if (strcmp(word, "token-floor") == 0 && !second)
		return take_count(first, &key->step_floor);
	if (strcmp(word, "spa-floor") == 0 && !second)
		return take_count(first, &key->time_floor);
	if (strcmp(word, "token") == 0)
		return take_door(key, first, second);
	if (strcmp(word, "ahead") == 0)
		return take_ahead(key, first, second);
	if (strcmp(word, "spa") == 0)
		return take_nonce(key, first, second);
	return -EBADMSG;
}

int burnt_file_parse(const char *text, size_t size, struct burnt_key *ret)
{
	CLEANUP(cleanup_free) char *copy = strndup(text, size);
	struct key_id id = ret->id;
	char *rest = copy, *line;
	int r = 0;

	if (!copy)
		return -ENOMEM;
	*ret = (struct burnt_key){.id = id};
	line = strsep(&rest, "\n");
	if (strcmp(line, head) != 0)
		return -EBADMSG;
	while (r == 0 && (line = strsep(&rest, "\n")) && strcmp(line, tail) != 0)
		r = take_line(ret, line);
	/* The last line is whole, and there is nothing behind it. */
	if (r == 0 && (!line || !rest || *rest != '\0' || rest != copy + size))
		r = -EBADMSG;
	return r;
}
