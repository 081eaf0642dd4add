#include "daemon/kernel/printk-clock.h"

#include "util/clock.h"

#define SPAN_US (60 * US_PER_S)

/* Clocks that count the same oscillator in two ways differ by less than one in so many. */
enum { DRIFT = 5000 };

void printk_clock_learn(struct printk_clock *clock, uint64_t kernel_us, uint64_t raw_us)
{
	int64_t offset_us = (int64_t)(raw_us - kernel_us);

	if (raw_us - clock->lately_us >= SPAN_US) {
		clock->before = clock->lately;
		clock->lately.offset_us = offset_us;
		clock->lately_us = raw_us;
	} else if (offset_us < clock->lately.offset_us) {
		clock->lately.offset_us = offset_us;
	}
	clock->lately.seen_us = raw_us;
}

/* The offset may have grown since. */
static int64_t span_offset_us(const struct printk_span *span, uint64_t raw_us)
{
	return span->offset_us + (int64_t)((raw_us - span->seen_us) / DRIFT);
}

uint64_t printk_clock_age_us(const struct printk_clock *clock, uint64_t kernel_us, uint64_t raw_us)
{
	int64_t before_us = span_offset_us(&clock->before, raw_us);
	int64_t lately_us = span_offset_us(&clock->lately, raw_us);
	int64_t age_us =
		(int64_t)(raw_us - kernel_us) - (before_us < lately_us ? before_us : lately_us);

	return age_us > 0 ? (uint64_t)age_us : 0;
}
