/* The rules for what is behind this machine: the doors that forward, and those that guard what
 * Docker publishes. */
#pragma once

#include <stdbool.h>
#include <stdio.h>

struct config;
struct plan;

/* Rules that lead to our chains in iptables, and whether the configuration needs them. */
struct forward_jump {
	const char *table, *from, *to;
	bool is_first; /* before what is there: else behind it */
	bool (*is_needed)(const struct config *config);
};
extern const struct forward_jump forward_jumps[]; /* ends where `to` is NULL */

/* Docker's chain for rules of others. */
#define DOCKER_USER "DOCKER-USER"

/* Whether any door does so. */
bool forward_any(const struct config *config);
bool forward_any_docker(const struct config *config);

/* For the table filter: the chains, and what is in them; and the table nat, if there is need of it.
 */
void forward_put_chains(const struct plan *plan, FILE *file);
void forward_put_filter(const struct plan *plan, FILE *file);
void forward_put_nat(const struct plan *plan, FILE *file);

/* For nft, in the table of all else: the chains, the commands that end those of a configuration
 * before, and what is in them. */
void forward_put_nft_chains(const struct plan *plan, FILE *file);
void forward_put_nft_commands(const struct plan *plan, const char *table, FILE *file);
void forward_put_nft_rules(const struct plan *plan, FILE *file);

/* Takes out of what plan_print_iptables() has written each jump that the text of a table, as
 * iptables-save writes it, has: there it would be twice. NULL: all of them. */
void forward_omit_jumps(char *text, const char *loaded);
