/* What the tests of grants share: the grants themselves in a directory of their own, the news that
 * they report, a clock that stands still, and doors. Whatever goes wrong here fails the test. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "cmocka-all.h"
#include "core/address.h"
#include "core/door.h"
#include "core/visitor.h"
#include "grant/grants.h"

#define S UINT64_C(1000000)

/* When every test begins. */
#define T0 (1000 * S)

#define COMMAND(...)  ((char *[]){__VA_ARGS__, NULL})
#define TEXT(literal) ((char *)(literal))

#define GRANT_TEST(function) cmocka_unit_test_setup_teardown(function, set_up, tear_down)

extern const char boot_id[];
extern const char A[], B[], C6[]; /* addresses */

extern bool permitted; /* to have a network of one's own; for main() to set */

struct fixture {
	char *directory; /* for whatever a test needs; the state files are in its "grants" */
	char *records;
	char *mark;  /* what doors of mark_door() make */
	char *count; /* grows by a byte each time their start command runs */
	struct grants *grants;
	char news[32768]; /* not yet expected */
	char own[64];	  /* of the last event: who here holds the door, how long, since when */
	struct hand hand; /* and whose hand it was */
};

int set_up(void **state);
int tear_down(void **state);

/* New grants over the state files that are there. The old ones are the caller's to free. */
void make_grants(struct fixture *fixture, const char *boot);

struct address address(const char *text);

/* A door of commands for both families. */
struct door command_door(const char *name, uint64_t timeout_s, char **start, char **stop);

struct door true_door(const char *name, uint64_t timeout_s);

/* Opening it makes the file `mark`, closing it removes it and fails if it is not there. */
struct door mark_door(const struct fixture *fixture, uint64_t timeout_s);

/* Over the set "kt" of with_sets(). */
extern const struct door ipset_door;

/* A network with that set alone, or the test is skipped. */
struct fixture *with_sets(void **state);

void open_door(struct fixture *fixture, const struct door *door, const char *source,
	       uint64_t now_us);

/* All the news since the last time: "EVENT DOOR SOURCE LEFT[: REASON]", a line each. A pattern's
 * last line may end in "..." for any reason. */
void expect_news(struct fixture *fixture, const char *expected);

/* Runs until so many lines of news are there, with the clock standing still. */
void await_news(struct fixture *fixture, size_t n, uint64_t now_us);

/* The same until so many grants are left. */
void await_count(struct fixture *fixture, size_t n, uint64_t now_us);

bool has_record(const struct fixture *fixture, const char *name);
uint64_t recorded_deadline(const struct fixture *fixture, const char *name);
void put_record(const struct fixture *fixture, const char *name, const char *text);
size_t count_starts(const struct fixture *fixture);

struct door_list {
	const struct door *doors;
	size_t n;
};

/* A grants_find_fn over a struct door_list. Users whose names begin with x may open nothing any
 * more. */
const struct door *find_door(void *userdata, const char *name, const char *user,
			     const struct key_id *key);

/* Takes over what is on record, with no door in the configuration. */
int inherit(struct grants *grants, uint64_t now_us);
