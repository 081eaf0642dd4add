/* Whether a packet is what a rule asks for. */
#pragma once

#include "ruleset/condition.h"

#include <stdbool.h>

struct condition;
struct packet;
struct rule_view;
struct situation;

/* All conditions of the rule. */
enum answer answer_conditions(const struct situation *situation, const struct rule_view *rule);

/* Its limits: whether it does something to what comes seldom. */
enum answer answer_limits(const struct packet *packet, const struct rule_view *rule);

/* Whether the rule has a limit of any kind. */
bool answer_is_limited(const struct rule_view *rule);

/* Whether it lets in who is in the packet's set, which may be none. */
bool answer_asks_for_set(const struct situation *situation, const struct rule_view *rule);
