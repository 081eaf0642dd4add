#include "firewall/set.h"

#include <errno.h>
#include <string.h>

#include "core/door.h"
#include "core/placeholder.h"
#include "firewall/listing.h"
#include "firewall/passage.h"
#include "firewall/spelling.h"
#include "util/clock.h"

char *set_spell_element(const struct opening *opening, const struct placeholder_values *values)
{
	const struct network network = opening_network(opening, &values->source);
	struct placeholder_values wide = *values;

	wide.network = &network;
	return placeholder_expand(opening->entry, &wide);
}

int set_spell(const struct opening *opening, const struct placeholder_values *values,
	      struct passage *passage)
{
	const char *set = opening->set[address_family(&values->source)];

	if (!set)
		return -EAFNOSUPPORT;
	passage->set = strdup(set);
	passage->element = set_spell_element(opening, values);
	return passage->set && passage->element ? 0 : -ENOMEM;
}

bool set_is_whole(const struct passage *passage)
{
	return passage->set && passage->element;
}

/* Only for elements that are not found as they are spelled: in a set that was flushed, this is
 * cheap. */
static struct spelling *set_note_spelling(const struct listing *listing)
{
	struct spelling *spelling = listing->spelling;

	for (size_t i = 0; !spelling->noted && i < listing->n_items; i++)
		spelling_note(spelling, listing->items[i].key);
	spelling->noted = true;
	return spelling;
}

static bool set_covers(const struct listing *listing, const char *element)
{
	if (set_note_spelling(listing)->wide)
		for (size_t i = 0; i < listing->n_items; i++)
			if (spelling_covers(listing->items[i].key, element))
				return true;
	return false;
}

enum firewall_answer set_find(const struct listing *listing, const struct passage *passage,
			      uint64_t *ret_left_us)
{
	char guess[SPELLING_MAX];
	bool guessed;

	if (listing->n_items == 0)
		return FIREWALL_ABSENT;
	if (listing_find(listing, passage->element, ret_left_us))
		return FIREWALL_PRESENT;
	guessed = spelling_guess(listing->spelling, passage->element, guess);
	if (guessed && listing_find(listing, guess, ret_left_us))
		return FIREWALL_PRESENT;
	return set_covers(listing, passage->element) || (guessed && set_covers(listing, guess))
		       ? FIREWALL_SPELLED
		       : FIREWALL_ABSENT;
}

bool set_knows(const struct listing *listing, const struct passage *passage)
{
	char guess[SPELLING_MAX];

	if (listing->n_items == 0 ||
	    spelling_is_known(set_note_spelling(listing), passage->element))
		return true;
	return spelling_guess(listing->spelling, passage->element, guess) &&
	       spelling_is_known(listing->spelling, guess);
}

uint64_t set_timeout_s(uint64_t left_us)
{
	return left_us > 0 ? left_us / US_PER_S + (left_us % US_PER_S > 0) : 1;
}
