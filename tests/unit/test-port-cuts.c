#include "ruleset/port-cuts.h"

#include <netinet/in.h>
#include <stdio.h>
#include <string.h>

#include "cmocka-all.h"
#include "ruleset/ruleset.h"

static void add_rule(struct chain_view *chain, enum field field, const char *set, uint32_t first,
		     uint32_t last)
{
	struct condition *condition = rule_view_add(chain_add_rule(chain), field, false);

	assert_int_equal(condition_add_range(condition, first, last), 0);
	if (set)
		assert_int_equal(ruleset_set_text(&condition->set, set), 0);
}

/* The pieces of a range, "20-22 23-30". */
static const char *pieces(const struct port_cuts *cuts, uint16_t first, uint16_t last)
{
	static char text[1024];
	const struct port_range range = {first, last, IPPROTO_UDP};
	struct port_range piece = {0};
	char numbers[PORT_RANGE_TEXT_MAX];

	text[0] = '\0';
	while (port_cuts_next(cuts, &range, &piece)) {
		assert_int_equal(piece.protocol, IPPROTO_UDP);
		snprintf(text + strlen(text), sizeof text - strlen(text), "%s%s",
			 text[0] ? " " : "", port_range_numbers(&piece, '-', numbers));
	}
	return text;
}

static void test_cuts(void **state)
{
	struct ruleset ruleset = {0};
	struct chain_view *chain = table_add_chain(ruleset_add_table(&ruleset), "input");
	struct port_cuts cuts;

	(void)state;
	add_rule(chain, FIELD_PORT, NULL, 22, 22);
	add_rule(chain, FIELD_ORIGINAL_PORT, NULL, 100, 200);
	add_rule(chain, FIELD_PORT, "ports", 150, 150);
	add_rule(chain, FIELD_PORT, "expected", 300, 300);
	add_rule(chain, FIELD_SOURCE_PORT, NULL, 400, 500);
	add_rule(chain, FIELD_PORT, NULL, 60000, 65535);
	port_cuts_find(&ruleset, "inet knock expected", &cuts);
	assert_string_equal(
		pieces(&cuts, 1, 65535),
		"1-21 22 23-99 100-149 150 151-200 201-399 400-500 501-59999 60000-65535");
	assert_string_equal(pieces(&cuts, 22, 22), "22");
	assert_string_equal(pieces(&cuts, 10, 30), "10-21 22 23-30");
	assert_string_equal(pieces(&cuts, 65535, 65535), "65535");
	port_cuts_find(&ruleset, NULL, &cuts);
	assert_string_equal(pieces(&cuts, 250, 350), "250-299 300 301-350");
	ruleset_done(&ruleset);
}

int main(void)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(test_cuts)};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
