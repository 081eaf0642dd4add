#include "daemon/tail.h"

#include <errno.h>
#include <inttypes.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <systemd/sd-id128.h>
#include <time.h>

#include "core/record.h"
#include "daemon/growth.h"
#include "daemon/kernel/doorbell.h"
#include "daemon/kernel/printk-clock.h"
#include "daemon/pace.h"
#include "daemon/position.h"
#include "input/input.h"
#include "util/cleanup.h"
#include "util/clock.h"
#include "util/log.h"

/* Records read at a time: deadlines and signals come in between. */
enum { BATCH = 512 };

/* When to open the journal again after an error. */
#define REOPEN_US US_PER_S

/* How many past records are read again at a start, about a second's work. */
enum { PAST_MAX = 200000 };

struct tail {
	sd_event *event;
	struct input *input;
	struct position *position; /* NULL: there is no room for it */
	sd_event_source *timer, *more;
	struct doorbell *doorbell; /* NULL: there is none */
	struct pace pace;
	size_t n_found;	      /* by this look */
	uint64_t n_kernel;    /* what the count of the kernel's log was before it */
	struct growth missed; /* messages: the kernel's ring may overflow many times a second */
	bool unsettled;	      /* the position could not be written */
	bool lost;	      /* the journal could not be read, and will be opened again */
	struct printk_clock printk_clock;
	tail_record_fn fn;
	void *userdata;
};

DEFINE_CLEANUP(struct tail *, tail_free)

static void tail_look_after(struct tail *tail, uint64_t us)
{
	sd_event_source_set_time(tail->timer, clock_us(CLOCK_MONOTONIC) + us);
	sd_event_source_set_enabled(tail->timer, SD_EVENT_ONESHOT);
}

static void tail_report_missed(struct tail *tail)
{
	uint64_t lost = growth_take(&tail->missed, input_counts(tail->input)->missed);

	if (lost > 0)
		log_line(LOG_WARNING,
			 "the kernel log overran journald: %" PRIu64
			 " messages lost, possibly knocks among them",
			 lost);
}

/* journald announces new entries a quarter of a second late, but an open file shows them at once.
 * So the tail looks by itself. */
static void tail_pause(struct tail *tail, struct pace_gap gap)
{
	tail_look_after(tail, gap.us);
	if (gap.listens)
		doorbell_listen(tail->doorbell);
}

static void tail_rearm(struct tail *tail)
{
	bool answered = input_counts(tail->input)->kernel > tail->n_kernel;

	tail_report_missed(tail);
	tail->lost = false;
	tail_pause(tail,
		   pace_look(&tail->pace, clock_us(CLOCK_MONOTONIC), tail->n_found, answered));
}

static void on_ring(void *userdata)
{
	struct tail *tail = userdata;

	if (!tail->lost)
		tail_pause(tail, pace_ring(&tail->pace, clock_us(CLOCK_MONOTONIC)));
}

/* No content of a journal stops the daemon: it reopens the journal a moment later. */
static void tail_lose(struct tail *tail, int error)
{
	log_line(LOG_ERR, "cannot read the journal: %s; reopening it", strerror(-error));
	tail->lost = true;
	tail_look_after(tail, REOPEN_US);
}

/* Whether printk's clock was this boot's when it was logged. */
static bool is_dated_by_kernel(const struct record *record)
{
	return record->log == 0 && record->monotonic_us > 0;
}

static void tail_hand_on(struct tail *tail, const struct record *record)
{
	tail->n_found++;
	if (is_dated_by_kernel(record) && !record->past)
		printk_clock_learn(&tail->printk_clock, record->kernel_us,
				   clock_us(CLOCK_MONOTONIC_RAW));
	tail->fn(tail->userdata, record);
}

static void tail_read_batch(struct tail *tail)
{
	int r = INPUT_RECORD;

	for (int i = 0; i < BATCH; i++) {
		struct record record;

		r = input_next(tail->input, &record);
		if (r != INPUT_RECORD)
			break;
		tail_hand_on(tail, &record);
	}
	if (r == INPUT_RECORD)
		sd_event_source_set_enabled(tail->more, SD_EVENT_ONESHOT);
	else if (r < 0)
		tail_lose(tail, r);
	else
		tail_rearm(tail);
}

static int on_time(sd_event_source *source, uint64_t time_us, void *userdata)
{
	struct tail *tail = userdata;
	int r = input_follow(tail->input);

	(void)source;
	(void)time_us;
	tail->n_found = 0;
	tail->n_kernel = input_counts(tail->input)->kernel;
	if (r < 0)
		tail_lose(tail, r);
	else
		tail_read_batch(tail);
	return 0;
}

static int on_more(sd_event_source *source, void *userdata)
{
	(void)source;
	tail_read_batch(userdata);
	return 0;
}

static int tail_attach(struct tail *tail)
{
	int r = sd_event_add_time(tail->event, &tail->timer, CLOCK_MONOTONIC, 0, 1, on_time, tail);

	if (r >= 0)
		r = sd_event_add_defer(tail->event, &tail->more, on_more, tail);
	if (r >= 0)
		r = sd_event_source_set_enabled(tail->more, SD_EVENT_OFF);
	return r < 0 ? r : 0;
}

