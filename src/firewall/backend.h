/* The ground that all backends stand on: what each of them implements, and what they share. */
#pragma once

#include "core/address.h"
#include "core/door.h"
#include "firewall/types.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct child_exit;
struct children;
struct listing;
struct passage;
struct placeholder_values;

enum { PROBLEM_MAX = 384 };

/* Commands at the same time; more wait for their turn. Some are reserved for closing. */
enum { FIREWALL_COMMANDS_MAX = 128, FIREWALL_OPENING_MAX = 96 };

struct firewall {
	firewall_done_fn done;
	struct children *children;
	void *state[N_BACKENDS]; /* each backend's own; NULL until it is first needed */
	char problem[PROBLEM_MAX];
};

/* Rows that say so may be NULL. */
struct backend {
	const char *name;
	bool expires; /* the kernel keeps the deadline */
	/* Fills in the passage's fields. 0, -ENOMEM, -EAFNOSUPPORT. */
	int (*spell)(const struct opening *opening, const struct placeholder_values *values,
		     struct passage *passage);
	/* As firewall_make_ready(). 0 or a negative errno: `fn` will not be called for what that
	 * says. NULL: check() will do, which waits for nobody. */
	int (*ready)(struct firewall *firewall, const char *door, const struct opening *opening,
		     uint64_t now_us, firewall_trouble_fn fn, void *userdata);
	/* As firewall.h has them; `problem` is written on error. One family is checked at a time.
	 */
	int (*check)(struct firewall *firewall, const struct opening *opening, enum family family);
	int (*open)(struct firewall *firewall, const struct passage *passage, uint64_t left_us,
		    uint64_t now_us, void *owner);
	int (*close)(struct firewall *firewall, const struct passage *passage, uint64_t now_us,
		     void *owner);
	/* Fills in the listing of the passage's place, whose error is -ENOENT if there is no such
	 * place, and sorts it. FIREWALL_DONE, or FIREWALL_PENDING: the backend has taken the
	 * listing over; or a negative errno. NULL: what is open cannot be listed. */
	int (*list)(struct firewall *firewall, const struct passage *passage,
		    struct listing *listing, uint64_t now_us);
	/* What the listing says; PRESENT, SPELLED or ABSENT. */
	enum firewall_answer (*find)(const struct listing *listing, const struct passage *passage,
				     uint64_t *ret_left_us);
	/* Whether a listing without the passage proves that it is not there: it would be shown by
	 * that name. NULL: always. */
	bool (*knows)(const struct listing *listing, const struct passage *passage);
	/* Whether it is in the firewall although no listing shows it by that name. NULL: listings
	 * are complete. */
	bool (*holds)(struct firewall *firewall, const struct passage *passage);
	bool (*is_whole)(const struct passage *passage);

	/* As the functions of firewall.h by these names. NULL: it has no sets. */
	int (*check_ports)(struct firewall *firewall, const char *set);
	int (*put_ports)(struct firewall *firewall, const char *set,
			 const struct firewall_port *ports, size_t n);
	int (*has_port)(struct firewall *firewall, const char *set, uint16_t port);

	/* Frees the backend's state, which may be NULL. NULL: it has none. */
	void (*free)(void *state);
	/* A child has ended. Whether it was one of this backend's own. NULL: all its children are
	 * owned by whoever asked. */
	bool (*ended)(struct firewall *firewall, const struct child_exit *exit, uint64_t now_us);
	/* As the functions of firewall.h by these names. NULL: nothing to do. */
	void (*process)(struct firewall *firewall, uint64_t now_us);
	uint64_t (*next_us)(const struct firewall *firewall);
	void (*hurry)(struct firewall *firewall, const void *owner, uint64_t kill_at_us);
	void (*forget_ready)(struct firewall *firewall);
};

/* Writes the problem and returns `error`. */
__attribute__((format(printf, 3, 4))) int firewall_fail(struct firewall *firewall, int error,
							const char *format, ...);

/* How a child ended: 0, or a negative errno with the problem in words. -ETIMEDOUT: it was killed.
 */
int backend_explain_exit(const struct child_exit *exit, char problem[static PROBLEM_MAX]);

/* An address of this family, of those for documentation, to rehearse with. */
struct placeholder_values backend_example(const char *door, enum family family);
