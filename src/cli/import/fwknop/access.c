#include "cli/import/fwknop/access.h"

#include <arpa/inet.h>
#include <ctype.h>
#include <errno.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "cli/common/memory.h"
#include "cli/import/fwknop/file.h"
#include "cli/import/result.h"
#include "config/text.h"
#include "core/key-file.h"
#include "core/opening/forward.h"
#include "util/cleanup.h"
#include "util/number.h"

/* What fwknopd takes for granted, and the most that knocktail takes. */
enum { ACCESS_TIMEOUT_S = 30, CLOCK_SKEW_MAX_S = 300 };

/* Variables that become something else, or nothing. Those that are not here have become a key. */
static const struct variable {
	const char *name; /* or how it begins, with a '*' behind */
	const char *text;
} access_variables[] = {
	{"KEY", "keys are not carried over: the user gets one of knocktail's own"},
	{"KEY_BASE64", "keys are not carried over: the user gets one of knocktail's own"},
	{"HMAC_KEY*", "keys are not carried over: one key does both here"},
	{"HMAC_DIGEST_TYPE", "there is one algorithm here, knocktail-protocol(7)"},
	{"ENCRYPTION_MODE", "there is one algorithm here, knocktail-protocol(7)"},
	{"GPG_*", "not carried over: GnuPG means nothing here, the user gets a key"},
	{"RESTRICT_PORTS", "needs nothing here: a door opens its own ports alone"},
	{"FORCE_SNAT", "not carried over: masquerade = yes has it seem that this machine asks"},
	{"DISABLE_DNAT", "not carried over: a door with forward translates the address"},
	{"FORWARD_ALL", "not carried over: a door with forward names the ports"},
	{"ENABLE_CMD_EXEC", "not carried over: nobody's knock can name a command"},
	{"ENABLE_CMD_SUDO_EXEC", "not carried over: nobody's knock can name a command"},
	{"CMD_EXEC_*", "not carried over: nobody's knock can name a command"},
	{"CMD_SUDO_EXEC_*", "not carried over: nobody's knock can name a command"},
	{"CMD_CYCLE_*",
	 "not carried over: a door of the backend command has start_command, stop_command and "
	 "timeout"},
	{"REQUIRE_SOURCE", "read as REQUIRE_SOURCE_ADDRESS"},
	{"PERMIT_CLIENT_PORTS", "not carried over: a door opens its own ports, not the client's"},
	{"PERMIT_CLIENT_TIMEOUT", "needs nothing here: max_timeout bounds what a client asks for"},
	{"%*", "not read: import that file, too"},
};

static const char *const access_keys[] = {
	"SOURCE",
	"OPEN_PORTS",
	"DESTINATION",
	"FW_ACCESS_TIMEOUT",
	"MAX_FW_TIMEOUT",
	"REQUIRE_USERNAME",
	"REQUIRE_SOURCE_ADDRESS",
	"ACCESS_EXPIRE",
	"FORCE_NAT",
	"FORCE_MASQUERADE",
	"ACCESS_EXPIRE_EPOCH",
};

/* One stanza on its way. */
struct stanza_import {
	struct import_door door;
	const struct fwknop_file *file;
	size_t number;	       /* of the stanza */
	const char *interface; /* or NULL */
	struct fwknop_user user;
};

static bool variable_is(const struct variable *variable, const char *name)
{
	size_t length = strcspn(variable->name, "*");

	return strncmp(variable->name, name, length) == 0 &&
	       (variable->name[length] == '*' || name[length] == '\0');
}

/* What to say of a variable; NULL: it has become something, or nobody knows it. */
static const char *find_text(const char *name, bool *ret_known)
{
	*ret_known = true;
	for (size_t i = 0; i < sizeof access_variables / sizeof access_variables[0]; i++)
		if (variable_is(&access_variables[i], name))
			return access_variables[i].text;
	for (size_t i = 0; i < sizeof access_keys / sizeof access_keys[0]; i++)
		if (strcmp(access_keys[i], name) == 0)
			return NULL;
	*ret_known = false;
	return NULL;
}

/* A variable that is known by how it begins may hold anything behind that. */
static bool is_name(const char *text)
{
	size_t length = strspn(text, "ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_%");

	return text[length] == '\0' && length < 32;
}

