/* What this host says to the fleet: what it holds open, what was closed or used here, and that it
 * is there.
 *
 * MUST: nothing that came from the fleet is sent on. MUST: what could not be taken back is not
 * said.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

struct broker;
struct fleet_config;
struct fleet_message;
struct fleet_seal;
struct ledger;
struct local_hold;
struct saving;

struct speaker {
	const struct fleet_config *config;
	const struct fleet_seal *seal;
	struct ledger *ledger;
	struct broker *broker;
	struct saving *saving;
	uint64_t since_us;   /* wall clock: when this program began to speak */
	uint64_t generation; /* of what the daemon holds, as a whole */
	uint64_t twice_us;   /* when it was last reported that another has our name */
	uint64_t n_sent, n_failed;
};

/* What the daemon holds: a change, or between begin and end all of it. */
void speaker_hold(struct speaker *speaker, const struct local_hold *hold);
void speaker_begin(struct speaker *speaker);
void speaker_end(struct speaker *speaker);

/* A knock was used here: of kind BURNT, but for its stamp and host. */
void speaker_burn(struct speaker *speaker, const struct fleet_message *message);

/* That the host is there, for each door that it shares. Returns after how many seconds it is to be
 * said again: later, the more there are, so that no host hears more than one of these a second. */
uint64_t speaker_greet(struct speaker *speaker);

/* All that holds, to a broker that may have forgotten it or missed some of it. */
void speaker_repeat(struct speaker *speaker);

/* Whether the word is in this host's name. */
bool speaker_is_host(const struct speaker *speaker, const struct fleet_message *message);

/* A word in this host's name has come from the broker. `is_kept`: it had it before we came; then
 * what is not so any more is taken back, if `is_daemon_there` and so it is known. Returns whether
 * it is news. */
bool speaker_hear(struct speaker *speaker, const struct fleet_message *message, bool is_kept,
		  bool is_daemon_there);
