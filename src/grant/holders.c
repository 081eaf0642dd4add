#include "grant/holders.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "util/cleanup.h"
#include "util/number.h"

void holders_done(struct holders *holders)
{
	free(holders->list);
	*holders = (struct holders){0};
}

const struct holder *holders_find_person(const struct holders *holders, const char *user)
{
	const struct holder *found = NULL;
	size_t length = strcspn(user, "@");

	for (size_t i = 0; i < holders->n; i++) {
		const struct holder *holder = &holders->list[i];

		if (strcspn(holder->user, "@") == length &&
		    strncmp(holder->user, user, length) == 0 &&
		    (!found || holder->deadline_us > found->deadline_us))
			found = holder;
	}
	return found;
}

static const struct holder *holders_find_key(const struct holders *holders, const char *user,
					     const struct key_id *key)
{
	for (size_t i = 0; i < holders->n; i++)
		if (strcmp(holders->list[i].user, user) == 0 &&
		    key_id_equal(&holders->list[i].key, key))
			return &holders->list[i];
	return NULL;
}

static void holders_remove(struct holders *holders, const struct holder *holder)
{
	size_t i = (size_t)(holder - holders->list);

	holders->n--;
	memmove(&holders->list[i], &holders->list[i + 1], (holders->n - i) * sizeof *holder);
}

/* NULL: they are all of this host. */
static const struct holder *holders_first_foreign(const struct holders *holders)
{
	const struct holder *first = NULL;

	for (size_t i = 0; i < holders->n; i++)
		if (visitor_host(holders->list[i].user) &&
		    (!first || holders->list[i].deadline_us < first->deadline_us))
			first = &holders->list[i];
	return first;
}

static const struct holder *holders_first_due(const struct holders *holders)
{
	const struct holder *first = holders->list;

	for (size_t i = 1; i < holders->n; i++)
		if (holders->list[i].deadline_us < first->deadline_us)
			first = &holders->list[i];
	return first;
}

int holders_put(struct holders *holders, const struct visitor *visitor, uint64_t deadline_us)
{
	const char *user = visitor->user ? visitor->user : "";
	const struct holder *old = holders_find_key(holders, user, &visitor->key);
	struct holder holder = {.key = visitor->key,
				.deadline_us = deadline_us,
				.stamp_us = visitor->stamp_us},
		      *list;
	const struct holder *foreign = holders_first_foreign(holders);

	memcpy(holder.user, user, strlen(user) + 1);
	if (old) {
		if (old->deadline_us > deadline_us)
			holder.deadline_us = old->deadline_us;
		if (old->stamp_us > holder.stamp_us)
			holder.stamp_us = old->stamp_us;
		holder.asked_us = old->asked_us;
		holder.kept_us = old->kept_us;
		holders_remove(holders, old);
	} else if (holders->n == HOLDERS_MAX && !foreign && visitor_host(user)) {
		return -ENOBUFS;
	} else if (holders->n == HOLDERS_MAX) {
		holders_remove(holders, foreign ? foreign : holders_first_due(holders));
	} else {
		list = reallocarray(holders->list, holders->n + 1, sizeof *list);
		if (!list)
			return -ENOMEM;
		holders->list = list;
	}
	holders->list[holders->n++] = holder;
	return 0;
}

void holders_ask(struct holders *holders)
{
	for (size_t i = 0; i < holders->n; i++)
		holders->list[i].asked_us = holders->list[i].deadline_us;
}

void holders_keep(struct holders *holders)
{
	for (size_t i = 0; i < holders->n; i++)
		holders->list[i].kept_us = holders->list[i].asked_us;
}

void holders_refuse(struct holders *holders)
{
	for (size_t i = 0; i < holders->n; i++)
		holders->list[i].asked_us = holders->list[i].kept_us;
}

