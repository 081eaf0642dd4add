/* Does anything stand open that the daemon does not know of? */
#include "cli/doctor/checks.h"

#include <stddef.h>
#include <string.h>

#include "cli/common/strays.h"
#include "cli/control/client.h"
#include "cli/doctor/finding.h"
#include "config/config.h"
#include "util/cleanup.h"
#include "util/clock.h"
#include "util/duration.h"

DEFINE_CLEANUP(struct stray_search *, stray_search_free)
DEFINE_CLEANUP(sd_bus *, sd_bus_flush_close_unref)

/* Whoever complains. */
static const struct verb asker = {.name = "doctor"};

static enum status on_open(void *userdata, const struct open_door *door)
{
	return stray_search_know(userdata, door->door, door->source) < 0 ? STATUS_FAILED
									 : STATUS_OK;
}

static int on_stray(void *userdata, const char *door, const char *set, const char *element,
		    uint64_t left_us)
{
	char left[DURATION_TEXT_MAX];

	doctor_say(
		userdata, FINDING_WARNING,
		"the daemon closes such at its next start; if somebody else is meant to put them "
		"there: set_shared = yes",
		"door %s: %s stands in %s for another %s, and is on nobody's record", door, element,
		set, duration_format(left_us / US_PER_S * US_PER_S, left));
	return 0;
}

void doctor_check_members(struct doctor *doctor)
{
	CLEANUP(cleanup_stray_search_free) struct stray_search *search = NULL;
	CLEANUP(cleanup_sd_bus_flush_close_unref) sd_bus *bus = NULL;
	int r;

	if (client_reach(&bus) != STATUS_OK) {
		doctor_say(doctor, FINDING_UNKNOWN, NULL,
			   "the daemon cannot be asked what it has opened");
		return;
	}
	if (stray_search_new(doctor->config, &search) < 0 ||
	    client_each_open(&asker, bus, on_open, search) != STATUS_OK)
		return;
	r = stray_search_run(search, on_stray, doctor);
	if (r != 0)
		doctor_say(doctor, FINDING_UNKNOWN, "run this as root",
			   "not all sets of the doors could be listed");
	else if (doctor->n_said == 0)
		doctor_say(doctor, FINDING_OK, NULL,
			   "the sets of the doors hold nothing for a time but what the daemon has "
			   "opened");
}
