#include "config/check.h"

#include <netinet/in.h>
#include <string.h>

#include "config/complaint.h"
#include "config/config.h"
#include "config/draft.h"
#include "config/ini/ini.h"
#include "config/listeners.h"
#include "core/door.h"
#include "core/other-log.h"
#include "util/cleanup.h"

DEFINE_CLEANUP(struct listeners *, listeners_free)

/* A key of a door for each family. */
static const char *const set_keys[] = {"set", "set_6"};
static const char *const start_keys[] = {"start_command", "start_command_6"};
static const char *const stop_keys[] = {"stop_command", "stop_command_6"};

/* One door being looked at. */
struct door_check {
	const struct door *door;
	const struct ini_section *section;
	bool whole;
	struct complaints *complaints;
};

static struct door_check check_door_at(const struct draft *draft, size_t door,
				       struct complaints *complaints)
{
	return (struct door_check){
		.door = &draft->config->doors[door],
		.section = draft->doors[door].section,
		.whole = draft->doors[door].whole,
		.complaints = complaints,
	};
}

/* Where the key stands; the section's line if it does not. */
static unsigned check_line(const struct door_check *check, const char *key)
{
	const struct ini_entry *entry = ini_find(check->section, key);

	return entry ? entry->line : check->section->line;
}

static bool check_has(const struct door_check *check, const char *key)
{
	return ini_find(check->section, key) != NULL;
}

/* Asks what is given, not what it is worth: bad values have had their complaint. */
static void check_backend(const struct door_check *check)
{
	static const char *const *const needed[N_BACKENDS] = {
		[BACKEND_IPSET] = set_keys,
		[BACKEND_NFT] = set_keys,
		[BACKEND_COMMAND] = start_keys,
	};
	static const char *const left_out[N_BACKENDS] = {
#ifndef HAVE_IPSET
		[BACKEND_IPSET] = "libipset",
#endif
#ifndef HAVE_NFTABLES
		[BACKEND_NFT] = "libnftables",
#endif
		[BACKEND_COMMAND] = NULL,
	};
	const struct door *door = check->door;
	const char *const *names;

	if (door->opening.backend == N_BACKENDS || check->section->damaged)
		return;
	if (left_out[door->opening.backend])
		complain_error(check->complaints, check_line(check, "backend"),
			       "door %s: this knocktail was built without %s", door->name,
			       left_out[door->opening.backend]);
	names = needed[door->opening.backend];
	if (names && !check_has(check, names[FAMILY_IPV4]) && !check_has(check, names[FAMILY_IPV6]))
		complain_error(check->complaints, check->section->line,
			       "door %s: neither %s nor %s is given: a knock would open nothing",
			       door->name, names[FAMILY_IPV4], names[FAMILY_IPV6]);
	if (door->opening.set[FAMILY_IPV4] && door->opening.set[FAMILY_IPV6] &&
	    strcmp(door->opening.set[FAMILY_IPV4], door->opening.set[FAMILY_IPV6]) == 0)
		complain_error(
			check->complaints, check_line(check, "set_6"),
			"door %s: set and set_6 name the same set, and a set holds addresses "
			"of one family",
			door->name);
}

static void check_commands(const struct door_check *check, enum family family)
{
	const char *start = start_keys[family], *stop = stop_keys[family];

	if (check->door->opening.backend != BACKEND_COMMAND || check->section->damaged)
		return;
	if (check_has(check, stop) && !check_has(check, start))
		complain_error(check->complaints, check_line(check, stop),
			       "door %s: %s without %s: there is nothing that it could undo",
			       check->door->name, stop, start);
	if (check_has(check, start) && !check_has(check, stop))
		complain_warning(check->complaints, check_line(check, start),
				 "door %s: %s without %s: nothing closes the door, unless the "
				 "command sees to it",
				 check->door->name, start, stop);
}

/* An element with a port lets in at that port alone. */
static void check_all_ports(const struct door_check *check)
{
	const struct opening *opening = &check->door->opening;

	if (opening->ports.is_all && opening->entry && strcmp(opening->entry, "%IP%") != 0)
		complain_error(check->complaints, check_line(check, "ports"),
			       "door %s: ports = all, and an entry that is more than %%IP%%: it "
			       "opens less than all",
			       check->door->name);
}

