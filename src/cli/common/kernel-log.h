/* The kernel's log, by which probes come: whether it has any of this machine's, who else writes to
 * it, and who reads it. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

struct config;
struct door;

enum { KERNEL_LOG_TEXT_MAX = 256 };

enum kernel_log_fault {
	KERNEL_LOG_WORKS,
	KERNEL_LOG_UNSEEN,  /* it cannot be seen whether it works */
	KERNEL_LOG_FORGED,  /* whoever makes a network namespace opens the door */
	KERNEL_LOG_REFUSED, /* so the daemon does not open it by sequences */
	KERNEL_LOG_NOTHING, /* nothing is logged for any door */
};

/* What is wrong with it for knocks at the door; the text says it. */
enum kernel_log_fault kernel_log_judge(const struct config *config, const struct door *door,
				       char text[static KERNEL_LOG_TEXT_MAX]);

/* Whether every user of this machine can read how the door is opened. 1: the text says so; 0; or a
 * negative errno: that cannot be seen. */
int kernel_log_tells(const struct door *door, char text[static KERNEL_LOG_TEXT_MAX]);

/* Whether a program takes what is logged to this group of NFLOG. 1; 0; or a negative errno: that
 * cannot be seen. */
int kernel_log_is_heard(unsigned nflog_group);

/* What the journal has with the prefix of the configuration: of the kernel, and what doors' logs
 * have of it by another way. */
struct kernel_log_count {
	uint64_t n_probes, n_damaged;
};

/* Of the last 24 hours. 0; -EACCES: no file of the journal can be read; another negative errno. */
int kernel_log_count(const struct config *config, struct kernel_log_count *ret);

/* Whether there are any probes in it, as far as it can be read. */
bool kernel_log_has_probes(const struct config *config);
