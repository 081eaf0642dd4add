#include "core/engine/automaton.h"

#include <errno.h>
#include <stdlib.h>

#include "core/sequence.h"

struct node {
	uint32_t parent;
	uint32_t symbol; /* on the edge from the parent */
	uint32_t
		shorter; /* the nearest node on the chain of fails where a sequence ends, or NONE */
	uint32_t ends;	 /* the first sequence that ends here, or NONE */
	uint32_t whole;	 /* the first sequence that leads through here */
	uint8_t depth;
};

struct edge {
	uint32_t from, symbol; /* the latter 0: free */
	uint32_t to;
};

/* What each probe needs is apart from the rest, so that more of it stays in the cache. */
struct automaton {
	struct edge *edges; /* open addressing; at most half full */
	size_t edge_mask;
	uint32_t *fails; /* by node: the longest proper suffix that is a node too */
	uint8_t *ends;	 /* a bit for each node: some sequence ends there, or at a suffix */
	struct node *nodes;
	size_t n_nodes;
	uint32_t *also; /* by sequence: the next one that ends at the same node, or NONE */
	size_t depth;
};

/* Never 0. */
static uint32_t symbol_of(const struct step *step)
{
	return (uint32_t)step->protocol << 16 | step->port;
}

/* The finalizer of SplitMix64 (Steele, Lea, Flood 2014); the keys come from the configuration, so
 * nobody can aim at its collisions. */
static uint64_t hash_mix(uint64_t x)
{
	x = (x ^ x >> 30) * 0xbf58476d1ce4e5b9u;
	x = (x ^ x >> 27) * 0x94d049bb133111ebu;
	return x ^ x >> 31;
}

static size_t first_slot(const struct automaton *automaton, uint32_t from, uint32_t symbol)
{
	return hash_mix((uint64_t)from << 32 | symbol) & automaton->edge_mask;
}

/* The edge, or the free slot where it belongs. */
static struct edge *edge_slot(const struct automaton *automaton, uint32_t from, uint32_t symbol)
{
	size_t i = first_slot(automaton, from, symbol);

	while (automaton->edges[i].symbol &&
	       (automaton->edges[i].symbol != symbol || automaton->edges[i].from != from))
		i = (i + 1) & automaton->edge_mask;
	return &automaton->edges[i];
}

static bool edge_find(const struct automaton *automaton, uint32_t from, uint32_t symbol,
		      uint32_t *ret_to)
{
	const struct edge *edge = edge_slot(automaton, from, symbol);

	if (!edge->symbol)
		return false;
	*ret_to = edge->to;
	return true;
}

static uint32_t step_from(const struct automaton *automaton, uint32_t node, uint32_t symbol)
{
	uint32_t to;

	while (!edge_find(automaton, node, symbol, &to)) {
		if (node == AUTOMATON_ROOT)
			return AUTOMATON_ROOT;
		node = automaton->fails[node];
	}
	return to;
}

static uint32_t add_node(struct automaton *automaton, uint32_t parent, uint32_t symbol,
			 uint32_t number)
{
	struct edge *edge = edge_slot(automaton, parent, symbol);

	if (!edge->symbol) {
		*edge = (struct edge){parent, symbol, (uint32_t)automaton->n_nodes++};
		automaton->nodes[edge->to] = (struct node){
			.parent = parent,
			.symbol = symbol,
			.shorter = AUTOMATON_NONE,
			.ends = AUTOMATON_NONE,
			.whole = number,
			.depth = (uint8_t)(automaton->nodes[parent].depth + 1),
		};
	}
	return edge->to;
}

static void add_sequence(struct automaton *automaton, uint32_t number,
			 const struct sequence *sequence)
{
	uint32_t node = AUTOMATON_ROOT;

	for (size_t i = 0; i < sequence->n_steps; i++)
		node = add_node(automaton, node, symbol_of(&sequence->steps[i]), number);
	automaton->also[number] = automaton->nodes[node].ends;
	automaton->nodes[node].ends = number;
	if (sequence->n_steps > automaton->depth)
		automaton->depth = sequence->n_steps;
}

static bool is_counted(const struct sequence *sequence, size_t i)
{
	return sequence->n_steps == 1 ||
	       (i > 0 && symbol_of(&sequence->steps[i]) == symbol_of(&sequence->steps[i - 1]));
}

/* The symbols of which each counts are edges, too: from nowhere. */
static void note_counted(struct automaton *automaton, const struct sequence *sequence)
{
	for (size_t i = 0; i < sequence->n_steps; i++) {
		uint32_t symbol = symbol_of(&sequence->steps[i]);

		if (is_counted(sequence, i))
			*edge_slot(automaton, AUTOMATON_NONE, symbol) =
				(struct edge){AUTOMATON_NONE, symbol, AUTOMATON_NONE};
	}
}

/* Level by level, so that a node's fail is linked before it is needed. */
static void link_fails(struct automaton *automaton)
{
	for (size_t depth = 1; depth <= automaton->depth; depth++) {
		for (size_t i = 1; i < automaton->n_nodes; i++) {
			struct node *node = &automaton->nodes[i];
			uint32_t *fail = &automaton->fails[i];

			if (node->depth != depth)
				continue;
			if (depth > 1)
				*fail = step_from(automaton, automaton->fails[node->parent],
						  node->symbol);
			node->shorter = automaton->nodes[*fail].ends != AUTOMATON_NONE
						? *fail
						: automaton->nodes[*fail].shorter;
			if (node->ends != AUTOMATON_NONE || node->shorter != AUTOMATON_NONE)
				automaton->ends[i / 8] |= (uint8_t)(1 << i % 8);
		}
	}
}

