/* What iptables has under way: requests, gathered into one batch for each chain. */
#pragma once

#include "firewall/iptables/request.h"

#include <stdbool.h>
#include <stdint.h>

struct child_exit;
struct children;
struct iptables;

/* Uses these children. NULL: no memory. */
struct iptables *iptables_new(struct children *children, void *userdata);
struct iptables *iptables_free(struct iptables *iptables);
void *iptables_userdata(const struct iptables *iptables);

/* What is wrong, after iptables_ask() has returned an error. Valid until the next call. */
const char *iptables_problem(const struct iptables *iptables);

/* Takes the request, unless this fails. FIREWALL_PENDING, or a negative errno with the problem
 * written. */
int iptables_ask(struct iptables *iptables, struct iptables_request *request, uint64_t now_us);

/* Ends this owner's request at that time. */
void iptables_hurry(struct iptables *iptables, const void *owner, uint64_t limit_us);

/* Drops the requests that are reported in this way. */
void iptables_forget(struct iptables *iptables, iptables_end_fn on_end);

/* A child has ended. Whether it belonged to iptables. */
bool iptables_continue(struct iptables *iptables, const struct child_exit *exit, uint64_t now_us);

/* Reports what has ended, and goes on with what waits. */
void iptables_process(struct iptables *iptables, uint64_t now_us);

/* When that has to be called at the latest; UINT64_MAX: never. */
uint64_t iptables_next_us(const struct iptables *iptables);
