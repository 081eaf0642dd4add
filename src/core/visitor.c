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

bool key_id_equal(const struct key_id *a, const struct key_id *b)
{
	return memcmp(a->bytes, b->bytes, sizeof a->bytes) == 0;
}

bool key_id_is_none(const struct key_id *id)
{
	return key_id_equal(id, &(struct key_id){0});
}
