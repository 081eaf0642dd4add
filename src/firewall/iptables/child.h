/* The programs of iptables, run as children, and what they read and write. */
#pragma once

#include "core/address.h"
#include "firewall/backend.h"

#include <stdbool.h>

struct children;

/* "iptables" or "ip6tables", for messages. */
const char *iptables_name(enum family family);

/* Starts `iptables -t TABLE OPTION CHAIN`, whose output goes to a new file. FIREWALL_PENDING, or a
 * negative errno with the problem written: -EAGAIN if too many children run, and never -ENOENT,
 * which would say that there is no such chain. The child has no time limit before children_limit().
 */
int iptables_start_list(struct children *children, enum family family, const char *table,
			const char *option, const char *chain, void *owner,
			char problem[static PROBLEM_MAX], int *ret_fd);

/* Starts `iptables-restore --noflush [OPTION]` with that text. As above. */
int iptables_start_restore(struct children *children, enum family family, const char *option,
			   const char *text, void *owner, char problem[static PROBLEM_MAX]);

/* All that a listing's child has written, to be freed. 0; -ENOMEM; -EFBIG: more than anybody's
 * chain has; -EIO: it was cut short. */
int iptables_read_list(int fd, char **ret);

/* Whether a listing failed, in these words, because there is no such chain, or because one of that
 * name does not belong to iptables: the nft variant, 1.8.9, says the same of both. */
bool iptables_says_absent(const char *problem);
