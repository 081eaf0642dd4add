#include "core/visitor.h"

#include <stddef.h>

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
