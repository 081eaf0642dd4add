#include "firewall/backends.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "firewall/backend.h"
#include "firewall/passage.h"
#include "util/cleanup.h"

#define BACKEND_DECLARATION(NAME, name) extern const struct backend backend_##name;
BACKENDS(BACKEND_DECLARATION)

#define BACKEND_ROW(NAME, name) [BACKEND_##NAME] = &backend_##name,
const struct backend *const backends[N_BACKENDS] = {BACKENDS(BACKEND_ROW)};

DEFINE_CLEANUP(struct passage *, passage_free)

int passage_new(const struct opening *opening, const struct placeholder_values *values,
		struct passage **ret)
{
	CLEANUP(cleanup_passage_free) struct passage *passage = calloc(1, sizeof *passage);
	int r;

	if (!passage)
		return -ENOMEM;
	passage->backend = backends[opening->backend];
	r = passage->backend->spell(opening, values, passage);
	if (r < 0)
		return r;
	*ret = TAKE_PTR(passage);
	return 0;
}

static int passage_read_backend(const char *value, struct passage **passage)
{
	if (*passage)
		return -EINVAL;
	for (size_t i = 0; i < N_BACKENDS; i++) {
		if (strcmp(backends[i]->name, value) != 0)
			continue;
		*passage = calloc(1, sizeof **passage);
		if (!*passage)
			return -ENOMEM;
		(*passage)->backend = backends[i];
		return 0;
	}
	return -EINVAL;
}

int passage_read_line(const char *key, const char *value, struct passage **passage)
{
	return strcmp(key, "backend") == 0 ? passage_read_backend(value, passage)
					   : passage_read_field(key, value, *passage);
}