void holders_revert(struct holders *holders)
{
	for (size_t i = holders->n; i-- > 0;) {
		holders->list[i].deadline_us = holders->list[i].asked_us;
		if (holders->list[i].asked_us == 0)
			holders_remove(holders, &holders->list[i]);
	}
}

size_t holders_drop(struct holders *holders, holders_keep_fn keep, void *userdata)
{
	size_t n = holders->n;

	for (size_t i = n; i-- > 0;)
		if (!keep(userdata, &holders->list[i]))
			holders_remove(holders, &holders->list[i]);
	return n - holders->n;
}

const struct holder *holders_latest(const struct holders *holders)
{
	const struct holder *latest = NULL;

	for (size_t i = 0; i < holders->n; i++)
		if (!latest || holders->list[i].deadline_us >= latest->deadline_us)
			latest = &holders->list[i];
	return latest;
}

const struct holder *holders_latest_own(const struct holders *holders)
{
	const struct holder *latest = NULL;

	for (size_t i = 0; i < holders->n; i++)
		if (!visitor_host(holders->list[i].user) &&
		    (!latest || holders->list[i].deadline_us >= latest->deadline_us))
			latest = &holders->list[i];
	return latest;
}

bool holders_need_saving(const struct holders *holders)
{
	return holders->n > 1 || (holders->n == 1 && (!key_id_is_none(&holders->list[0].key) ||
						      holders->list[0].stamp_us > 0));
}

void holders_write(const struct holders *holders, FILE *file)
{
	for (size_t i = 0; i < holders->n; i++) {
		const struct holder *holder = &holders->list[i];

		fprintf(file, "%s%s", i > 0 ? "," : "", holder->user);
		if (!key_id_is_none(&holder->key))
			fputc('/', file);
		for (size_t j = 0; j < KEY_ID_SIZE && !key_id_is_none(&holder->key); j++)
			fprintf(file, "%02x", holder->key.bytes[j]);
		fprintf(file, ":%" PRIu64, holder->deadline_us);
		if (holder->stamp_us > 0)
			fprintf(file, ":%" PRIu64, holder->stamp_us);
	}
}

/* 0 or -EINVAL. */
static int key_id_parse(const char *text, struct key_id *ret)
{
	static const char digits[] = "0123456789abcdef";

	if (strlen(text) != 2 * sizeof ret->bytes || text[strspn(text, digits)] != '\0')
		return -EINVAL;
	for (size_t i = 0; i < sizeof ret->bytes; i++)
		ret->bytes[i] = (uint8_t)((strchr(digits, text[2 * i]) - digits) << 4 |
					  (strchr(digits, text[2 * i + 1]) - digits));
	return 0;
}

/* One "USER[/KEY]:DEADLINE_US[:STAMP_US]". */
static int holder_parse(char *text, struct holders *ret)
{
	const char *user = strsep(&text, ":"), *deadline = strsep(&text, ":");
	struct visitor visitor = {.user = user};
	char *key = strchr(user, '/');
	uint64_t deadline_us;

	if (key)
		*key++ = '\0';
	if (!deadline || (*user && !visitor_is_name(user)) ||
	    (key && key_id_parse(key, &visitor.key) < 0) ||
	    holders_find_key(ret, user, &visitor.key) || ret->n == HOLDERS_MAX ||
	    number_parse(deadline, strlen(deadline), &deadline_us) < 0 ||
	    (text && number_parse(text, strlen(text), &visitor.stamp_us) < 0))
		return -EINVAL;
	return holders_put(ret, &visitor, deadline_us);
}

int holders_parse(const char *text, struct holders *ret)
{
	CLEANUP(cleanup_free) char *copy = strdup(text);
	struct holders holders = {0};
	char *rest = copy;
	int r = copy ? 0 : -ENOMEM;

	while (r == 0 && rest)
		r = holder_parse(strsep(&rest, ","), &holders);
	if (r < 0) {
		holders_done(&holders);
		return r;
	}
	*ret = holders;
	return 0;
}