/* Sources that the door takes, but can do nothing for. */
static void check_families(const struct door_check *check)
{
	const struct door *door = check->door;
	const struct filter *filter = &door->knock.filter;
	enum family family;

	if (filter->has_target && !door_opens_for(door, address_family(&filter->target))) {
		family = address_family(&filter->target);
		complain_error(check->complaints, check_line(check, "target"),
			       "door %s: target is an %s address, and nothing opens the door for "
			       "%s: %s is missing",
			       door->name, family_name(family), family_name(family),
			       door->opening.backend == BACKEND_COMMAND ? start_keys[family]
									: set_keys[family]);
	}
	for (size_t i = 0; i < door->n_allow; i++) {
		family = address_family(&door->allow[i].base);
		if (door_opens_for(door, family))
			continue;
		complain_warning(check->complaints, check_line(check, "allow"),
				 "door %s: network %zu of allow is of %s, for which nothing opens "
				 "the door",
				 door->name, i + 1, family_name(family));
	}
}

/* A key that says something about a way to open the door that auth does not name. */
static void check_idle(const struct door_check *check, const char *key, const char *ways)
{
	if (check_has(check, key))
		complain_error(check->complaints, check_line(check, key),
			       "door %s: %s is for auth = %s, and auth does not say so",
			       check->door->name, key, ways);
}

static void check_sequence_keys(const struct door_check *check)
{
	bool fixed = check_has(check, "sequence"),
	     one_time = check_has(check, "one_time_sequences");

	if (!(check->door->auth & AUTH_SEQUENCE)) {
		check_idle(check, "sequence", "sequence");
		check_idle(check, "one_time_sequences", "sequence");
		check_idle(check, "seq_timeout", "sequence");
		return;
	}
	if (!fixed && !one_time)
		complain_error(check->complaints, check->section->line,
			       "door %s: neither sequence nor one_time_sequences is given",
			       check->door->name);
	if (fixed && one_time)
		complain_error(check->complaints, check_line(check, "one_time_sequences"),
			       "door %s: sequence and one_time_sequences cannot be combined",
			       check->door->name);
}

static void check_keyed_keys(const struct door_check *check)
{
	unsigned auth = check->door->auth;

	if (!(auth & AUTH_SPA))
		check_idle(check, "max_timeout", "spa");
	if (!(auth & (AUTH_TOKEN | AUTH_SPA))) {
		check_idle(check, "users", "token or spa");
		check_idle(check, "bind_source", "token or spa");
	} else if (!check_has(check, "users")) {
		complain_error(check->complaints, check->section->line,
			       "door %s: users is missing: whose keys open it (* is everybody's)",
			       check->door->name);
	}
	if (check_has(check, "max_timeout") && check->whole &&
	    check->door->max_timeout_us < check->door->timeout_us)
		complain_error(check->complaints, check_line(check, "max_timeout"),
			       "door %s: max_timeout is shorter than timeout", check->door->name);
}

/* Says nothing of ways that auth names wrongly: it is 0 then. */
static void check_knock(const struct door_check *check)
{
	if (check->section->damaged || check->door->auth == 0)
		return;
	check_sequence_keys(check);
	check_keyed_keys(check);
}

/* A TCP client takes another source port for each connection; datagrams may all come from one
 * socket.
 */
static void check_repeated(const struct door_check *check)
{
	const struct sequence *sequence = &check->door->knock.sequence;

	for (size_t i = 1; i < sequence->n_steps; i++)
		for (size_t j = i; j > 0; j--) {
			const struct step *step = &sequence->steps[i],
					  *before = &sequence->steps[j - 1];

			if (step->protocol != IPPROTO_UDP || before->protocol != IPPROTO_UDP ||
			    step->port != before->port)
				continue;
			complain_warning(check->complaints, check_line(check, "sequence"),
					 "door %s: steps %zu and %zu of sequence are one UDP port: "
					 "from one source port, the second datagram counts as the "
					 "first one sent again",
					 check->door->name, j, i + 1);
			return;
		}
}

static void check_sequence(const struct door_check *check)
{
	const struct sequence *sequence = &check->door->knock.sequence;

	if (sequence->n_steps == 0)
		return; /* one_time_sequences, or none at all */
	check_repeated(check);
	if (sequence->n_steps == 1)
		complain_warning(check->complaints, check_line(check, "sequence"),
				 "door %s: sequence has one step: any port scan opens the door",
				 check->door->name);
	else if (sequence_ascends(sequence))
		complain_warning(check->complaints, check_line(check, "sequence"),
				 "door %s: the ports of sequence ascend: a scan of just these "
				 "ports in their order opens the door",
				 check->door->name);
}

