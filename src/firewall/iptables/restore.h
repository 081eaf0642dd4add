/* Rules as `iptables -S` prints them and as iptables-restore reads them. Texts are to be freed;
 * NULL: out of memory. */
#pragma once

#include "firewall/iptables/request.h"

#include <stdint.h>

struct passage;

/* The rules that open it there, one for each of its ports. They match to the end of that second. */
char *iptables_spell_rules(const struct passage *passage, enum iptables_place place,
			   uint64_t deadline_s);

/* A transaction that makes, of what the listing shows, what the requests want; *ret is NULL if
 * there is nothing to do. Of two for the same door and source, the later one counts. Without a
 * listing, there is no chain: it is created if a request has rules, and otherwise the kernel is
 * asked to confirm. Writes into the listing. 0 or -ENOMEM. */
int iptables_compile(const char *chain, const struct iptables_request *requests, char *listing,
		     char **ret);

/* A transaction that adds the rules of all the requests, for `--test`. */
char *iptables_compile_test(const char *chain, const struct iptables_request *requests);