static void note_variable(const struct import_result *result, FILE *notes,
			  const struct fwknop_line *line, const char *otherwise)
{
	char quoted[TEXT_QUOTED_MAX];
	bool is_known;
	const char *text = find_text(line->name, &is_known);

	if (!text)
		text = is_known ? otherwise : "not a variable of fwknop's that is known; skipped";
	if (text)
		import_note(result, notes, NULL, line->number, "%s: %s",
			    is_known && is_name(line->name) ? line->name
							    : fwknop_quote(line->name, quoted),
			    text);
}

__attribute__((format(printf, 3, 4))) static void
stanza_note(const struct stanza_import *stanza, unsigned line, const char *format, ...)
{
	char *text CLEANUP(cleanup_free) = NULL;
	va_list arguments;

	va_start(arguments, format);
	if (vasprintf(&text, format, arguments) < 0)
		memory_out();
	va_end(arguments);
	import_note(stanza->door.result, stanza->door.notes, NULL, line, "%s", text);
}

/* The line that counts of a variable in the stanza; 0: there is none. */
static unsigned stanza_line(const struct stanza_import *stanza, const char *name)
{
	unsigned line = 0;

	for (size_t i = 0; i < stanza->file->n_lines; i++)
		if (stanza->file->lines[i].stanza == stanza->number &&
		    strcmp(stanza->file->lines[i].name, name) == 0)
			line = stanza->file->lines[i].number;
	return line;
}

static const char *stanza_find(const struct stanza_import *stanza, const char *name)
{
	return fwknop_find(stanza->file, stanza->number, name);
}

/* Lower case, with '-' for what a name cannot hold. */
static void make_user(const char *text, size_t number, char ret[static USER_NAME_MAX + 1])
{
	size_t n = 0;

	if (!text) {
		snprintf(ret, USER_NAME_MAX + 1, "user-%zu", number);
		return;
	}
	for (; text[n] && n < USER_NAME_MAX; n++)
		ret[n] = isascii(text[n]) && (isalnum(text[n]) || text[n] == '_')
				 ? (char)tolower(text[n])
				 : '-';
	ret[n] = '\0';
	if (!isalnum((unsigned char)ret[0]))
		ret[0] = 'u';
}

static void put_user(struct stanza_import *stanza)
{
	const char *name = stanza_find(stanza, "REQUIRE_USERNAME");

	make_user(name, stanza->number, stanza->user.name);
	fprintf(stanza->door.body, "auth = spa\nusers = %s\n", stanza->user.name);
	if (!name)
		stanza_note(stanza, stanza->door.line,
			    "no REQUIRE_USERNAME: whose key opens the door is called %s here",
			    stanza->user.name);
	else if (strcmp(name, stanza->user.name) != 0)
		stanza_note(stanza, stanza_line(stanza, "REQUIRE_USERNAME"),
			    "REQUIRE_USERNAME: the user is called %s here", stanza->user.name);
}

/* How long a prefix "24" or "255.255.255.0" means. -EINVAL: it is neither. */
static int read_mask(const char *text, uint64_t *ret_prefix)
{
	struct in_addr mask;

	if (inet_pton(AF_INET, text, &mask) != 1)
		return number_parse(text, strlen(text), ret_prefix);
	for (*ret_prefix = 0; *ret_prefix <= 32; (*ret_prefix)++)
		if ((uint32_t)(UINT64_C(0xffffffff) << (32 - *ret_prefix)) == ntohl(mask.s_addr))
			return 0;
	return -EINVAL;
}

/* "192.168.10.5/255.255.255.0" as "192.168.10.0/24"; what is not so plain as it is. */
static void put_network(FILE *out, const char *text, size_t length)
{
	const char *slash = memchr(text, '/', length);
	size_t n_base = slash ? (size_t)(slash - text) : 0;
	char base[INET_ADDRSTRLEN] = "", mask[INET_ADDRSTRLEN] = "";
	struct in_addr address;
	uint64_t prefix;

	if (slash && n_base < sizeof base && length - n_base - 1 < sizeof mask) {
		memcpy(base, text, n_base);
		memcpy(mask, slash + 1, length - n_base - 1);
	}
	if (inet_pton(AF_INET, base, &address) != 1 || read_mask(mask, &prefix) < 0 ||
	    prefix > 32) {
		fprintf(out, "%.*s", (int)length, text);
		return;
	}
	address.s_addr &= htonl((uint32_t)(UINT64_C(0xffffffff) << (32 - prefix)));
	fprintf(out, "%s/%" PRIu64, inet_ntop(AF_INET, &address, base, sizeof base), prefix);
}

