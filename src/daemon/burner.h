/* The burner: has knocks that are good once recorded as used, outside of the event loop, which the
 * disk must not hold up. Each of them waits until that is done; everybody else goes on.
 *
 * MUST: nothing is reported as burnt before it is on disk, and nothing that waits is taken a second
 * time. MUST: what waits is bounded, and so is the share that each key and each file has of it. */
#pragma once

#include "match/matcher.h"

#include <systemd/sd-event.h>

struct address;
struct burner;

/* What has become of a match. */
struct burner_result {
	struct match match; /* its problem says why it must open nothing; NULL: it is burnt */
	const char *door;   /* its name */
	uint64_t age_us;    /* now */
	bool is_burnt;	    /* it is on disk now, and was not before */
	bool outdated;	    /* since burner_outdate(): the door's number means nothing any more */
};
typedef void (*burner_fn)(void *userdata, const struct burner_result *result);

/* Tokens and SPA knocks go into this directory, which is made when first needed. 0 or a negative
 * errno. */
int burner_new(sd_event *event, const char *directory, burner_fn fn, void *userdata,
	       struct burner **ret);

/* Finishes what waits, but not forever: what the disk does not take in time is logged. */
struct burner *burner_free(struct burner *burner);

/* Has the match's burn run; `fn` is called from the event loop then. The names are copied. False:
 * nothing is run, and *ret_problem and *ret_refusal say why. */
bool burner_add(struct burner *burner, const struct match *match, const char *door, uint64_t age_us,
		const char **ret_problem, enum refusal *ret_refusal);

/* Has something burnt that was used at another host, and tells nobody. 0; -EALREADY: it waits
 * already; -EAGAIN: too many do; -ENOMEM. */
int burner_add_foreign(struct burner *burner, const struct burn *burn);

/* What waits belongs to an old configuration from now on. */
void burner_outdate(struct burner *burner);

/* The door was closed for this source (NULL: all of them): what waits must not open it. */
void burner_close(struct burner *burner, const char *door, const struct address *source);
