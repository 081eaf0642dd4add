/* A rule that is being read: its words, and what has been read of them. */
#pragma once

#include "ruleset/ruleset.h"

enum { WORDS_MAX = 128 };

/* Of -m recent, whose options say only together what it asks. */
struct recent_match {
	bool is_there, negated, is_set;
	uint32_t hits;
};

struct rule_reader {
	const struct table_view *table;
	struct rule_view *rule;
	const char *ipsets;	 /* what `ipset save` has printed */
	const char *save;	 /* all that iptables-save has printed */
	const char *module;	 /* of the options: what -m has named last, or -j */
	struct log_limit hashed; /* of -m hashlimit: by source, or not */
	bool is_by_source;
	struct recent_match recent;
	char *words[WORDS_MAX + 1];
	size_t n, i;
	bool negated;
	bool has_target; /* what comes now is the target's */
};

/* The next word; "" at the end. */
const char *reader_take(struct rule_reader *reader);

/* Adds a condition, negated if that is what the word before the option says. 0 or -ENOMEM. */
int reader_add_number(struct rule_reader *reader, enum field field, uint32_t number);
int reader_add_mask(struct rule_reader *reader, enum field field, uint32_t mask, uint32_t number);

/* "22", "20:25", "22-25": 0, or -EINVAL. */
int reader_read_range(const char *text, uint32_t *ret_first, uint32_t *ret_last);

/* "0x1/0xff", or all bits. */
void reader_read_masked(const char *text, uint32_t *ret_number, uint32_t *ret_mask);
