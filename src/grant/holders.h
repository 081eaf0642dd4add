/* Holders of a grant: the keys that have knocked for it, each with a deadline of its own, so that
 * one that is withdrawn takes away what it has opened and nothing else. Within the layer only. */
#pragma once

#include "core/door.h"
#include "core/visitor.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

/* Of more, the one whose deadline is first goes: the door then closes too early, not too late.
 * Those of other hosts go before those who have knocked here. */
enum { HOLDERS_MAX = 16 };

struct holder {
	char user[VISITOR_NAME_MAX + 1]; /* "": nobody's key */
	struct key_id key;		 /* which of the user's; none: unknown */
	uint64_t deadline_us;		 /* CLOCK_BOOTTIME */
	uint64_t stamp_us;		 /* the visitor's, of the last knock */
	uint64_t asked_us, kept_us;	 /* what the firewall was asked for, and has; 0: nothing */
};

/* All zero at first. */
struct holders {
	struct holder *list; /* the order of their last knocks */
	size_t n;
};

void holders_done(struct holders *holders);

/* The visitor has knocked: their key is last in the list now, with the later of its old deadline
 * and this one. 0; -ENOMEM; -ENOBUFS: they are from another host, and there are HOLDERS_MAX of this
 * one. */
int holders_put(struct holders *holders, const struct visitor *visitor, uint64_t deadline_us);

/* The firewall is asked for what they have now; it has what it was asked for; or it has refused
 * that, and goes on with what it had. */
void holders_ask(struct holders *holders);
void holders_keep(struct holders *holders);
void holders_refuse(struct holders *holders);

/* Takes back what they have got since the firewall was asked: who had nothing then is not a holder
 * any more. */
void holders_revert(struct holders *holders);

/* Of the user's keys, at whichever host of the fleet (alice and alice@one are one person), the one
 * with the latest deadline, however long ago that was; or NULL. */
const struct holder *holders_find_person(const struct holders *holders, const char *user);

/* Removes those whom `keep` says no to. Returns how many. */
typedef bool (*holders_keep_fn)(void *userdata, const struct holder *holder);
size_t holders_drop(struct holders *holders, holders_keep_fn keep, void *userdata);

/* The one with the latest deadline, or NULL. */
const struct holder *holders_latest(const struct holders *holders);

/* The same of those who have knocked here, and not at another host of the fleet. */
const struct holder *holders_latest_own(const struct holders *holders);

/* Whether they say more than the name of the grant's user and its deadline do. */
bool holders_need_saving(const struct holders *holders);

/* "USER[/KEY]:DEADLINE_US[:STAMP_US][,...]", the key's id in hexadecimal. Parsing: 0, -EINVAL or
 * -ENOMEM. */
void holders_write(const struct holders *holders, FILE *file);
int holders_parse(const char *text, struct holders *ret);
