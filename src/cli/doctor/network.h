/* Where packets from elsewhere come in. */
#pragma once

struct doctor;

/* Fills in the sides of the doctor. */
void doctor_look_at_network(struct doctor *doctor);
