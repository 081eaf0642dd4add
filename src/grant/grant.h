/* One grant: the state machine that opens, renews and closes a door for one source. Within the
 * layer only. */
#pragma once

#include "firewall/types.h"
#include "grant/holders.h"

#include <stdbool.h>
#include <stdint.h>

struct door;
struct grant;
struct grant_view;
struct visitor;

/* Doors that cannot be closed are opened this often again, and no more. */
enum { GRANT_OPENED_MAX = 100 };

/* How many commands may run for one door, so that one whose commands hang leaves room for others.
 */
enum { GRANT_COMMANDS_MAX = 32 };

/* Begins: saved first, then in the firewall. The grant may be gone when this returns, as with all
 * of these. */
void grant_start(struct grant *grant, uint64_t now_us);

/* A predecessor has opened it. Unless it is overdue, reconciling shows whether it still is. */
void grant_adopt(struct grant *grant, uint64_t now_us);

/* Whether the firewall should have it now, and for more than a moment. */
bool grant_should_show(const struct grant *grant, uint64_t now_us);

/* The firewall was asked at `asked_us`, and this is its answer. */
void grant_found(struct grant *grant, enum firewall_answer answer, uint64_t left_us,
		 uint64_t asked_us, uint64_t now_us);

/* Another knock: of an open one, which moves the deadline, or of one that is being closed, after
 * which it is opened again as the door is now. */
void grant_knock(struct grant *grant, const struct door *door, const struct visitor *visitor,
		 uint64_t now_us);

/* Those holders alone hold it whom `keep` says yes to; it lasts as long as the last of them has it,
 * and ends if none is left. */
void grant_keep_holders(struct grant *grant, holders_keep_fn keep, void *userdata, uint64_t now_us);

/* How the outside sees it, valid as long as the grant. */
void grant_view(const struct grant *grant, uint64_t now_us, struct grant_view *ret);

/* Its deadline is now; grants_run() closes it. */
void grant_end(struct grant *grant, uint64_t now_us);

/* The same for a clean stop: what is still due stays saved. */
void grant_suspend(struct grant *grant, uint64_t now_us);

/* Opens again what grant_suspend() had closed. */
void grant_resume(struct grant *grant, uint64_t now_us);

/* Whether it is open by all that is known. */
bool grant_is_open(const struct grant *grant);

/* What is due is done. */
void grant_run(struct grant *grant, uint64_t now_us);

/* A command has ended: firewall_done_fn, the owner being the grant. */
void grant_on_command_end(void *owner, int error, const char *problem, uint64_t now_us);
