/* Any bytes as what iptables-save or nft prints: a packet gets through what is read of it, somehow.
 */
#include "ruleset/iptables/iptables.h"
#include "ruleset/nft/listing.h"
#include "ruleset/nft/nft.h"
#include "ruleset/nft/owner.h"
#include "ruleset/packet.h"
#include "ruleset/ruleset.h"
#include "ruleset/walk.h"

#include <netinet/in.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "core/probe.h"
#include "util/cleanup.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const bool nothing[N_FAMILIES];
	char *text CLEANUP(cleanup_free) = strndup((const char *)data, size);
	struct ruleset ruleset CLEANUP(ruleset_done) = {0};
	struct packet packet = {.protocol = IPPROTO_TCP,
				.flags = TCP_FLAG_SYN,
				.port = 22,
				.state = PACKET_NEW,
				.set = "s",
				.interface = "eth0"};
	struct address target = {.bytes = {[10] = 0xff, [11] = 0xff, [12] = 10}};
	struct walk walk;

	packet.target = &target;
	if (!text)
		return 0;
	if (text[0] == '{') {
		ruleset_is_foreign(text, "ip", "filter");
		ruleset_add_nft(&ruleset, text, nothing);
	} else {
		ruleset_add_iptables(&ruleset, FAMILY_IPV4, "iptables", text, text);
	}
	ruleset_walk(&ruleset, &packet, "[k] ", &walk);
	if (!walk.accepted.is_possible && !walk.fallen.is_possible && !walk.dropped.is_possible)
		abort();
	ruleset_name_nft(&ruleset, text);
	return 0;
}
