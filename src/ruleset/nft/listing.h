/* nft rules as people write them: what `nft -a list ruleset` prints. */
#pragma once

struct ruleset;

/* Adds what each rule of nft says to its text. 0 or -ENOMEM. */
int ruleset_name_nft(struct ruleset *ruleset, const char *listing);
