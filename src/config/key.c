#include "config/key.h"

#include <string.h>

#include "config/parse/parse.h"
#include "config/text.h"
#include "core/door.h"
#include "core/engine/engine.h"
#include "core/keyed/keyed.h"
#include "core/other-log.h"
#include "util/clock.h"

#define US_PER_MS UINT64_C(1000)
#define US_PER_H  (3600 * US_PER_S)

#define OPTION(field) .section = SECTION_OPTIONS, .offset = offsetof(struct config, field)
#define DOOR(field)   .section = SECTION_DOOR, .offset = offsetof(struct door, field)
#define LOG(field)    .section = SECTION_LOG, .offset = offsetof(struct other_log, field)
#define WHOLE_DOOR    .section = SECTION_DOOR
#define ONLY(backend) .backends = 1U << BACKEND_##backend

/* No wider than what a registry gives to one provider. */
#define GRANT_PREFIX(backend)                                                                      \
	{OPENING_PREFIX_KEY,                                                                       \
	 DOOR(opening.prefix[FAMILY_IPV4]),                                                        \
	 .parse = parse_prefix_length,                                                             \
	 ONLY(backend),                                                                            \
	 .min = 8,                                                                                 \
	 .max = 32},                                                                               \
	{                                                                                          \
		OPENING_PREFIX_KEY_6, DOOR(opening.prefix[FAMILY_IPV6]),                           \
			.parse = parse_prefix_length, ONLY(backend), .min = 19, .max = 128         \
	}

#define FORWARD(backend)                                                                           \
	{"forward", DOOR(opening.forward[FAMILY_IPV4]), .parse = parse_forward, ONLY(backend)},    \
		{"forward_6", DOOR(opening.forward[FAMILY_IPV6]), .parse = parse_forward_6,        \
		 ONLY(backend)},                                                                   \
	{                                                                                          \
		"masquerade", DOOR(opening.masquerade), .parse = parse_choice, ONLY(backend),      \
							.fallback = "no", .choices = no_or_yes     \
	}

const char *const section_names[] = {"options", "door", "log", NULL};

#define BACKEND_NAME(NAME, name) #name,
const char *const backend_names[] = {BACKENDS(BACKEND_NAME) NULL};
static const char *const on_stop_names[] = {"close", "keep", NULL};
static const char *const no_or_yes[] = {"no", "yes", NULL};
static const char *const log_forms[] = {
	[LOG_FORM_PATTERN] = "pattern", [LOG_FORM_KERNEL] = "kernel", [N_LOG_FORMS] = NULL};
static const char *const bind_names[] = {
	[BIND_NO] = "no", [BIND_OPTIONAL] = "optional", [BIND_YES] = "yes", NULL};

/* The order matters once: backend stands before the keys that belong to one. Such a key may have a
 * row for each. */
