#include "core/keyed/access.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "core/secret.h"
#include "core/spa.h"

static bool is_keyed(const struct door *door)
{
	return door->auth & (AUTH_TOKEN | AUTH_SPA);
}

static int copy_doors(struct clearance *clearance, const struct door *doors, size_t n_doors)
{
	size_t n = 0;

	for (size_t i = 0; i < n_doors; i++)
		n += is_keyed(&doors[i]);
	clearance->doors = calloc(n + 1, sizeof *clearance->doors);
	if (!clearance->doors)
		return -ENOMEM;
	for (size_t i = 0; i < n_doors; i++) {
		struct clearance_door *door = &clearance->doors[clearance->n_doors];

		if (!is_keyed(&doors[i]))
			continue;
		memcpy(door->name, doors[i].name, sizeof door->name);
		door->number = i;
		door->auth = doors[i].auth;
		door->bind_source = doors[i].bind_source;
		door->filter = doors[i].knock.filter;
		door->tag = spa_door(door->name);
		clearance->n_doors++;
	}
	return 0;
}

static int copy_keys(struct clearance *clearance, const struct key_holder *keys, size_t n_keys)
{
	int r = secrets_new(n_keys + 1, &clearance->secrets);

	if (r < 0)
		return r;
	for (size_t i = 0; i < n_keys; i++)
		clearance->secrets[i] = *keys[i].secret;
	clearance->n_keys = n_keys;
	return 0;
}

static void grant(struct clearance *clearance, size_t door, size_t key)
{
	size_t pair = door * clearance->n_keys + key;

	clearance->bits[pair / 8] |= (uint8_t)(1 << pair % 8);
}

static int compare_user(const void *user, const void *key)
{
	return strcmp(user, ((const struct key_holder *)key)->user);
}

static void grant_users(struct clearance *clearance, size_t door, char *const *users,
			const struct key_holder *keys)
{
	for (; users && *users; users++) {
		const struct key_holder *key =
			bsearch(*users, keys, clearance->n_keys, sizeof *keys, compare_user);

		if (key)
			grant(clearance, door, (size_t)(key - keys));
		for (size_t i = 0; strcmp(*users, "*") == 0 && i < clearance->n_keys; i++)
			grant(clearance, door, i);
	}
}

int clearance_init(const struct door *doors, size_t n_doors, const struct key_holder *keys,
		   size_t n_keys, struct clearance *ret)
{
	struct clearance clearance = {0};
	size_t n_pairs;
	int r = copy_doors(&clearance, doors, n_doors);

	if (r == 0 && (__builtin_mul_overflow(clearance.n_doors, n_keys, &n_pairs) ||
		       n_pairs > CLEARANCE_PAIRS_MAX))
		r = -E2BIG;
	if (r == 0)
		r = copy_keys(&clearance, keys, n_keys);
	if (r == 0) {
		clearance.bits = calloc(1, n_pairs / 8 + 1);
		r = clearance.bits ? 0 : -ENOMEM;
	}
	if (r < 0) {
		clearance_done(&clearance);
		return r;
	}
	for (size_t i = 0; n_keys > 0 && i < clearance.n_doors; i++)
		grant_users(&clearance, i, doors[clearance.doors[i].number].users, keys);
	*ret = clearance;
	return 0;
}

void clearance_done(struct clearance *clearance)
{
	secrets_free(clearance->secrets);
	free(clearance->doors);
	free(clearance->bits);
	*clearance = (struct clearance){0};
}

bool clearance_holds(const struct clearance *clearance, size_t door, size_t key)
{
	size_t pair = door * clearance->n_keys + key;

	return clearance->bits[pair / 8] >> pair % 8 & 1;
}
