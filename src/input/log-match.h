/* Claims: which origins an entry of the journal belongs to. Within the layer only. */
#pragma once

#include <stddef.h>
#include <stdint.h>
#include <systemd/sd-journal.h>

struct claims;
struct origin;

/* Copies what it needs of the origins, at most ORIGINS_MAX. 0 or -ENOMEM. */
int claims_new(const struct origin *origins, size_t n, struct claims **ret);
struct claims *claims_free(struct claims *claims);

/* To be shown an entry's data, each "FIELD=value", after the start. */
void claims_start(struct claims *claims);
void claims_show(struct claims *claims, const char *data, size_t length);

/* The origins whose matches all hold, as bits: 1 << 0 for the first. Of several matches of one
 * field one has to. */
uint32_t claims_result(const struct claims *claims);

/* Lets the journal show what the origins claim, beside what it shows by its matches. 0 or a
 * negative errno. */
int claims_match(const struct claims *claims, sd_journal *journal);