/* What is let in is not logged. With all ports that is so of each step. */
static void check_own_ports(const struct door_check *check)
{
	const struct sequence *sequence = &check->door->knock.sequence;
	const struct port_set *ports = &check->door->opening.ports;

	for (size_t i = 0; i < sequence->n_steps && !ports->is_all; i++)
		if (port_set_has(ports, &sequence->steps[i])) {
			complain_warning(check->complaints, check_line(check, "sequence"),
					 "door %s: step %zu of sequence is among its ports: while "
					 "it is open, no knock renews it",
					 check->door->name, i + 1);
			return;
		}
}

static bool is_same_text(const char *a, const char *b)
{
	return a && b && strcmp(a, b) == 0;
}

/* Whether both put the same element into one set. */
static bool share_set(const struct opening *a, const struct opening *b)
{
	bool has_same = false;

	if (a->backend != b->backend || (a->entry != b->entry && !is_same_text(a->entry, b->entry)))
		return false;
	for (enum family family = 0; family < N_FAMILIES; family++)
		has_same |= is_same_text(a->set[family], b->set[family]);
	return has_same;
}

static bool has_all_users(const struct door *door, const struct door *of)
{
	for (char *const *user = of->users; user && *user; user++)
		if (!door_has_user(door, *user))
			return false;
	return true;
}

/* What one door opens stands open for all that look into the set. */
static void check_shared_set(const struct door_check *check, const struct config *config, size_t n)
{
	const struct door *door = check->door;

	for (size_t i = 0; i < n && door->users; i++) {
		const struct door *other = &config->doors[i];

		if (!other->users || !share_set(&door->opening, &other->opening) ||
		    (has_all_users(door, other) && has_all_users(other, door)))
			continue;
		complain_warning(check->complaints, check_line(check, "users"),
				 "door %s: it has other users than door %s, but the same set: who "
				 "opens one opens both",
				 door->name, other->name);
		return;
	}
}

/* Whoever is in the network gets in with who has knocked, wanted or not. */
static void check_network(const struct door_check *check, enum family family)
{
	const struct door *door = check->door;
	const struct opening *opening = &door->opening;
	const char *key = opening_prefix_key(family);
	char text[NETWORK_TEXT_MAX];

	if (!check_has(check, key))
		return;
	if (!door_opens_for(door, family)) {
		complain_error(check->complaints, check_line(check, key),
			       "door %s: %s is for %s, for which nothing opens the door",
			       door->name, key, family_name(family));
		return;
	}
	if (opening_opens_address(opening, family))
		return;
	complain_warning(
		check->complaints, check_line(check, key),
		"door %s: %s = %u: a knock opens it for all of the source's network, not for "
		"the source alone",
		door->name, key, opening->prefix[family]);
	for (size_t i = 0; i < door->n_allow; i++)
		if (address_family(&door->allow[i].base) == family &&
		    network_length(&door->allow[i]) > opening->prefix[family])
			complain_warning(check->complaints, check_line(check, key),
					 "door %s: %s = %u is wider than %s of allow: a knock from "
					 "there opens the door for others, too",
					 door->name, key, opening->prefix[family],
					 network_format(&door->allow[i], text));
}

/* In a set of networks one would be in another, and which of them ends is not known. */
static void check_shared_prefix(const struct door_check *check, const struct config *config,
				size_t n)
{
	const struct opening *opening = &check->door->opening;

	for (enum family family = 0; family < N_FAMILIES; family++)
		for (size_t i = 0; i < n; i++) {
			const struct opening *other = &config->doors[i].opening;
			bool both_alone = opening_opens_address(opening, family) &&
					  opening_opens_address(other, family);

			if (!is_same_text(opening->set[family], other->set[family]) || both_alone ||
			    opening->prefix[family] == other->prefix[family])
				continue;
			complain_error(check->complaints, check_line(check, set_keys[family]),
				       "door %s: %s is also the set of door %s, with another %s: a "
				       "set of its own is needed",
				       check->door->name, set_keys[family], config->doors[i].name,
				       opening_prefix_key(family));
			return;
		}
}

