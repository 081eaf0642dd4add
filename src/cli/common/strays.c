#include "cli/common/strays.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "config/config.h"
#include "core/address.h"
#include "core/door.h"
#include "core/placeholder.h"
#include "core/visitor.h"
#include "firewall/backends.h"
#include "firewall/firewall.h"
#include "firewall/passage.h"
#include "firewall/strays.h"
#include "util/cleanup.h"
#include "util/clock.h"

struct stray_search {
	const struct config *config;
	struct firewall *firewall;
	struct passage **known;
	size_t n_known;
	stray_found_fn fn;
	void *userdata;
};

DEFINE_CLEANUP(struct stray_search *, stray_search_free)
DEFINE_CLEANUP(struct passage *, passage_free)

int stray_search_new(const struct config *config, struct stray_search **ret)
{
	CLEANUP(cleanup_stray_search_free) struct stray_search *search = calloc(1, sizeof *search);
	int r = search ? firewall_new(NULL, &search->firewall) : -ENOMEM;

	if (r < 0)
		return r;
	search->config = config;
	*ret = TAKE_PTR(search);
	return 0;
}

struct stray_search *stray_search_free(struct stray_search *search)
{
	if (search) {
		for (size_t i = 0; i < search->n_known; i++)
			passage_free(search->known[i]);
		free(search->known);
		firewall_free(search->firewall);
		free(search);
	}
	return NULL;
}

int stray_search_know(struct stray_search *search, const char *name, const char *source)
{
	const struct door *door = config_find_door(search->config, name);
	struct visitor visitor = {0};
	struct placeholder_values values;
	struct passage *passage, **known;
	char address[ADDRESS_TEXT_MAX];
	int r;

	/* Behind it there may be how many of its bits the door is for. */
	snprintf(address, sizeof address, "%.*s", (int)strcspn(source, "/"), source);
	if (!door || address_parse(address, &visitor.source) < 0)
		return 0;
	values = placeholder_values(door, &visitor);
	known = reallocarray(search->known, search->n_known + 1, sizeof *known);
	if (!known)
		return -ENOMEM;
	search->known = known;
	r = passage_new(&door->opening, &values, &passage);
	if (r == 0)
		known[search->n_known++] = passage;
	return r == -ENOMEM ? r : 0;
}

/* Takes the passage. */
static int on_stray(void *userdata, const struct door *door, struct passage *taken,
		    uint64_t left_us)
{
	CLEANUP(cleanup_passage_free) struct passage *passage = taken;
	const struct stray_search *search = userdata;

	return search->fn(search->userdata, door->name, passage->set, passage->element, left_us);
}

int stray_search_run(struct stray_search *search, stray_found_fn fn, void *userdata)
{
	search->fn = fn;
	search->userdata = userdata;
	return firewall_each_stray(search->firewall, search->config->doors, search->config->n_doors,
				   search->known, search->n_known, clock_us(CLOCK_BOOTTIME),
				   on_stray, search);
}