/* Says once which way it looks. */
static int hang_doorbell(struct tail *tail)
{
	int r = doorbell_new(tail->event, on_ring, tail, &tail->doorbell);

	if (r >= 0)
		log_line(LOG_INFO, "woken by the kernel's log (/dev/kmsg)");
	else if (r == -ENODEV)
		log_line(LOG_INFO,
			 "no /dev/kmsg was passed: polling the journal, %d times a second",
			 PACE_LOOKS_PER_S);
	tail->pace.doorbell = r >= 0;
	return r == -ENODEV ? 0 : r;
}

static void tail_open_position(struct tail *tail, const char *directory)
{
	char boot_id[SD_ID128_STRING_MAX] = "unknown";
	sd_id128_t boot;
	int r;

	if (sd_id128_get_boot(&boot) >= 0)
		sd_id128_to_string(boot, boot_id);
	r = position_new(directory, boot_id, &tail->position);
	if (r < 0)
		log_line(
			LOG_WARNING,
			"cannot keep the position in %s: %s; knocks in progress will not survive a restart",
			directory, strerror(-r));
}

/* Where a predecessor stopped reading. False if no position counts; a damaged one is logged. */
static bool tail_find_position(const struct tail *tail, struct input_position *ret)
{
	int r = tail->position ? position_read(tail->position, ret) : -ENOENT;

	/* A time ahead is not of this boot, and would make all records to come past ones. */
	if (r == 0 && ret->monotonic_us > clock_us(CLOCK_MONOTONIC))
		r = -EBADMSG;
	if (r < 0 && r != -ENOENT && r != -ESTALE)
		log_line(LOG_WARNING,
			 "cannot read the position: %s; following the journal from now",
			 r == -EBADMSG ? "it is damaged" : strerror(-r));
	return r == 0;
}

static int tail_open_input(struct tail *tail, uint64_t reach_us)
{
	uint64_t now_us = clock_us(CLOCK_MONOTONIC);
	struct input_position place;
	struct input_live live = {
		.since_us = now_us > reach_us ? now_us - reach_us : 0,
		.n_max = PAST_MAX,
	};
	int r = -ESTALE;

	if (tail_find_position(tail, &place)) {
		live.place = &place;
		r = input_new_live(&live, &tail->input);
		if (r == -ESTALE)
			log_line(LOG_WARNING,
				 "saved position not found in this journal; starting from now");
		live.place = NULL;
	}
	return r == -ESTALE ? input_new_live(&live, &tail->input) : r;
}

int tail_new(sd_event *event, const struct tail_options *options, struct tail **ret)
{
	CLEANUP(cleanup_tail_free) struct tail *tail = calloc(1, sizeof *tail);
	int r;

	if (!tail)
		return -ENOMEM;
	tail->event = sd_event_ref(event);
	tail->fn = options->fn;
	tail->userdata = options->userdata;
	tail_open_position(tail, options->directory);
	r = tail_open_input(tail, options->reach_us);
	if (r < 0) {
		log_line(LOG_ERR, "cannot follow the journal: %s", strerror(-r));
		return r;
	}
	if (!input_sees_files(tail->input))
		log_line(LOG_WARNING, "cannot read any journal file: is systemd-journald "
				      "running, and this user in the group systemd-journal?");
	tail_settle(tail);
	r = tail_attach(tail);
	if (r >= 0)
		r = hang_doorbell(tail);
	if (r < 0) {
		log_line(LOG_ERR, "cannot watch the journal: %s", strerror(-r));
		return r;
	}
	*ret = TAKE_PTR(tail);
	return 0;
}

int tail_listen(struct tail *tail, const struct other_log *logs, size_t n)
{
	tail->pace.hears_logs = n > 0;
	return input_listen(tail->input, logs, n);
}

void tail_hurry(struct tail *tail)
{
	pace_hurry(&tail->pace, clock_us(CLOCK_MONOTONIC));
}

void tail_settle(struct tail *tail)
{
	struct input_position place;
	int r;

	if (!tail->position || !input_position(tail->input, &place))
		return;
	r = position_write(tail->position, &place);
	if (r < 0 && !tail->unsettled)
		log_line(
			LOG_WARNING,
			"cannot write the position: %s; knocks in progress will not survive a restart",
			strerror(-r));
	tail->unsettled = r < 0;
}

static uint64_t since_us(uint64_t then_us, uint64_t now_us)
{
	return then_us > 0 && now_us > then_us ? now_us - then_us : 0;
}

uint64_t tail_age_us(const struct tail *tail, const struct record *record)
{
	uint64_t wall_us = since_us(record->realtime_us, clock_us(CLOCK_REALTIME));
	uint64_t up_us = since_us(record->monotonic_us, clock_us(CLOCK_MONOTONIC));

	uint64_t age_us = wall_us > up_us ? wall_us : up_us, kernel_us = 0;

	if (is_dated_by_kernel(record))
		kernel_us = printk_clock_age_us(&tail->printk_clock, record->kernel_us,
						clock_us(CLOCK_MONOTONIC_RAW));
	return kernel_us > age_us ? kernel_us : age_us;
}

const struct input_counts *tail_counts(const struct tail *tail)
{
	return input_counts(tail->input);
}

struct tail *tail_free(struct tail *tail)
{
	if (tail) {
		doorbell_free(tail->doorbell);
		input_free(tail->input);
		position_free(tail->position);
		sd_event_source_unref(tail->timer);
		sd_event_source_unref(tail->more);
		sd_event_unref(tail->event);
		free(tail);
	}
	return NULL;
}
