#include "grant/reconcile.h"

#include <stdbool.h>

#include "firewall/firewall.h"
#include "firewall/passage.h"
#include "grant/grant.h"

/* What one thing that is shown adds to the time until the next survey. Asking for it costs some 10
 * us (nft) or less: a survey takes no more than a few hundredths of a processor. */
#define ITEM_US UINT64_C(250)

/* However much there is, it is asked for after this time. */
#define SURVEY_MAX_US UINT64_C(30000000)

void survey_by(struct grants *grants, uint64_t at_us)
{
	if (at_us < grants->survey_rest_us)
		at_us = grants->survey_rest_us;
	if (at_us < grants->survey_us)
		grants->survey_us = at_us;
}

static void on_listed(void *userdata, struct listing *listing, uint64_t now_us)
{
	struct grants *grants = userdata;

	grants->survey_cost += listing_cost(listing);
	FOR_EACH_GRANT (grants, grant) {
		enum firewall_answer answer;
		uint64_t left_us = 0;

		if (!grant->surveying || !listing_covers(listing, grant->passage))
			continue;
		grant->surveying = false;
		answer = firewall_ask(grants->firewall, listing, grant->passage, &left_us);
		grant_found(grant, answer, left_us, grant->surveyed_us, now_us);
	}
}

static bool is_being_asked(struct grants *grants, const struct passage *passage)
{
	FOR_EACH_GRANT (grants, grant)
		if (grant->surveying && passage_shares_place(grant->passage, passage))
			return true;
	return false;
}

static void mark(struct grants *grants, const struct passage *passage, bool surveying,
		 uint64_t now_us)
{
	FOR_EACH_GRANT (grants, grant) {
		if (!grant_should_show(grant, now_us) ||
		    !passage_shares_place(grant->passage, passage))
			continue;
		grant->surveying = surveying;
		grant->surveyed_us = now_us;
	}
}

static void ask(struct grants *grants, const struct passage *passage, uint64_t now_us)
{
	if (is_being_asked(grants, passage))
		return;
	mark(grants, passage, true, now_us);
	if (firewall_list(grants->firewall, passage, now_us, on_listed, grants) < 0)
		mark(grants, passage, false, now_us);
}

/* Until the next survey, whose cost is taken to be the last one's. */
static uint64_t take_period(struct grants *grants)
{
	uint64_t cost = grants->survey_cost;

	grants->survey_cost = 0;
	if (cost > (SURVEY_MAX_US - SURVEY_US) / ITEM_US)
		return SURVEY_MAX_US;
	return SURVEY_US + cost * ITEM_US;
}

void survey_run(struct grants *grants, uint64_t now_us)
{
	bool is_needed = false;

	if (grants->survey_us > now_us)
		return;
	FOR_EACH_GRANT (grants, grant) {
		is_needed = is_needed || passage_expires(grant->passage);
		if (grant->surveyed_us < now_us && grant_should_show(grant, now_us))
			ask(grants, grant->passage, now_us);
	}
	grants->survey_us = UINT64_MAX;
	grants->survey_rest_us = now_us + take_period(grants);
	if (is_needed)
		survey_by(grants, grants->survey_rest_us);
}
