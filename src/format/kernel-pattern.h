/* The pattern of a line that LOG of iptables or nft wrote, without its prefix. */
#pragma once

/* PCRE2 syntax, for PCRE2_NO_AUTO_CAPTURE. Every line that the kernel writes matches whole. IN is
 * always captured and may be empty. PROTO, SRC, DST, SPT, DPT and FLAGS (empty for UDP) are
 * captured together, and only from a TCP or UDP packet whose ports the line has; OPT holds its TCP
 * options. */
extern const char kernel_pattern[];

/* The same, and what ulogd makes of it. */
extern const char relayed_pattern[];
