#include "daemon/nf-log.h"

#include <stdio.h>

#include "util/cleanup.h"
#include "util/log.h"

/* With this sysctl on, the LOG rules of every network namespace write to the one kernel log, and
 * where users may make namespaces, each of them is root over the rules of his own: he can have the
 * kernel log any packet with any prefix, and nothing tells that line from a real one. */
static const char all_netns[] = "/proc/sys/net/netfilter/nf_log_all_netns";

void nf_log_check(void)
{
	CLEANUP(cleanup_fclose) FILE *file = fopen(all_netns, "re");

	if (file && getc(file) != '0')
		log_line(LOG_WARNING,
			 "net.netfilter.nf_log_all_netns is on: whoever may make a network "
			 "namespace can forge knocks; set it to 0");
}
