#include "daemon/kernel/nf-log.h"

#include "util/log.h"
#include "util/netns-log.h"

/* With this sysctl on, the LOG rules of every network namespace write to the one kernel log, and
 * where users may create namespaces, each of them is root over their own rules and can have the
 * kernel log any packet with any prefix. Nothing distinguishes that line from a real one. */
static const char sysctl[] = "net.netfilter.nf_log_all_netns";

static void say_for_all(bool is_trusted)
{
	log_line(LOG_WARNING,
		 "%s is on: anybody who may create a network namespace can forge knocks; %s",
		 sysctl,
		 is_trusted ? "they are trusted (trust_all_netns)"
			    : "sequences are refused until it is 0, or with trust_all_netns = yes");
}

bool nf_log_is_for_all(struct nf_log *nf_log, bool is_trusted)
{
	enum netns_log now = netns_log_read();
	bool was_known = nf_log->is_known, was_for_all = nf_log->is_for_all;

	*nf_log = (struct nf_log){.is_known = true, .is_for_all = now == NETNS_LOG_ALL};
	if (nf_log->is_for_all && !was_for_all)
		say_for_all(is_trusted);
	else if (!nf_log->is_for_all && was_for_all)
		log_line(LOG_INFO, "%s is off again", sysctl);
	else if (!was_known && now == NETNS_LOG_NOT_FIRST)
		log_line(LOG_NOTICE,
			 "this network namespace is not the host's: LOG writes nothing here unless "
			 "%s is 1 there",
			 sysctl);
	return nf_log->is_for_all;
}
