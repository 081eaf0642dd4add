/* What the doctor says of the fleet. */
#pragma once

struct doctor;

/* As those of cli/doctor/checks.h. */
void doctor_check_fleet(struct doctor *doctor);
