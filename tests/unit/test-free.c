/* Whatever can be freed can be freed before it was made: so that one path destroys what is whole
 * and what is half-built. */
#include <stddef.h>

#include "cmocka-all.h"
#include "config/config.h"
#include "config/ini/values.h"
#include "config/listeners.h"
#include "core/engine/automaton.h"
#include "core/engine/engine.h"
#include "core/engine/tracker.h"
#include "core/keyed/keyed.h"
#include "core/keyed/pending.h"
#include "core/keyed/recent.h"
#include "core/keyed/selectors.h"
#include "core/keyed/spa-knocks.h"
#include "core/keyed/token-knocks.h"
#include "core/secret.h"
#include "firewall/firewall.h"
#include "firewall/iptables/batch.h"
#include "firewall/iptables/request.h"
#include "firewall/listing.h"
#include "firewall/passage.h"
#include "format/format.h"
#include "format/pattern.h"
#include "grant/grants.h"
#include "grant/store.h"
#include "input/input.h"
#include "input/log-match.h"
#include "keys/burnt.h"
#include "keys/keyring.h"
#include "keys/one-time.h"
#include "match/keyed.h"
#include "match/matcher.h"
#include "util/children.h"

static void test_nothing_can_be_freed(void **state)
{
	(void)state;
	assert_null(config_free(NULL));
	assert_null(values_free(NULL));
	assert_null(listeners_free(NULL));
	assert_null(automaton_free(NULL));
	assert_null(engine_free(NULL));
	assert_null(tracker_table_free(NULL));
	assert_null(token_knocks_free(NULL));
	assert_null(spa_knocks_free(NULL));
	assert_null(keyed_free(NULL));
	assert_null(pending_tokens_free(NULL));
	assert_null(recent_table_free(NULL));
	assert_null(selectors_free(NULL));
	assert_null(secrets_free(NULL));
	assert_null(firewall_free(NULL));
	assert_null(passage_free(NULL));
	assert_null(iptables_request_free(NULL));
	assert_null(iptables_free(NULL));
	assert_null(listing_free(NULL));
	assert_null(format_free(NULL));
	assert_null(pattern_free(NULL));
	assert_null(grants_free(NULL));
	assert_null(store_free(NULL));
	assert_null(input_free(NULL));
	assert_null(log_match_free(NULL));
	assert_null(burnt_free(NULL));
	assert_null(keyring_free(NULL));
	assert_null(one_time_free(NULL));
	assert_null(keyed_matcher_free(NULL));
	assert_null(matcher_free(NULL));
	assert_null(children_free(NULL));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_nothing_can_be_freed),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
