#include "daemon/kernel/nf-log.h"

#include <stdio.h>

#include "util/cleanup.h"
#include "util/log.h"

/* With this sysctl on, the LOG rules of every network namespace write to the one kernel log, and
 * where users may create namespaces, each of them is root over their own rules and can have the
 * kernel log any packet with any prefix. Nothing distinguishes that line from a real one. */
static const char all_netns[] = "/proc/sys/net/netfilter/nf_log_all_netns";

void nf_log_check(void)
{
	CLEANUP(cleanup_fclose) FILE *file = fopen(all_netns, "re");

	if (file && getc(file) != '0')
		log_line(LOG_WARNING,
			 "net.netfilter.nf_log_all_netns is on: anybody who may create a network "
			 "namespace can forge knocks; set it to 0");
}
