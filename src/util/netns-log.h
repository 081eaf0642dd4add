/* Which network namespaces the kernel logs for: net.netfilter.nf_log_all_netns, which the first
 * network namespace alone can see (net/netfilter/nf_log.c). */
#pragma once

enum netns_log {
	NETNS_LOG_UNKNOWN,
	NETNS_LOG_FIRST,     /* for the first one alone, and this is the first */
	NETNS_LOG_ALL,	     /* for all, and this is the first */
	NETNS_LOG_NOT_FIRST, /* this is another: for it perhaps */
};

/* What the calling thread's namespace shows. */
enum netns_log netns_log_read(void);

/* What the first one shows, if any process is in it that can be seen from here, and may be entered:
 * as root of the host. Else unknown, as in a container. */
enum netns_log netns_log_read_of_first(void);
