/* The programs of iptables, run as children of the firewall, and what they read and write. */
#pragma once

#include "core/address.h"

#include <stdbool.h>

struct firewall;

/* "iptables" or "ip6tables", for messages. */
const char *iptables_name(enum family family);

/* Starts `iptables OPTION CHAIN`, whose output goes to a new file. FIREWALL_PENDING, or a negative
 * errno with the problem written: -EAGAIN if too many children run, and never -ENOENT, which would
 * say that there is no such chain. The child has no time limit before children_limit(). */
int iptables_start_list(struct firewall *firewall, enum family family, const char *option,
			const char *chain, void *owner, int *ret_fd);

/* Starts `iptables-restore --noflush [OPTION]` with that text. As above. */
int iptables_start_restore(struct firewall *firewall, enum family family, const char *option,
			   const char *text, void *owner);

/* All that a listing's child has written, to be freed. 0; -ENOMEM; -EFBIG: more than anybody's
 * chain has; -EIO: it was cut short. */
int iptables_read_list(int fd, char **ret);

/* Whether a listing failed, in these words, because there is no such chain, or because one of that
 * name is none of iptables': the nft variant, 1.8.9, says the same of both. */
bool iptables_says_absent(const char *problem);
