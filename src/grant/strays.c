#include "grant/strays.h"

#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "core/address.h"
#include "core/door.h"
#include "firewall/firewall.h"
#include "firewall/passage.h"
#include "firewall/strays.h"
#include "grant/table.h"
#include "util/cleanup.h"

DEFINE_CLEANUP(struct passage *, passage_free)

static void stray_done(struct stray *stray)
{
	free(stray->door);
	passage_free(stray->passage);
}

void strays_done(struct strays *strays)
{
	for (size_t i = 0; i < strays->n; i++)
		stray_done(&strays->list[i]);
	free(strays->list);
	*strays = (struct strays){0};
}

/* Takes the passage. */
static int on_stray(void *userdata, const struct door *door, struct passage *taken,
		    uint64_t left_us)
{
	CLEANUP(cleanup_passage_free) struct passage *passage = taken;
	struct strays *strays = userdata;
	struct stray *list = reallocarray(strays->list, strays->n + 1, sizeof *list);

	(void)left_us;
	if (!list)
		return -ENOMEM;
	strays->list = list;
	list[strays->n].door = strdup(door->name);
	if (!list[strays->n].door)
		return -ENOMEM;
	list[strays->n++].passage = TAKE_PTR(passage);
	return 0;
}

int grants_close_strays(struct grants *grants, const struct door *doors, size_t n_doors,
			uint64_t now_us)
{
	struct passage **known;
	size_t n = 0;
	int r;

	if (grants->n_unread > 0)
		return -EAGAIN;
	known = calloc(grants->n_grants + 1, sizeof *known);
	if (!known)
		return -ENOMEM;
	FOR_EACH_GRANT (grants, grant)
		known[n++] = grant->passage;
	r = firewall_each_stray(grants->firewall, doors, n_doors, known, n, now_us, on_stray,
				&grants->strays);
	free(known);
	return r;
}

/* The address that an element is for: "192.0.2.1", "192.0.2.1,tcp:22", "22 . 2001:db8::1", or the
 * first of a network. */
static struct address element_address(const char *element)
{
	struct address address = {0};

	while (*element) {
		size_t length = strcspn(element, " ,/-");
		char word[ADDRESS_TEXT_MAX];

		if (length < sizeof word) {
			memcpy(word, element, length);
			word[length] = '\0';
			if (address_parse(word, &address) == 0)
				break;
		}
		element += length + strspn(element + length, " ,/-");
	}
	return address;
}

/* Whoever knocks meanwhile opens the door for themselves. */
static bool stray_is_held(const struct grants *grants, const struct stray *stray)
{
	FOR_EACH_GRANT (grants, grant)
		if (passage_shares_place(grant->passage, stray->passage) &&
		    strcmp(grant->passage->element, stray->passage->element) == 0)
			return true;
	return false;
}

static void stray_close(struct grants *grants, const struct stray *stray, uint64_t now_us)
{
	struct event event = {
		.kind = EVENT_CLOSED,
		.door = stray->door,
		.source = element_address(stray->passage->element),
		.reason = "it stood open on nobody's record",
	};

	if (stray_is_held(grants, stray))
		return;
	if (firewall_close(grants->firewall, stray->passage, now_us, NULL) < 0) {
		event.kind = EVENT_CLOSE_FAILED;
		event.reason = firewall_problem(grants->firewall);
	}
	grants->on_event(grants->userdata, &event);
}

void strays_run(struct grants *grants, int *budget, uint64_t now_us)
{
	struct strays *strays = &grants->strays;

	while (*budget > 0 && strays->n > 0) {
		struct stray *stray = &strays->list[--strays->n];

		(*budget)--;
		stray_close(grants, stray, now_us);
		stray_done(stray);
	}
	if (strays->n == 0)
		strays_done(strays);
}
