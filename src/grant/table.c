#include "grant/table.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "core/hash.h"
#include "core/placeholder.h"
#include "firewall/backends.h"
#include "firewall/passage.h"
#include "grant/store.h"

/* All grants of a source are in one bucket. A hash without a key will do: whoever gets this far has
 * knocked correctly. */
static size_t grants_bucket(const struct address *source)
{
	return hash_bytes(HASH_START, source->bytes, sizeof source->bytes) % GRANTS_BUCKETS;
}

struct grant *grants_first_of(const struct grants *grants, const struct address *source)
{
	return grants->buckets[grants_bucket(source)];
}

struct grant *grants_find(const struct grants *grants, const char *door,
			  const struct address *source)
{
	struct grant *grant = grants_first_of(grants, source);

	while (grant && !(address_equal(&grant->source, source) && strcmp(grant->door, door) == 0))
		grant = grant->next;
	return grant;
}

int grant_new(struct grants *grants, const char *door, const struct visitor *visitor,
	      struct passage *passage, uint64_t deadline_us, struct grant **ret)
{
	struct grant **bucket = &grants->buckets[grants_bucket(&visitor->source)];
	struct grant *grant = calloc(1, sizeof *grant);

	if (!grant)
		return -ENOMEM;
	grant->grants = grants;
	grant->state = GRANT_OPENING;
	memcpy(grant->door, door, strlen(door) + 1);
	grant->source = visitor->source;
	grant_set_visitor(grant, visitor);
	grant->deadline_us = grant->due.at_us = deadline_us;
	if (holders_put(&grant->holders, visitor, deadline_us) < 0 ||
	    door_count_join(&grants->door_counts, door) < 0) {
		grant_free(grant);
		return -ENOMEM;
	}
	if (due_queue_add(&grants->queue, &grant->due) < 0) {
		door_count_leave(&grants->door_counts, door);
		grant_free(grant);
		return -ENOMEM;
	}
	grant_set_passage(grant, passage);
	grant->next = *bucket;
	*bucket = grant;
	grants->n_grants++;
	*ret = grant;
	return 0;
}

void grant_free(struct grant *grant)
{
	passage_free(grant->passage);
	passage_free(grant->wanted);
	holders_done(&grant->holders);
	free(grant);
}

void grant_forget_but_file(struct grant *grant)
{
	struct grants *grants = grant->grants;
	struct grant **link = &grants->buckets[grants_bucket(&grant->source)];

	while (*link != grant)
		link = &(*link)->next;
	*link = grant->next;
	due_queue_remove(&grants->queue, &grant->due);
	door_count_leave(&grants->door_counts, grant->door);
	grants->n_grants--;
	grant_free(grant);
}

void grant_forget(struct grant *grant)
{
	const struct grants *grants = grant->grants;
	int r = store_remove(grants->store, grant->door, &grant->source);

	if (r < 0)
		grants->on_event(grants->userdata, &(struct event){
							   .kind = EVENT_STALE,
							   .door = grant->door,
							   .source = grant->source,
							   .reason = strerror(-r),
						   });
	grant_forget_but_file(grant);
}

struct visitor grant_visitor(const struct grant *grant)
{
	return (struct visitor){
		.source = grant->source,
		.user = grant->user,
		.knock = grant->knock,
		.seconds = grant->seconds,
		.hand = grant->hand,
	};
}

void grant_set_visitor(struct grant *grant, const struct visitor *visitor)
{
	const char *user = visitor->user ? visitor->user : "";

	memmove(grant->user, user, strlen(user) + 1);
	grant->knock = visitor->knock;
	grant->seconds = visitor->seconds;
	grant->hand = visitor->hand;
}

void grant_set_passage(struct grant *grant, struct passage *passage)
{
	passage_free(grant->passage);
	grant->passage = passage;
	grant->kernel_keeps = passage_expires(passage);
}

int door_passage_new(const struct door *door, const struct visitor *visitor, struct passage **ret)
{
	const struct placeholder_values values = placeholder_values(door, visitor);

	return passage_new(&door->opening, &values, ret);
}

bool door_is_for(const struct door *door, const char *user)
{
	return door && (!*user || visitor_host(user) || door_has_user(door, user));
}

bool door_still_opens(const struct door *door, const struct visitor *visitor,
		      const struct passage *passage)
{
	struct passage *now;
	bool same;

	if (!door_is_for(door, visitor->user) || !door_allows(door, &visitor->source) ||
	    door_passage_new(door, visitor, &now) < 0)
		return false;
	same = passage_equal(now, passage);
	passage_free(now);
	return same;
}

void grants_reconcile_by(struct grants *grants, uint64_t at_us)
{
	if (at_us < grants->reconcile_rest_us)
		at_us = grants->reconcile_rest_us;
	if (at_us < grants->reconcile_us)
		grants->reconcile_us = at_us;
}