static int automaton_allocate(struct automaton *automaton, size_t n_sequences, size_t n_steps,
			      size_t n_counted)
{
	size_t n_edges = 16;

	while (n_edges < 2 * (n_steps + n_counted))
		n_edges *= 2;
	automaton->edge_mask = n_edges - 1;
	automaton->edges = calloc(n_edges, sizeof *automaton->edges);
	automaton->fails = calloc(n_steps + 1, sizeof *automaton->fails);
	automaton->nodes = calloc(n_steps + 1, sizeof *automaton->nodes);
	automaton->also = calloc(n_sequences + 1, sizeof *automaton->also);
	automaton->ends = calloc(n_steps / 8 + 1, sizeof *automaton->ends);
	return automaton->edges && automaton->fails && automaton->ends && automaton->nodes &&
			       automaton->also
		       ? 0
		       : -ENOMEM;
}

int automaton_new(const struct sequence *const *sequences, size_t n, struct automaton **ret)
{
	struct automaton *automaton = calloc(1, sizeof *automaton);
	size_t n_steps = 0, n_counted = 0;

	if (!automaton)
		return -ENOMEM;
	for (size_t i = 0; i < n; i++) {
		n_steps += sequences[i]->n_steps;
		for (size_t j = 0; j < sequences[i]->n_steps; j++)
			n_counted += is_counted(sequences[i], j);
	}
	if (n_steps >= AUTOMATON_NODES_MAX) {
		automaton_free(automaton);
		return -E2BIG;
	}
	if (automaton_allocate(automaton, n, n_steps, n_counted) < 0) {
		automaton_free(automaton);
		return -ENOMEM;
	}

	automaton->nodes[AUTOMATON_ROOT].ends = AUTOMATON_NONE;
	automaton->nodes[AUTOMATON_ROOT].whole = AUTOMATON_NONE;
	automaton->nodes[AUTOMATON_ROOT].shorter = AUTOMATON_NONE;
	automaton->n_nodes = 1;
	for (size_t i = 0; i < n; i++) {
		add_sequence(automaton, (uint32_t)i, sequences[i]);
		note_counted(automaton, sequences[i]);
	}
	link_fails(automaton);
	*ret = automaton;
	return 0;
}

struct automaton *automaton_free(struct automaton *automaton)
{
	if (automaton) {
		free(automaton->nodes);
		free(automaton->edges);
		free(automaton->also);
		free(automaton->ends);
		free(automaton->fails);
		free(automaton);
	}
	return NULL;
}

size_t automaton_depth(const struct automaton *automaton)
{
	return automaton->depth;
}

uint32_t automaton_next(const struct automaton *automaton, uint32_t node, const struct step *step)
{
	return step_from(automaton, node, symbol_of(step));
}

bool automaton_counts_each(const struct automaton *automaton, const struct step *step)
{
	return edge_slot(automaton, AUTOMATON_NONE, symbol_of(step))->symbol != 0;
}

bool automaton_is_after(const struct automaton *automaton, uint32_t node, const struct step *step)
{
	return node != AUTOMATON_ROOT && automaton->nodes[node].symbol == symbol_of(step);
}

void automaton_expect(const struct automaton *automaton, uint32_t node, const struct step *step)
{
	__builtin_prefetch(&automaton->edges[first_slot(automaton, node, symbol_of(step))]);
}

size_t automaton_path(const struct automaton *automaton, uint32_t node, struct step *ret_steps)
{
	size_t n = automaton->nodes[node].depth;

	for (size_t i = n; i > 0; i--) {
		uint32_t symbol = automaton->nodes[node].symbol;

		ret_steps[i - 1].protocol = (uint8_t)(symbol >> 16);
		ret_steps[i - 1].port = (uint16_t)symbol;
		node = automaton->nodes[node].parent;
	}
	return n;
}

static struct automaton_end end_at(const struct automaton *automaton, uint32_t node)
{
	struct automaton_end end = {.sequence = AUTOMATON_NONE, .node = node};

	if (node != AUTOMATON_NONE)
		end.sequence = automaton->nodes[node].ends;
	return end;
}

struct automaton_end automaton_first(const struct automaton *automaton, uint32_t node)
{
	struct automaton_end end;

	if (!(automaton->ends[node / 8] >> node % 8 & 1))
		return end_at(automaton, AUTOMATON_NONE);
	end = end_at(automaton, node);
	return end.sequence != AUTOMATON_NONE ? end
					      : end_at(automaton, automaton->nodes[node].shorter);
}

struct automaton_end automaton_another(const struct automaton *automaton, struct automaton_end end)
{
	end.sequence = automaton->also[end.sequence];
	return end.sequence != AUTOMATON_NONE
		       ? end
		       : end_at(automaton, automaton->nodes[end.node].shorter);
}

size_t automaton_depth_at(const struct automaton *automaton, uint32_t node)
{
	return automaton->nodes[node].depth;
}

uint32_t automaton_whole(const struct automaton *automaton, uint32_t node)
{
	return automaton->nodes[node].whole;
}

size_t automaton_length(const struct automaton *automaton, struct automaton_end end)
{
	return automaton->nodes[end.node].depth;
}
