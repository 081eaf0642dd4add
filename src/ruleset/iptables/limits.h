/* What the modules limit, hashlimit, connlimit and recent ask. */
#pragma once

struct rule_reader;

/* One option each, whose value comes next. 0 or -ENOMEM. */
int read_limit_rate(struct rule_reader *reader);
int read_limit_burst(struct rule_reader *reader);
int read_hashed_rate(struct rule_reader *reader);
int read_hashed_over(struct rule_reader *reader);
int read_hashed_burst(struct rule_reader *reader);
int read_hashed_mode(struct rule_reader *reader);
int read_hashed_name(struct rule_reader *reader);
int read_hashed_max(struct rule_reader *reader);
int read_hashed_expire(struct rule_reader *reader);
int read_connections_above(struct rule_reader *reader);
int read_connections_up_to(struct rule_reader *reader);
int read_recent_set(struct rule_reader *reader);
int read_recent_check(struct rule_reader *reader);
int read_recent_hits(struct rule_reader *reader);

/* At the end of a module's options: what they say together. 0 or -ENOMEM. */
int limits_place(struct rule_reader *reader);
