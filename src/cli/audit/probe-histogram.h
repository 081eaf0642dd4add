/* Probing pressure: how many probes came when, and to which ports. */
#pragma once

#include <stdint.h>

struct sequence;

enum { PROBE_HISTOGRAM_BINS = 120 };

struct probe_histogram {
	uint64_t start_us, end_us; /* what the bins divide into equal parts */
	uint64_t n_probes;
	uint64_t bins[PROBE_HISTOGRAM_BINS];
	uint64_t ports[2][65536]; /* TCP's and UDP's */
};

/* Counts the kernel's records with this prefix, of the journal in `directory` (NULL: this
 * machine's), that were stored in [since, until). If `since_us` is 0, the bins begin at `first_us`
 * or at the first record, whichever is earlier. 0, with a pressure that the caller frees, or a
 * negative errno.
 */
int probe_histogram_read(const char *log_prefix, const char *directory, uint64_t since_us,
			 uint64_t until_us, uint64_t first_us, struct probe_histogram **ret);

/* Takes the ports of a sequence out of `ports`: it is a secret, and people's own knocks would make
 * them stand out. */
void probe_histogram_conceal(struct probe_histogram *histogram, const struct sequence *sequence);
