#include "cli/common/expected.h"

#include "config/config.h"
#include "core/keyed/expected.h"
#include "match/matcher.h"

bool config_listens_for(const struct config *config, unsigned auth)
{
	for (size_t i = 0; i < config->n_doors; i++)
		if (filter_is_logged_here(&config->doors[i].knock.filter) &&
		    config->doors[i].auth & auth)
			return true;
	return false;
}

int config_count_expected(const struct config *config, size_t *ret)
{
	struct matcher *matcher;
	int r = matcher_new(config, MATCH_DRY_RUN, NULL, &matcher);

	if (r < 0)
		return r;
	*ret = expected_ports_count(matcher_expected(matcher));
	matcher_free(matcher);
	return 0;
}
