/* The rules that iptables-save and ip6tables-save print. */
#pragma once

#include "core/address.h"

struct ruleset;

/* Appends what is printed; `name` is the program's, for people; `ipsets` is what `ipset save`
 * prints (NULL: not known). 0 or -ENOMEM. */
int ruleset_add_iptables(struct ruleset *ruleset, enum family family, const char *name,
			 const char *text, const char *ipsets);

/* The tables that iptables has, of each family. */
enum { N_IPTABLES_TABLES = 5 };
struct iptables_table {
	const char *name;
	int priority;
};
extern const struct iptables_table ruleset_iptables_tables[N_IPTABLES_TABLES];
