/* The report: what knocktail fleet, doctor and metrics read, one JSON object in a file. */
#pragma once

#include "fleet/ledger.h"

#include <stdbool.h>
#include <stdint.h>

struct fleet_config;

struct fleet_counts {
	uint64_t verdicts[N_FLEET_VERDICTS]; /* of messages of others */
	uint64_t sent, failed, connections;
};

struct fleet_state {
	const struct fleet_config *config;
	const struct ledger *ledger;
	struct fleet_counts counts;
	bool broker_is_up, daemon_is_there;
	uint64_t since_us, broker_since_us;
	char broker_problem[128]; /* of the last failure, while it is away */
	const char *refusal;	  /* the daemon's last; "": none */
};

/* Writes DIRECTORY/report.json. 0 or a negative errno. */
int fleet_report_write(const char *directory, const struct fleet_state *state, uint64_t now_us);