const struct config_key keys[] = {
	{"log_prefix", OPTION(log_prefix), .parse = parse_prefix, .required = true, .max = 127},
	{"max_sources", OPTION(max_sources), .parse = parse_number, .fallback = "65536", .min = 1,
	 .max = ENGINE_SOURCES_MAX},
	{"max_open", OPTION(max_open), .parse = parse_number, .fallback = "4096", .min = 1,
	 .max = 1000000},
	{"max_open_user", OPTION(max_open_user), .parse = parse_number, .fallback = "16", .min = 1,
	 .max = 1000000},
	{"max_age", OPTION(max_age_us), .parse = parse_span, .fallback = "30s", .min = US_PER_S,
	 .max = US_PER_H},
	{"ipv6_prefix", OPTION(ipv6_prefix), .parse = parse_prefix_length, .fallback = "128",
	 .min = 1, .max = 128},
	{"on_stop", OPTION(on_stop), .parse = parse_choice, .fallback = "close",
	 .choices = on_stop_names},
	{"trust_all_netns", OPTION(trust_all_netns), .parse = parse_choice, .fallback = "no",
	 .choices = no_or_yes},
	{"clock_skew", OPTION(clock_skew_us), .parse = parse_seconds, .fallback = "30s",
	 .min = US_PER_S, .max = KEYED_SKEW_MAX_S * US_PER_S},
	{"keys", OPTION(keys), .parse = parse_path, .fallback = KNOCKTAIL_KEYS},
	{"realm", OPTION(realm), .parse = parse_realm},
	{"notify_command", OPTION(notify_command), .parse = parse_command},
	{"expected_ports", OPTION(expected_ports), .parse = parse_any_set, .max = 31},

	{"sequence", DOOR(knock.sequence), .parse = parse_sequence},
	{"one_time_sequences", DOOR(one_time_sequences), .parse = parse_one_time},
	{"seq_timeout", DOOR(knock.seq_timeout_us), .parse = parse_span, .fallback = "10s",
	 .min = US_PER_MS, .max = US_PER_H},
	{"tcpflags", DOOR(knock.filter), .parse = parse_flags, .fallback = "syn, !ack"},
	{"interface", DOOR(knock.filter.interface), .parse = parse_interface},
	{"target", DOOR(knock.filter), .parse = parse_target},
	{"log", DOOR(log), .parse = parse_log},
	{"auth", DOOR(auth), .parse = parse_auth, .fallback = "sequence"},
	{"users", DOOR(users), .parse = parse_users},
	{"bind_source", DOOR(bind_source), .parse = parse_choice, .fallback = "optional",
	 .choices = bind_names},
	{"allow", WHOLE_DOOR, .parse = parse_allow},
	{"timeout", DOOR(timeout_us), .parse = parse_seconds, .fallback = "30s", .min = US_PER_S,
	 .max = DOOR_TIMEOUT_MAX_S * US_PER_S},
	{"max_timeout", DOOR(max_timeout_us), .parse = parse_seconds, .min = US_PER_S,
	 .max = DOOR_TIMEOUT_MAX_S * US_PER_S},
	{"max_open", DOOR(max_open), .parse = parse_number, .fallback = "1024", .min = 1,
	 .max = 1000000},
	{"fleet", DOOR(in_fleet), .parse = parse_choice, .fallback = "no", .choices = no_or_yes},
	{"backend", DOOR(opening.backend), .parse = parse_choice, .required = true,
	 .choices = backend_names},

	{"set", DOOR(opening.set[FAMILY_IPV4]), .parse = parse_set, ONLY(IPSET), .max = 31},
	{"set_6", DOOR(opening.set[FAMILY_IPV6]), .parse = parse_set, ONLY(IPSET), .max = 31},
	{"entry", DOOR(opening.entry), .parse = parse_entry, ONLY(IPSET), .fallback = "%IP%",
	 .max = 255},

	{"set_shared", DOOR(opening.set_shared), .parse = parse_choice, ONLY(IPSET),
	 .fallback = "no", .choices = no_or_yes},

	{"set", DOOR(opening.set[FAMILY_IPV4]), .parse = parse_nft_set, ONLY(NFT)},
	{"set_6", DOOR(opening.set[FAMILY_IPV6]), .parse = parse_nft_set, ONLY(NFT)},
	{"entry", DOOR(opening.entry), .parse = parse_nft_entry, ONLY(NFT), .fallback = "%IP%"},
	{"set_shared", DOOR(opening.set_shared), .parse = parse_choice, ONLY(NFT), .fallback = "no",
	 .choices = no_or_yes},

	{"ports", DOOR(opening.ports), .parse = parse_ports, ONLY(IPTABLES), .required = true},
	{"ports", DOOR(opening.ports), .parse = parse_ports, ONLY(IPSET)},
	{"ports", DOOR(opening.ports), .parse = parse_ports, ONLY(NFT)},

	FORWARD(IPSET),
	FORWARD(NFT),
	FORWARD(IPTABLES),
	{"docker", DOOR(opening.docker), .parse = parse_choice, ONLY(IPSET), .fallback = "no",
	 .choices = no_or_yes},
	{"docker", DOOR(opening.docker), .parse = parse_choice, ONLY(NFT), .fallback = "no",
	 .choices = no_or_yes},

	GRANT_PREFIX(IPSET),
	GRANT_PREFIX(NFT),
	GRANT_PREFIX(IPTABLES),
	{"chain", DOOR(opening.chain), .parse = parse_chain, ONLY(IPTABLES),
	 .fallback = "KNOCKTAIL", .max = 28},

	{"start_command", DOOR(opening.start_command[FAMILY_IPV4]), .parse = parse_command,
	 ONLY(COMMAND)},
	{"start_command_6", DOOR(opening.start_command[FAMILY_IPV6]), .parse = parse_command,
	 ONLY(COMMAND)},
	{"stop_command", DOOR(opening.stop_command[FAMILY_IPV4]), .parse = parse_command,
	 ONLY(COMMAND)},
	{"stop_command_6", DOOR(opening.stop_command[FAMILY_IPV6]), .parse = parse_command,
	 ONLY(COMMAND)},

	{"match", LOG(matches), .parse = parse_matches, .required = true},
	{"format", LOG(form), .parse = parse_choice, .fallback = "pattern", .choices = log_forms},
	{"pattern", LOG(pattern), .parse = parse_pattern},
	{0},
};

const struct config_key *key_find(enum section_kind section, const char *name)
{
	for (const struct config_key *key = keys; key->name; key++)
		if (key->section == section && strcmp(key->name, name) == 0)
			return key;
	return NULL;
}

unsigned key_backends(const struct config_key *key)
{
	unsigned backends = 0;

	for (const struct config_key *row = keys; row->name; row++)
		if (row->section == key->section && strcmp(row->name, key->name) == 0)
			backends |= row->backends;
	return backends;
}

const struct config_key *key_guess(enum section_kind section, const char *name)
{
	const struct config_key *best = NULL;
	unsigned least = (unsigned)strlen(name) / 3 + 1;

	for (const struct config_key *key = keys; key->name; key++) {
		unsigned distance = text_distance(key->name, name);

		/* A letter is more often left out than added. */
		bool is_longer = best && strlen(key->name) > strlen(best->name);

		if (key->section == section &&
		    (distance < least || (distance == least && is_longer))) {
			least = distance;
			best = key;
		}
	}
	return best;
}
