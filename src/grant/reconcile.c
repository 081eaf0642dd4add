#include "grant/reconcile.h"

#include <stdbool.h>

#include "firewall/firewall.h"
#include "firewall/passage.h"
#include "grant/grant.h"
#include "grant/table.h"

/* What one thing in a listing adds to the time until the next one. Listing it costs some 10 us
 * (nft) or less: reconciling takes no more than a few hundredths of a processor. */
#define ITEM_US UINT64_C(250)

/* However much there is, it is listed after this time. */
#define RECONCILE_MAX_US UINT64_C(30000000)

static void on_listed(void *userdata, struct listing *listing, uint64_t now_us)
{
	struct grants *grants = userdata;

	grants->reconcile_cost += listing_cost(listing);
	FOR_EACH_GRANT (grants, grant) {
		enum firewall_answer answer;
		uint64_t left_us = 0;

		if (!grant->being_listed || !listing_covers(listing, grant->passage))
			continue;
		grant->being_listed = false;
		answer = firewall_ask(grants->firewall, listing, grant->passage, &left_us);
		grant_found(grant, answer, left_us, grant->listed_us, now_us);
	}
}

static bool is_being_listed(struct grants *grants, const struct passage *passage)
{
	FOR_EACH_GRANT (grants, grant)
		if (grant->being_listed && passage_shares_place(grant->passage, passage))
			return true;
	return false;
}

static void grants_mark_listed(struct grants *grants, const struct passage *passage,
			       bool being_listed, uint64_t now_us)
{
	FOR_EACH_GRANT (grants, grant) {
		if (!grant_should_show(grant, now_us) ||
		    !passage_shares_place(grant->passage, passage))
			continue;
		grant->being_listed = being_listed;
		grant->listed_us = now_us;
	}
}

static void reconcile_place(struct grants *grants, const struct passage *passage, uint64_t now_us)
{
	if (is_being_listed(grants, passage))
		return;
	grants_mark_listed(grants, passage, true, now_us);
	if (firewall_list(grants->firewall, passage, now_us, on_listed, grants) < 0)
		grants_mark_listed(grants, passage, false, now_us);
}

/* Until the next time, which is assumed to cost as much as the last. */
static uint64_t reconcile_take_period(struct grants *grants)
{
	uint64_t cost = grants->reconcile_cost;

	grants->reconcile_cost = 0;
	if (cost > (RECONCILE_MAX_US - RECONCILE_US) / ITEM_US)
		return RECONCILE_MAX_US;
	return RECONCILE_US + cost * ITEM_US;
}

void reconcile_run(struct grants *grants, uint64_t now_us)
{
	bool is_needed = false;

	if (grants->reconcile_us > now_us)
		return;
	FOR_EACH_GRANT (grants, grant) {
		is_needed = is_needed || grant->kernel_keeps;
		if (grant->listed_us < now_us && grant_should_show(grant, now_us))
			reconcile_place(grants, grant->passage, now_us);
	}
	grants->reconcile_us = UINT64_MAX;
	grants->reconcile_rest_us = now_us + reconcile_take_period(grants);
	if (is_needed)
		grants_reconcile_by(grants, grants->reconcile_rest_us);
}
