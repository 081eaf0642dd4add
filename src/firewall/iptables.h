/* The changes that backend iptables has under way. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

struct firewall;
struct iptables_job;

/* The job that a child of this owner works for, or NULL. */
struct iptables_job *iptables_find(const struct firewall *firewall, const void *owner);

/* Whether the job only shows what is there: then its end concerns nobody but the listing's asker.
 */
bool iptables_shows(const struct iptables_job *job);

/* The child of this job has ended, with 0 or with a negative errno and firewall->problem. A
 * firewall_progress, or a negative errno; unless it is FIREWALL_PENDING, the job is gone. */
int iptables_continue(struct firewall *firewall, struct iptables_job *job, int error,
		      uint64_t now_us);

/* Gives the job only until then. */
void iptables_hurry(struct iptables_job *job, uint64_t limit_us);

void iptables_free_jobs(struct firewall *firewall);
