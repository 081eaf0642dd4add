/* How much of what comes in is logged. Every rule that is printed has these limits, etc/ and doc/
 * too, and the doctor measures others by them. Whoever invents sources must not be able to
 * keep others out of the log (a full table, a share used up), nor to turn the journal over. */
#pragma once

/* Of each source: a burst that holds the longest knock, and a rate that no scanner fills a disk
 * with. */
#define LIMIT_SOURCE_RATE "30/minute"
enum { LIMIT_SOURCE_BURST = 32 };

/* So many new sources a second must not fill the table of the sources. */
enum { LIMIT_SOURCES_PER_S = 5000 };

/* nft: sources share slots by a hash that nobody else can compute, so there is no table that could
 * be full. For a moment a slot may be there twice, until the one that has expired is collected. */
enum { LIMIT_SLOTS = 65536, LIMIT_SLOTS_MAX = 2 * LIMIT_SLOTS };

/* iptables: a place in the table for each source. Half of the burst has come back when it expires.
 */
enum { LIMIT_TABLE_BUCKETS = 16384, LIMIT_TABLE_MAX = 262144, LIMIT_TABLE_EXPIRE_MS = 30000 };

/* Of all sources together, behind the limits by source: what those new sources may have logged. */
#define LIMIT_ALL_RATE "5000/second"
enum { LIMIT_ALL_BURST = 10000 };

/* What a line costs in the journal; measured. */
enum { LIMIT_LINE_BYTES = 630 };
