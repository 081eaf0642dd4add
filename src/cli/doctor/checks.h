/* The checks of the doctor, which its table runs. */
#pragma once

struct doctor;

/* Each says at least one thing, unless the doctor is terse. */
void doctor_check_journal(struct doctor *doctor);
void doctor_check_journald(struct doctor *doctor);
void doctor_check_ruleset(struct doctor *doctor);
void doctor_check_expected(struct doctor *doctor);
void doctor_check_neighbours(struct doctor *doctor);
void doctor_check_log(struct doctor *doctor);
void doctor_check_limit(struct doctor *doctor);
void doctor_check_records(struct doctor *doctor);
void doctor_check_readers(struct doctor *doctor);
void doctor_check_daemon(struct doctor *doctor);
void doctor_check_members(struct doctor *doctor);
void doctor_check_target(struct doctor *doctor);
void doctor_check_accept(struct doctor *doctor);
void doctor_check_closed(struct doctor *doctor);
void doctor_check_established(struct doctor *doctor);
void doctor_check_drop(struct doctor *doctor);
void doctor_check_boot(struct doctor *doctor);
void doctor_check_keys(struct doctor *doctor);
void doctor_check_clock(struct doctor *doctor);
