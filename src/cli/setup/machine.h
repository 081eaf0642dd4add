/* What setup suggests, by what this machine is now. */
#pragma once

#include "cli/setup/answer.h"
#include "core/opening/ports.h"

enum { SETUP_SEQUENCE_STEPS = 4, SETUP_SEQUENCE_MAX = SETUP_SEQUENCE_STEPS * sizeof "65535, " };

/* Which kind of rules goes with the firewall that runs, or with the programs that are there. */
const char *machine_firewall(void);

/* The ports at which others reach this machine, but for these: "80/tcp,443/tcp", or "none". */
void machine_open_ports(const struct port_set *guarded, char ret[static ANSWER_MAX]);

/* A sequence that nobody knows, of ports at which nothing listens, not ascending. */
void machine_sequence(char ret[static SETUP_SEQUENCE_MAX]);
