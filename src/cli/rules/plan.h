/* A plan: what the firewall needs for a configuration, whatever kind of firewall it is. */
#pragma once

#include "core/door.h"
#include "core/opening/ports.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>

struct config;

/* The flags of TCP packets that have to be logged; their number is bounded by that of the filters.
 */
enum { PLAN_FLAGS_MAX = 33 };
struct plan_flags {
	uint8_t set, clear;
	bool is_new; /* conntrack calls such a packet new, not invalid */
};

struct plan {
	const struct config *config;
	struct port_set open; /* what is open to everybody */
	struct plan_flags flags[PLAN_FLAGS_MAX];
	size_t n_flags;
	bool log_options;     /* of TCP: SPA knocks are in them */
	unsigned nflog_group; /* to which it is logged by NFLOG; 0: to the kernel's log */
	/* The set of the expected ports, which are logged ahead of all limits by source; NULL: no
	 * knock is expected, or these rules cannot look it up. */
	const char *expected;
	bool expected_alone; /* and nothing else has to be logged */
};

enum variant {
	VARIANT_IPSET,
	VARIANT_IPTABLES,
	VARIANT_UFW,
	VARIANT_NFT,
	VARIANT_FIREWALLD,
	N_VARIANTS
};

/* As they are called on the command line; NULL ends them. */
extern const char *const variant_names[];

/* Reads the keys, too. 0; -EINVAL: rules of this variant cannot open some door, which has been said
 * on standard error; another negative errno. */
int plan_make(const struct config *config, const struct port_set *open, unsigned nflog_group,
	      enum variant variant, struct plan *ret);

/* A packet's headers and some more: what a peer makes longer costs no more. */
enum { PLAN_NFLOG_BYTES = 256 };

/* The iptables chain that incoming packets go to, the one that logs, and the rule that leads to the
 * former; the chains of what is behind this machine (rules/forward.h); the chain that logs within
 * ufw; and the chains in nft's table. */
#define PLAN_IPTABLES_INPUT   "KNOCKTAIL_INPUT"
#define PLAN_IPTABLES_LOG     "KNOCKTAIL_LOG"
#define PLAN_IPTABLES_JUMP    "-A INPUT -j " PLAN_IPTABLES_INPUT
#define PLAN_IPTABLES_FORWARD "KNOCKTAIL_FORWARD"
#define PLAN_IPTABLES_DOCKER  "KNOCKTAIL_DOCKER"
#define PLAN_IPTABLES_NAT     "KNOCKTAIL_NAT"
#define PLAN_IPTABLES_BACK    "KNOCKTAIL_BACK"
#define PLAN_UFW_LOG	      "knocktail-log"
#define PLAN_NFT_INPUT	      "knocktail_input"
#define PLAN_NFT_LOG	      "knocktail_log"
#define PLAN_NFT_FORWARD      "knocktail_forward"
#define PLAN_NFT_NAT	      "knocktail_nat"
#define PLAN_NFT_BACK	      "knocktail_back"

/* Writes the rules, with comments, ready to load. */
void plan_print_ipset(const struct plan *plan, FILE *file);
void plan_print_iptables(const struct plan *plan, FILE *file);
void plan_print_ufw(const struct plan *plan, FILE *file);
void plan_print_nft(const struct plan *plan, FILE *file);
void plan_print_firewalld(const struct plan *plan, FILE *file);

/* What one of them writes, to be freed; NULL: no memory. */
char *plan_to_text(const struct plan *plan, void (*printer)(const struct plan *plan, FILE *file));

/* Which of ufw's files a part of its rules belongs into; the chains of IPv6 have other names. */
enum ufw_part { UFW_BEFORE, UFW_AFTER, N_UFW_PARTS };
void plan_print_ufw_part(const struct plan *plan, enum ufw_part part, enum family family,
			 FILE *file);

/* The parts of "FAMILY TABLE SET". */
struct nft_name {
	char family[8], table[64], set[64];
};
void nft_name_split(const char *set, struct nft_name *ret);

/* The table that the rules for nft go into. */
void plan_nft_table(const struct plan *plan, struct nft_name *ret);

/* Whether a set of the family has been named by an earlier door; each is made once. */
bool plan_is_first(const struct plan *plan, size_t door, enum family family);

/* Writes each chain of the doors of the backend iptables once, of those that forward or of all
 * others, with what stands before and after it. */
void plan_put_chains(const struct plan *plan, bool forward, const char *before, const char *after,
		     FILE *file);

/* Writes "SYN,ACK SYN", as iptables takes flags. */
void plan_put_flags(const struct plan_flags *flags, FILE *file);
