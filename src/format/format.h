/* A format: how one kind of log line is read, a record's text in, a probe out.
 *
 * MUST: read nothing that a remote peer, an ICMP error's quoted packet or a local user can write;
 * the whole line matches, from its first byte to its last, or it is not a probe. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct format;
struct probe;
struct record;

enum format_verdict {
	FORMAT_PROBE,	   /* a packet with ports that came in: the probe is filled in */
	FORMAT_FOREIGN,	   /* not a line of this format at all: another prefix, other text */
	FORMAT_IRRELEVANT, /* a logged packet, but no probe: ICMP, a later fragment, our own */
	FORMAT_DAMAGED,	   /* has the prefix but is cut, over-long, or not as a kernel writes it */
};

/* The lines that LOG of iptables or nft writes with this prefix. 0, -ENOMEM, or -EINVAL: the prefix
 * is empty, longer than FORMAT_PREFIX_MAX bytes, or not printable ASCII. */
enum { FORMAT_PREFIX_MAX = 127 };
int format_new_kernel(const char *prefix, struct format **ret);

/* The same fields where another program has written them: as the kernel does, or as ulogd writes
 * what it has been sent by NFLOG, with a blank behind the prefix. Of TCP options ulogd writes none.
 * As above. */
int format_new_relayed(const char *prefix, struct format **ret);

/* Lines of others, by an expression of PCRE2's that has to match them from their first byte to
 * their last, and names what it finds: (?<SRC>...) and (?<DPT>...), and if it can PROTO (TCP if
 * there is none), DST, SPT, IN and FLAGS (of TCP; SYN if there is none). A line that does not match
 * is foreign. 0; -ENOMEM; -EINVAL: *ret_error says what is wrong with it. */
struct format_error {
	char text[160];
};
int format_new_custom(const char *expression, struct format_error *ret_error, struct format **ret);

/* Whether its probes say where they came in, and where they were sent to. */
bool format_knows_interface(const struct format *format);
bool format_knows_target(const struct format *format);

struct format *format_free(struct format *format);

/* Whether it is how the kernel reports that the table of a limit by source is full: it drops what
 * finds no place there before that is logged. */
bool format_is_full_table(const struct record *record);

/* Whether it is the beginning of such a line: the prefix of the kernel's, or, where there is none,
 * the whole. */
bool format_begins(const struct format *format, const char *text, size_t length);

/* Parses one record's text; its kernel_us becomes the probe's time. Writes *ret_probe on
 * FORMAT_PROBE alone. Never fails: what can't be parsed is FORMAT_DAMAGED. One thread at a time:
 * the format holds the room for a match. */
enum format_verdict format_parse(const struct format *format, const struct record *record,
				 struct probe *ret_probe);