static void check_interface(const struct door_check *check)
{
	const char *name = check->door->knock.filter.interface;
	size_t length = strlen(name);

	if (strcmp(name, "+") == 0)
		complain_warning(check->complaints, check_line(check, "interface"),
				 "door %s: interface = +: that is any interface, as without it",
				 check->door->name);
	if (name[0] == '!')
		complain_warning(
			check->complaints, check_line(check, "interface"),
			"door %s: interface = %s: an exclamation mark is one here: all but "
			"one cannot be said",
			check->door->name, name);
	if (length > 0 && name[length - 1] == '*')
		complain_warning(check->complaints, check_line(check, "interface"),
				 "door %s: interface = %s: a star is a star here; all whose names "
				 "begin so are %.*s+",
				 check->door->name, name, (int)length - 1, name);
}

void draft_check_doors(const struct draft *draft, struct complaints *complaints)
{
	for (size_t i = 0; i < draft->config->n_doors; i++) {
		struct door_check check = check_door_at(draft, i, complaints);

		check_knock(&check);
		check_backend(&check);
		for (enum family family = 0; family < N_FAMILIES; family++)
			check_commands(&check, family);
		if (!check.whole)
			continue;
		check_families(&check);
		check_all_ports(&check);
		check_interface(&check);
		check_sequence(&check);
		check_own_ports(&check);
		check_shared_set(&check, draft->config, i);
		check_shared_prefix(&check, draft->config, i);
		for (enum family family = 0; family < N_FAMILIES; family++)
			check_network(&check, family);
	}
}

static struct other_log *find_log_named(const struct config *config, const char *name)
{
	for (size_t i = 0; i < config->n_logs; i++)
		if (strcmp(config->logs[i].name, name) == 0)
			return &config->logs[i];
	return NULL;
}

/* What iptables cuts a longer one to, by LOG and by NFLOG; nft takes 127. */
enum { IPTABLES_PREFIX_MAX = 29, NFLOG_PREFIX_MAX = 63 };

static void check_log_prefix(const struct draft *draft, struct complaints *complaints)
{
	const struct config *config = draft->config;
	bool by_nflog = config->n_doors > 0;
	size_t length = config->log_prefix ? strlen(config->log_prefix) : 0, max;

	for (size_t i = 0; i < config->n_doors; i++)
		by_nflog = by_nflog && config->doors[i].knock.filter.by_nflog;
	max = by_nflog ? NFLOG_PREFIX_MAX : IPTABLES_PREFIX_MAX;
	if (length > max)
		complain_warning(complaints, draft->prefix_line,
				 "options: log_prefix has %zu characters: nft logs that many, "
				 "iptables at most %zu",
				 length, max);
}

void draft_link_logs(struct draft *draft, struct complaints *complaints)
{
	for (size_t i = 0; i < draft->config->n_doors; i++) {
		struct door *door = &draft->config->doors[i];
		struct door_check check = check_door_at(draft, i, complaints);
		const struct other_log *log;

		if (!door->log)
			continue;
		log = find_log_named(draft->config, door->log);
		door->knock.filter.log = log ? log->id : OTHER_LOG_KERNEL;
		door->knock.filter.by_nflog = log && log->form == LOG_FORM_KERNEL;
		if (!log)
			complain_error(complaints, check_line(&check, "log"),
				       "door %s: log: there is no section [log %s]", door->name,
				       door->log);
	}
	check_log_prefix(draft, complaints);
}

static void check_ports(const struct door_check *check, const struct listeners *listeners)
{
	const struct sequence *sequence = &check->door->knock.sequence;

	for (size_t i = 0; i < sequence->n_steps; i++)
		if (listeners_have(listeners, &sequence->steps[i]))
			complain_warning(
				check->complaints, check_line(check, "sequence"),
				"door %s: step %zu of sequence is a port that this machine listens "
				"on: where the firewall lets packets to it in, it logs none and "
				"the knock never completes",
				check->door->name, i + 1);
}

int draft_check_ports(const struct draft *draft, const char *proc_net,
		      struct complaints *complaints)
{
	struct listeners *listeners CLEANUP(cleanup_listeners_free) = NULL;
	int r = listeners_read(proc_net, &listeners);

	if (r < 0)
		return r;
	for (size_t i = 0; i < draft->config->n_doors; i++) {
		struct door_check check = check_door_at(draft, i, complaints);

		if (check.whole)
			check_ports(&check, listeners);
	}
	return 0;
}
