#include "input/log-match.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "core/other-log.h"
#include "util/cleanup.h"

struct claim {
	char *text; /* "FIELD=value" */
	size_t length;
	uint32_t origin;
	uint32_t field; /* a bit for each field that the origin names */
};

struct claims {
	size_t n_origins, n_claims;
	uint32_t needed[ORIGINS_MAX], seen[ORIGINS_MAX]; /* fields, by origin */
	struct claim claims[];
};

DEFINE_CLEANUP(struct claims *, claims_free)

struct claims *claims_free(struct claims *claims)
{
	if (!claims)
		return NULL;
	for (size_t i = 0; i < claims->n_claims; i++)
		free(claims->claims[i].text);
	free(claims);
	return NULL;
}

static size_t count(const struct origin *origins, size_t n)
{
	size_t n_matches = 0;

	for (size_t i = 0; i < n; i++)
		for (char **match = origins[i].matches; *match; match++)
			n_matches++;
	return n_matches;
}

/* The bit of the claim's field, which is a new one if no other claim of the origin has it. */
static uint32_t field_of(const struct claims *claims, const struct claim *claim)
{
	size_t length = strcspn(claim->text, "=") + 1;

	for (size_t i = 0; i < claims->n_claims; i++) {
		const struct claim *other = &claims->claims[i];

		if (other->origin == claim->origin &&
		    strncmp(other->text, claim->text, length) == 0)
			return other->field;
	}
	return claims->needed[claim->origin] + 1;
}

static int add(struct claims *claims, uint32_t origin, const char *match)
{
	struct claim claim = {.text = strdup(match), .length = strlen(match), .origin = origin};

	if (!claim.text)
		return -ENOMEM;
	claim.field = field_of(claims, &claim);
	claims->needed[origin] |= claim.field;
	claims->claims[claims->n_claims++] = claim;
	return 0;
}

int claims_new(const struct origin *origins, size_t n, struct claims **ret)
{
	CLEANUP(cleanup_claims_free)
	struct claims *claims =
		calloc(1, sizeof *claims + count(origins, n) * sizeof(struct claim));

	if (!claims)
		return -ENOMEM;
	claims->n_origins = n;
	for (uint32_t i = 0; i < n; i++)
		for (char **match = origins[i].matches; *match; match++)
			if (add(claims, i, *match) < 0)
				return -ENOMEM;
	*ret = TAKE_PTR(claims);
	return 0;
}

void claims_start(struct claims *claims)
{
	memset(claims->seen, 0, sizeof claims->seen);
}

void claims_show(struct claims *claims, const char *data, size_t length)
{
	for (size_t i = 0; i < claims->n_claims; i++) {
		const struct claim *claim = &claims->claims[i];

		if (claim->length == length && memcmp(claim->text, data, length) == 0)
			claims->seen[claim->origin] |= claim->field;
	}
}

uint32_t claims_result(const struct claims *claims)
{
	uint32_t result = 0;

	for (size_t i = 0; i < claims->n_origins; i++)
		if (claims->seen[i] == claims->needed[i])
			result |= UINT32_C(1) << i;
	return result;
}

int claims_match(const struct claims *claims, sd_journal *journal)
{
	uint32_t origin = UINT32_MAX;
	int r = 0;

	for (size_t i = 0; r >= 0 && i < claims->n_claims; i++) {
		const struct claim *claim = &claims->claims[i];

		if (claim->origin != origin)
			r = sd_journal_add_disjunction(journal);
		if (r >= 0)
			r = sd_journal_add_match(journal, claim->text, claim->length);
		origin = claim->origin;
	}
	return r < 0 ? r : 0;
}
