/* Where packets from elsewhere come in. */
#pragma once

struct doctor;

/* Fills in the sides of the doctor, and what is around it, which is to be forgotten. */
void doctor_look_at_network(struct doctor *doctor);
void doctor_forget_network(struct doctor *doctor);
