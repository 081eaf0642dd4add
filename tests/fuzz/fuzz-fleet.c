/* Any bytes as a message of the fleet, sealed by somebody who has the key, and as a fleet.conf:
 * what is a message has one form, and what is not sealed is nothing. */
#include <sodium.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "fleet/config.h"
#include "fleet/ledger.h"
#include "fleet/seal.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void require(bool holds)
{
	if (!holds)
		abort();
}

static void fuzz_message(const uint8_t plain[static FLEET_PLAIN_SIZE],
			 const struct fleet_seal *seal)
{
	uint8_t again[FLEET_PLAIN_SIZE], sealed[SEALED_SIZE];
	char topic[FLEET_TOPIC_SIZE];
	struct fleet_message message, opened;
	struct ledger_entry *entry;
	struct ledger *ledger;
	uint64_t old_us;

	if (fleet_decode(plain, &message) < 0)
		return;
	fleet_encode(&message, again);
	require(memcmp(plain, again, sizeof again) == 0);
	fleet_seal_topic(seal, &message, topic);
	require(!strpbrk(topic + strlen("knocktail/1/f/"), "+#\n"));
	fleet_seal_close(seal, &message, sealed);
	require(fleet_seal_open(seal, topic, sealed, sizeof sealed, &opened) == 0);
	require(ledger_new("me", &ledger) == 0);
	if (ledger_take(ledger, &opened, message.stamp_us, &entry, &old_us) == FLEET_ACCEPTED)
		require(ledger_find(ledger, &message) == entry);
	ledger_free(ledger);
}

static void on_complaint(void *userdata, unsigned line, const char *text)
{
	(void)line;
	require(text[0] != '\0');
	(*(unsigned *)userdata)++;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const struct secret key = {{7}};
	static struct fleet_seal *seal;
	struct fleet_config *config;
	struct fleet_message message;
	unsigned n_complaints = 0;

	if (!seal)
		require(sodium_init() >= 0 && fleet_seal_new(&key, "f", &seal) == 0);
	require(fleet_seal_open(seal, "knocktail/1/f/a/0", data, size, &message) < 0);
	if (size == FLEET_PLAIN_SIZE)
		fuzz_message(data, seal);
	if (fleet_config_parse((const char *)data, size, on_complaint, &n_complaints, &config) ==
	    0) {
		require(n_complaints == 0);
		fleet_config_free(config);
	} else {
		require(n_complaints > 0);
	}
	return 0;
}