static void put_allow(FILE *out, const char *text)
{
	fputs("allow = ", out);
	for (bool first = true;; first = false) {
		size_t length;

		text += strspn(text, ", \t");
		length = strcspn(text, ", \t");
		if (length == 0)
			break;
		fputs(first ? "" : ", ", out);
		put_network(out, text, length);
		text += length;
	}
	fputc('\n', out);
}

static void put_sources(struct stanza_import *stanza)
{
	const char *source = stanza_find(stanza, "SOURCE");
	const char *target = stanza_find(stanza, "DESTINATION");

	fprintf(stanza->door.body, "bind_source = %s\n",
		fwknop_is_yes(stanza->file, stanza->number, "REQUIRE_SOURCE_ADDRESS") ||
				fwknop_is_yes(stanza->file, stanza->number, "REQUIRE_SOURCE")
			? "yes"
			: "optional");
	if (source && strcasecmp(source, "ANY") != 0)
		put_allow(stanza->door.body, source);
	if (stanza->interface)
		fprintf(stanza->door.body, "interface = %s\n", stanza->interface);
	if (!target || strcasecmp(target, "ANY") == 0)
		return;
	if (strpbrk(target, "/, "))
		stanza_note(stanza, stanza_line(stanza, "DESTINATION"),
			    "DESTINATION: not carried over: a door has one address as its target");
	else
		fprintf(stanza->door.body, "target = %s\n", target);
}

static uint64_t stanza_seconds(const struct stanza_import *stanza, const char *name,
			       uint64_t fallback)
{
	const char *text = stanza_find(stanza, name);
	uint64_t seconds;

	if (!text)
		return fallback;
	if (number_parse(text, strlen(text), &seconds) == 0 && seconds >= 1 &&
	    seconds <= DOOR_TIMEOUT_MAX_S)
		return seconds;
	seconds = number_parse(text, strlen(text), &seconds) == 0 && seconds > DOOR_TIMEOUT_MAX_S
			  ? DOOR_TIMEOUT_MAX_S
			  : fallback;
	stanza_note(stanza, stanza_line(stanza, name), "%s: taken for %" PRIu64 " seconds", name,
		    seconds);
	return seconds;
}

static void put_times(struct stanza_import *stanza)
{
	uint64_t timeout = stanza_seconds(stanza, "FW_ACCESS_TIMEOUT", ACCESS_TIMEOUT_S);
	uint64_t most = stanza_seconds(stanza, "MAX_FW_TIMEOUT", timeout);

	fprintf(stanza->door.body, "timeout = %" PRIu64 "s\n", timeout);
	if (most > timeout)
		fprintf(stanza->door.body, "max_timeout = %" PRIu64 "s\n", most);
}

/* "tcp/22, udp/51820" as "22/tcp, 51820/udp". False: it is not that. */
static bool put_ports(FILE *out, const char *text)
{
	for (bool first = true;; first = false) {
		const char *port;
		bool is_udp;
		size_t length;

		text += strspn(text, ", \t");
		if (!*text)
			return !first;
		is_udp = strncasecmp(text, "udp/", 4) == 0;
		if (!is_udp && strncasecmp(text, "tcp/", 4) != 0)
			return false;
		port = text + 4;
		length = strspn(port, "0123456789-");
		if (length == 0 || (port[length] && !strchr(", \t", port[length])))
			return false;
		fprintf(out, "%s%.*s/%s", first ? "" : ", ", (int)length, port,
			is_udp ? "udp" : "tcp");
		text = port + length;
	}
}

