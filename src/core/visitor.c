#include "core/visitor.h"

#include <stddef.h>
#include <string.h>

const char *knock_kind_name(enum knock_kind kind)
{
	static const char *const names[N_KNOCK_KINDS] = {
		[KNOCK_SEQUENCE] = "sequence",
		[KNOCK_TOKEN] = "token",
		[KNOCK_SPA] = "spa",
		[KNOCK_HAND] = "hand",
	};

	return names[kind];
}

const char *refusal_name(enum refusal refusal)
{
	static const char *const names[N_REFUSALS] = {
		[REFUSAL_OTHER] = "other",	 [REFUSAL_REPLAYED] = "replayed",
		[REFUSAL_CLOCK] = "clock",	 [REFUSAL_SOURCE] = "source",
		[REFUSAL_KEY] = "key",		 [REFUSAL_EXPIRED] = "expired",
		[REFUSAL_USER] = "user",	 [REFUSAL_RATE] = "rate",
		[REFUSAL_FULL] = "full",	 [REFUSAL_DISK] = "disk",
		[REFUSAL_FIREWALL] = "firewall",
	};

	return names[refusal];
}

bool visitor_host_is_name(const char *text)
{
	static const char first[] = "abcdefghijklmnopqrstuvwxyz0123456789";
	static const char others[] = "abcdefghijklmnopqrstuvwxyz0123456789._-";
	size_t length = strspn(text, others);

	return length > 0 && length <= VISITOR_HOST_MAX && text[length] == '\0' &&
	       strchr(first, text[0]);
}

const char *visitor_host(const char *user)
{
	const char *at = user ? strchr(user, '@') : NULL;

	return at ? at + 1 : NULL;
}

bool key_id_equal(const struct key_id *a, const struct key_id *b)
{
	return memcmp(a->bytes, b->bytes, sizeof a->bytes) == 0;
}

bool key_id_is_none(const struct key_id *id)
{
	return key_id_equal(id, &(struct key_id){0});
}
