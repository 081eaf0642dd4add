/* What is wrong with the kernel's log, by which knocks come. */
#pragma once

struct doctor;

/* Says what is, and nothing if nothing is. */
void kernel_judge_log(struct doctor *doctor);
