/* printk's clock: how long ago the kernel itself says that it logged something, whatever journald
 * has made of it since.
 *
 * It counts as CLOCK_MONOTONIC_RAW does, but where they stand to each other is not for certain:
 * they drift, and a machine that sleeps or is paused may stop one of them. So that is learnt from
 * what arrives. Whoever reads late makes a message look older and none younger: the youngest of the
 * last two minutes that have seen any message is new. */
#pragma once

#include <stdint.h>

/* All zero at first: both began when the machine did. */
struct printk_clock {
	struct printk_span {
		int64_t offset_us; /* from printk's clock to ours, of the youngest message */
		uint64_t seen_us;  /* when the last one came */
	} before, lately;
	uint64_t lately_us; /* when that began */
};

/* A message of this boot has just been read that was logged at `kernel_us` of printk's clock. */
void printk_clock_learn(struct printk_clock *clock, uint64_t kernel_us, uint64_t raw_us);

/* How long ago the message was logged, at least. */
uint64_t printk_clock_age_us(const struct printk_clock *clock, uint64_t kernel_us, uint64_t raw_us);
