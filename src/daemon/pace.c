#include "daemon/pace.h"

#include "util/clock.h"

/* The tick that rings the doorbell wakes journald, too, which mostly has the line in the journal
 * before the first look. If not, each further look comes when the line is half as late again. */
#define FIRST_US UINT64_C(300)

/* After something was found, for what the same ring was for and journald stored a little later.
 * Then ever more rarely. */
#define AGAIN_US     UINT64_C(1000)
#define SLEEP_US     UINT64_C(250000)
#define SLOWER_TIMES 10

/* A doorbell that always rings saves nothing: so long without a pause, and the tail looks by
 * itself, until half a pause has passed. */
#define BUSY_US	 UINT64_C(100000)
#define PAUSE_US UINT64_C(10000)

/* Without a doorbell, and for logs whose lines do not ring: at a price that does not matter while
 * nothing happens, and more often after each probe. */
#define LOOK_US	     (US_PER_S / PACE_LOOKS_PER_S)
#define HURRY_US     UINT64_C(2000)
#define HURRY_FOR_US UINT64_C(2000000)

/* A look costs as much as some twenty records. Where every look finds more than that, fewer looks
 * do. */
#define FLOOD_US UINT64_C(5000)
enum { FLOOD = 20 };

static uint64_t within(uint64_t us, uint64_t min_us, uint64_t max_us)
{
	return us < min_us ? min_us : us > max_us ? max_us : us;
}

static void pace_stir(struct pace *pace, uint64_t now_us)
{
	if (now_us - pace->stirred_us > PAUSE_US)
		pace->busy_since_us = now_us;
	pace->stirred_us = now_us;
}

static uint64_t pace_gap_us(const struct pace *pace, uint64_t now_us)
{
	uint64_t quiet_us = now_us - pace->stirred_us;
	uint64_t max_us = pace->hears_logs ? LOOK_US : SLEEP_US;

	if (!pace->doorbell)
		return now_us < pace->hurry_until_us ? HURRY_US : LOOK_US;
	if (quiet_us < PAUSE_US / 2 && now_us - pace->busy_since_us >= BUSY_US)
		return HURRY_US;
	return pace->awaits ? within(quiet_us / 2, FIRST_US, max_us)
			    : within(quiet_us * SLOWER_TIMES, AGAIN_US, max_us);
}

/* Before a look that comes soon, nothing needs to ring. */
static struct pace_gap pace_gap(const struct pace *pace, uint64_t now_us)
{
	uint64_t us = pace_gap_us(pace, now_us);

	return (struct pace_gap){us, pace->doorbell && us > HURRY_US};
}

struct pace_gap pace_ring(struct pace *pace, uint64_t now_us)
{
	pace->awaits = true;
	pace_stir(pace, now_us);
	return pace_gap(pace, now_us);
}

struct pace_gap pace_look(struct pace *pace, uint64_t now_us, size_t n_records, bool answered)
{
	if (answered)
		pace->awaits = false;
	if (answered || n_records > 0)
		pace_stir(pace, now_us);
	return n_records > FLOOD ? (struct pace_gap){FLOOD_US, false} : pace_gap(pace, now_us);
}

void pace_hurry(struct pace *pace, uint64_t now_us)
{
	pace->hurry_until_us = now_us + HURRY_FOR_US;
}