/* "10.0.0.5 443": who has knocked is sent on to there, from the one port. */
static void put_forward(struct stanza_import *stanza, const char *ports)
{
	const char *to = stanza_find(stanza, "FORCE_NAT");
	bool masquerades = fwknop_is_yes(stanza->file, stanza->number, "FORCE_MASQUERADE");
	char address[INET_ADDRSTRLEN + 1] = "", port[8] = "";
	char text[sizeof address + sizeof port] = "";
	struct forward forward;
	int end = 0;

	if (masquerades && !to)
		stanza_note(stanza, stanza_line(stanza, "FORCE_MASQUERADE"),
			    "FORCE_MASQUERADE: not carried over: without FORCE_NAT the door opens "
			    "ports of this machine");
	if (!to)
		return;
	if (sscanf(to, "%16[0-9.]%*[ \t,]%7[0-9]%n", address, port, &end) == 2 && !to[end])
		snprintf(text, sizeof text, "%s:%s", address, port);
	if (forward_parse(text, FAMILY_IPV4, &forward) < 0) {
		stanza->door.left_out =
			"FORCE_NAT is not an address and a port such as 10.0.0.5 443";
		return;
	}
	if (!ports || strpbrk(ports, ",-") || strcasecmp(ports, "ANY") == 0) {
		stanza->door.left_out =
			"FORCE_NAT leads to one port, and OPEN_PORTS is not a single one";
		return;
	}
	fprintf(stanza->door.body, "forward = %s\n%s", text,
		masquerades ? "masquerade = yes\n" : "");
	stanza_note(
		stanza, stanza_line(stanza, "FORCE_NAT"),
		"FORCE_NAT: is forward here; `knocktail rules iptables` has to be loaded for it");
}

static void put_opening(struct stanza_import *stanza)
{
	const char *ports = stanza_find(stanza, "OPEN_PORTS");

	fputs("backend = iptables\nports = ", stanza->door.body);
	if (!ports)
		stanza->door.left_out =
			"it has no OPEN_PORTS, so that fwknop opens what the client "
			"asks for; here the key ports has to say it";
	else if (strcasecmp(ports, "ANY") == 0)
		fputs("all", stanza->door.body);
	else if (!put_ports(stanza->door.body, ports))
		stanza->door.left_out =
			"OPEN_PORTS is not a list of ports such as tcp/22, udp/51820";
	fputc('\n', stanza->door.body);
	put_forward(stanza, ports);
}

/* "12/31/2027" or seconds since 1970: the key expires then. */
static void take_expiry(struct stanza_import *stanza)
{
	const char *date = stanza_find(stanza, "ACCESS_EXPIRE");
	const char *epoch = stanza_find(stanza, "ACCESS_EXPIRE_EPOCH");
	unsigned line = stanza_line(stanza, date ? "ACCESS_EXPIRE" : "ACCESS_EXPIRE_EPOCH");
	char text[KEY_DATE_SIZE] = "";
	unsigned month, day, year;
	uint64_t expires = 0;

	if (date && sscanf(date, "%2u/%2u/%4u", &month, &day, &year) == 3) {
		snprintf(text, sizeof text, "%04u-%02u-%02u", year, month, day);
		if (key_date_parse(text, strlen(text), &expires) < 0)
			expires = 0;
	} else if (!date && epoch && number_parse(epoch, strlen(epoch), &expires) < 0) {
		expires = 0;
	}
	if (!date && !epoch)
		return;
	stanza->user.expires_s = expires;
	if (expires > 0)
		stanza_note(stanza, line,
			    "the key expires then, not the door: `knocktail keygen --expires %s "
			    "%s` makes it so",
			    key_date_format(expires, text), stanza->user.name);
	else
		stanza_note(stanza, line, "not a date; `knocktail keygen --expires` can set one");
}

static void note_variables(const struct stanza_import *stanza)
{
	for (size_t i = 0; i < stanza->file->n_lines; i++)
		if (stanza->file->lines[i].stanza == stanza->number)
			note_variable(stanza->door.result, stanza->door.notes,
				      &stanza->file->lines[i], NULL);
}

static int import_stanza(struct stanza_import *stanza, struct import_result *result,
			 const char *options)
{
	const char *name = fwknop_find(stanza->file, stanza->number, "REQUIRE_USERNAME");
	char number[IMPORT_NAME_ROOM];
	size_t n_before = result->n_doors;
	int r;

	r = import_door_init(&stanza->door, result, stanza_line(stanza, "SOURCE"));
	snprintf(number, sizeof number, "access-%zu", stanza->number);
	if (r == 0)
		r = import_door_name(&stanza->door, name ? name : number);
	if (r == 0) {
		note_variables(stanza);
		put_user(stanza);
		put_sources(stanza);
		put_times(stanza);
		put_opening(stanza);
		take_expiry(stanza);
		r = import_door_finish(&stanza->door, options);
	}
	if (r == 0 && result->n_doors == n_before)
		stanza->user.name[0] = '\0';
	import_door_done(&stanza->door);
	return r;
}

