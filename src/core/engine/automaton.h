/* An automaton that finds many sequences in one stream of symbols, one look-up a symbol.
 *
 * A. V. Aho and M. J. Corasick, "Efficient string matching: an aid to bibliographic search",
 * Communications of the ACM 18 (1975). The goto function is one hash table over (node, symbol). */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct automaton;
struct sequence;
struct step;

enum { AUTOMATON_ROOT = 0, AUTOMATON_NONE = UINT32_MAX };

/* Compiles the sequences; their positions in the array are their numbers from here on. They are not
 * kept. 0; -ENOMEM; -E2BIG: their nodes are more than AUTOMATON_NODES_MAX. */
enum { AUTOMATON_NODES_MAX = 1 << 23 };
int automaton_new(const struct sequence *const *sequences, size_t n, struct automaton **ret);
struct automaton *automaton_free(struct automaton *automaton);

/* The longest of the sequences. */
size_t automaton_depth(const struct automaton *automaton);

/* The node after `step` was seen at `node`. */
uint32_t automaton_next(const struct automaton *automaton, uint32_t node, const struct step *step);

/* Whether each packet to this port counts, even right after another one: some sequence has it twice
 * in a row, or has no other. */
bool automaton_counts_each(const struct automaton *automaton, const struct step *step);

/* Whether the last step on the way to the node was this one; not of the root. */
bool automaton_is_after(const struct automaton *automaton, uint32_t node, const struct step *step);

/* Prefetches into the cache what automaton_next() needs. Has no other effect. */
void automaton_expect(const struct automaton *automaton, uint32_t node, const struct step *step);

/* The steps that lead from the root to a node, which are the last that were seen there. Returns how
 * many: at most the automaton's depth. */
size_t automaton_path(const struct automaton *automaton, uint32_t node, struct step *ret_steps);

/* How many steps lead to a node, and a sequence that begins with them; of the root it is NONE. */
size_t automaton_depth_at(const struct automaton *automaton, uint32_t node);
uint32_t automaton_whole(const struct automaton *automaton, uint32_t node);

/* The sequences that end at a node, longest first: start with automaton_first(), go on until
 * AUTOMATON_NONE. */
struct automaton_end {
	uint32_t sequence; /* its number, or AUTOMATON_NONE */
	uint32_t node;	   /* where it ends */
};
struct automaton_end automaton_first(const struct automaton *automaton, uint32_t node);
struct automaton_end automaton_another(const struct automaton *automaton, struct automaton_end end);

/* How many steps the sequence has that ends there. */
size_t automaton_length(const struct automaton *automaton, struct automaton_end end);
