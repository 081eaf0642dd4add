/* How the kernel spells the elements of a set, which may differ from how the configuration does:
 * "192.0.2.1,22" is shown as "192.0.2.1,tcp:22", "192.0.2.1 . ssh" as "192.0.2.1 . 22". */
#pragma once

#include <stdbool.h>
#include <stddef.h>

enum {
	SPELLING_MAX = 512,
	SPELLING_FORMS_MAX = 16,
	SPELLING_NAMES_MAX = 4,
	SPELLING_NAME_MAX = 92
};

/* What is known of one set's elements; all zero at first. */
struct spelling {
	bool noted; /* for who uses it: whether the elements have been noted */
	bool wide;  /* networks or ranges are among them, whose forms are not kept */
	char *forms[SPELLING_FORMS_MAX]; /* of its elements, such as "* . 22" */
	size_t n_forms;
	struct {
		char name[SPELLING_NAME_MAX];
		unsigned port;	     /* 0: none */
	} names[SPELLING_NAMES_MAX]; /* of services, looked up before */
	size_t n_names;
};

/* Notes the form of an element; one too many or too long for the room is left out. */
void spelling_note(struct spelling *spelling, const char *element);
void spelling_done(struct spelling *spelling);

/* Whether the kernel spells the element as it is: it is nothing but an address, or its other parts
 * have been noted as they are here. */
bool spelling_is_known(const struct spelling *spelling, const char *element);

/* Writes how the kernel shows the element if its names are those of services and a number alone is
 * that of a TCP port. Of a range of ports the first stands for all. False: no different from what
 * it is, or too long. */
bool spelling_guess(struct spelling *spelling, const char *element,
		    char guess[static SPELLING_MAX]);

/* Whether the element of a set with networks and ranges ("192.0.2.0/24 . 1-1024") takes in the
 * other one. */
bool spelling_covers(const char *wide, const char *element);