/* What fwknopd.conf says of all doors. */
static const char *import_options(const struct fwknop_file *options, const char *path,
				  const struct import_result *result, char *ret_lines, size_t size)
{
	const char *interface = options ? fwknop_find(options, 0, "PCAP_INTF") : NULL;
	uint64_t age;

	ret_lines[0] = '\0';
	for (size_t i = 0; options && i < options->n_lines; i++) {
		const struct fwknop_line *line = &options->lines[i];
		char quoted[TEXT_QUOTED_MAX];
		const char *text = "not carried over: it has no counterpart here";

		if (strcmp(line->name, "PCAP_INTF") == 0) {
			text = "becomes the key interface of each door";
		} else if (strncmp(line->name, "ENABLE_IPT_", strlen("ENABLE_IPT_")) == 0) {
			text = "not carried over: a client cannot say where it is sent on to; a "
			       "door can, by forward";
		} else if (strcmp(line->name, "MAX_SPA_PACKET_AGE") == 0 &&
			   number_parse(line->value, strlen(line->value), &age) == 0) {
			age = age < 1 ? 1 : age > CLOCK_SKEW_MAX_S ? CLOCK_SKEW_MAX_S : age;
			snprintf(ret_lines, size, "clock_skew = %" PRIu64 "s\n", age);
			text = "becomes clock_skew, at most 5min";
		}
		import_note(result, result->out, path, line->number, "%s: %s",
			    fwknop_quote(line->name, quoted), text);
	}
	return interface;
}

static int users_add(struct fwknop_users *users, const struct fwknop_user *user)
{
	struct fwknop_user *items = reallocarray(users->items, users->n + 1, sizeof items[0]);

	if (!items)
		return -ENOMEM;
	users->items = items;
	for (size_t i = 0; i < users->n; i++)
		if (strcmp(items[i].name, user->name) == 0)
			return 0;
	items[users->n++] = *user;
	return 0;
}

static void put_head(const struct fwknop_file *file, const struct import_result *result)
{
	static const char *const differences[] = {
		"knocks: a request is one TCP SYN, which the firewall logs, at a port that changes, "
		"and not a datagram to port 62201; who knocks uses knocktap(1)",
		"keys: fwknop's are not used; `knocktail keygen USER` makes one for each user below",
		"doors: who knocks asks for a door by its name; fwknop looks for the first stanza that "
		"fits",
		"logging: the firewall must log what it drops with the log_prefix below, and TCP's "
		"options with it; `knocktail rules iptables` writes such rules",
	};

	import_put_head(result, "an access.conf of fwknop's");
	for (size_t i = 0; i < sizeof differences / sizeof differences[0]; i++)
		import_note(result, result->out, NULL, 0, "%s", differences[i]);
	for (size_t i = 0; i < file->n_lines && file->lines[i].stanza == 0; i++)
		note_variable(result, result->out, &file->lines[i],
			      "ahead of the first SOURCE; skipped");
}

int fwknop_import_access(const struct fwknop_file *file, const struct fwknop_file *options,
			 const char *options_path, struct import_result *result,
			 struct fwknop_users *ret_users)
{
	struct fwknop_users users = {0};
	char lines[64];
	const char *interface;
	int r = 0;

	put_head(file, result);
	interface = import_options(options, options_path, result, lines, sizeof lines);
	fprintf(result->out, "\n[options]\nlog_prefix = \"" IMPORT_LOG_PREFIX "\"\n%s", lines);
	for (size_t i = 1; r == 0 && i <= file->n_stanzas; i++) {
		struct stanza_import stanza = {.file = file, .number = i, .interface = interface};

		r = import_stanza(&stanza, result, lines);
		if (r == 0 && stanza.user.name[0])
			r = users_add(&users, &stanza.user);
	}
	if (r < 0)
		free(users.items);
	else
		*ret_users = users;
	return r;
}
