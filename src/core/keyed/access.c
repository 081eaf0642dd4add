#include "core/keyed/access.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "core/secret.h"
#include "core/spa.h"

static bool takes_keys(const struct door *door)
{
	return door->auth & (AUTH_TOKEN | AUTH_SPA);
}

static int copy_doors(struct access *access, const struct door *doors, size_t n_doors)
{
	access->doors = calloc(n_doors + 1, sizeof *access->doors);
	if (!access->doors)
		return -ENOMEM;
	for (size_t i = 0; i < n_doors; i++) {
		struct access_door *door = &access->doors[access->n_doors];

		if (!takes_keys(&doors[i]))
			continue;
		memcpy(door->name, doors[i].name, sizeof door->name);
		door->number = i;
		door->auth = doors[i].auth;
		door->bind_source = doors[i].bind_source;
		door->filter = doors[i].knock.filter;
		door->tag = spa_door(door->name);
		for (enum family family = 0; family < N_FAMILIES; family++)
			door->families[family] = door_opens_for(&doors[i], family);
		access->n_doors++;
	}
	return 0;
}

static int copy_keys(struct access *access, const struct key_holder *keys, size_t n_keys)
{
	int r = mac_keys_new(n_keys + 1, &access->bases);

	if (r < 0)
		return r;
	for (size_t i = 0; i < n_keys; i++)
		mac_key_init(&access->bases[i], keys[i].base);
	access->n_keys = n_keys;
	return 0;
}

static void access_grant(struct access *access, size_t door, size_t key)
{
	size_t pair = door * access->n_keys + key;

	access->bits[pair / 8] |= (uint8_t)(1 << pair % 8);
}

static int compare_holder(const void *user, const void *key)
{
	return strcmp(user, ((const struct key_holder *)key)->user);
}

static void grant_users(struct access *access, size_t door, char *const *users,
			const struct key_holder *keys)
{
	for (; users && *users; users++) {
		const struct key_holder *key =
			bsearch(*users, keys, access->n_keys, sizeof *keys, compare_holder);

		/* Those with the same user stand together. */
		while (key && key > keys && strcmp(key[-1].user, *users) == 0)
			key--;
		for (; key && key < keys + access->n_keys && strcmp(key->user, *users) == 0; key++)
			access_grant(access, door, (size_t)(key - keys));
		for (size_t i = 0; strcmp(*users, "*") == 0 && i < access->n_keys; i++)
			access_grant(access, door, i);
	}
}

int access_init(const struct door *doors, size_t n_doors, const struct key_holder *keys,
		size_t n_keys, struct access *ret)
{
	struct access access = {0};
	size_t n_pairs;
	int r = copy_doors(&access, doors, n_doors);

	if (r == 0 && (__builtin_mul_overflow(access.n_doors, n_keys, &n_pairs) ||
		       n_pairs > ACCESS_PAIRS_MAX))
		r = -E2BIG;
	if (r == 0)
		r = copy_keys(&access, keys, n_keys);
	if (r == 0) {
		access.bits = calloc(1, n_pairs / 8 + 1);
		r = access.bits ? 0 : -ENOMEM;
	}
	if (r < 0) {
		access_done(&access);
		return r;
	}
	for (size_t i = 0; n_keys > 0 && i < access.n_doors; i++)
		grant_users(&access, i, doors[access.doors[i].number].users, keys);
	*ret = access;
	return 0;
}

void access_done(struct access *access)
{
	mac_keys_free(access->bases);
	free(access->doors);
	free(access->bits);
	*access = (struct access){0};
}

bool access_takes(const struct access_door *door, bool names_source)
{
	return door->bind_source != (names_source ? BIND_NO : BIND_YES);
}

bool access_holds(const struct access *access, size_t door, size_t key)
{
	size_t pair = door * access->n_keys + key;

	return access->bits[pair / 8] >> pair % 8 & 1;
}
