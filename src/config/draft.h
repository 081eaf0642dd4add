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
};

struct draft_door {
	const struct ini_section *section;
	bool whole; /* nothing that it says is wrong: its values can be judged */
};

/* Reads all values, of which it drops unknown ones from `ini`, and complains about each that is
 * wrong or missing. 0 even then, or a negative errno. */
int draft_build(struct ini *ini, struct complaints *complaints, struct draft *ret);

/* Finds the log that each door names, and complains if there is none. */
void draft_link_logs(struct draft *draft, struct complaints *complaints);

/* Complains about what is wrong or doubtful between the values of one door. */
void draft_check_doors(const struct draft *draft, struct complaints *complaints);

/* The same between doors: two with one tag in SPA knocks. 0, or -ENOMEM. */
int draft_check_tags(const struct draft *draft, struct complaints *complaints);

/* The same between doors: too many filters, knocks within knocks. 0, or -ENOMEM. */
int draft_check_knocks(const struct draft *draft, struct complaints *complaints);

/* Warns of steps that this machine listens on; `proc_net` as in listeners_read(). 0, or -ENOMEM. */
int draft_check_ports(const struct draft *draft, const char *proc_net,
		      struct complaints *complaints);

/* Frees what it owns. */
void draft_done(struct draft *draft);
