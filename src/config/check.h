/* Checks of what each door says, once all of it has been read. */
#pragma once

struct complaints;
struct draft;

/* Finds the log that each door names, and complains if there is none. */
void draft_link_logs(struct draft *draft, struct complaints *complaints);

/* Complains about what is wrong or doubtful between the values of one door. */
void draft_check_doors(const struct draft *draft, struct complaints *complaints);

/* Warns of steps that this machine listens on; `proc_net` as in listeners_read(). 0, or -ENOMEM. */
int draft_check_ports(const struct draft *draft, const char *proc_net,
		      struct complaints *complaints);
