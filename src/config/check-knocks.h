/* Checks of what the doors say together. */
#pragma once

struct complaints;
struct draft;

/* Complains about two doors with one tag in SPA knocks. 0, or -ENOMEM. */
int draft_check_tags(const struct draft *draft, struct complaints *complaints);

/* Complains about too many filters, and about knocks within knocks. 0, or -ENOMEM. */
int draft_check_knocks(const struct draft *draft, struct complaints *complaints);
