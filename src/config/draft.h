/* A configuration while it is being read: each door with where it stands in the file. */
#pragma once

#include <stdbool.h>
#include <stddef.h>

struct complaints;
struct config;
struct ini;
struct ini_section;

struct draft {
	struct config *config;
	struct draft_door *doors; /* as config->doors, and as many */
	unsigned prefix_line;	  /* where log_prefix stands */
};

struct draft_door {
	const struct ini_section *section;
	bool whole; /* nothing that it says is wrong: its values can be judged */
};

/* Reads all values, of which it drops unknown ones from `ini`, and complains about each that is
 * wrong or missing. 0 even then, or a negative errno. */
int draft_build(struct ini *ini, struct complaints *complaints, struct draft *ret);

/* Frees what it owns. */
void draft_done(struct draft *draft);
