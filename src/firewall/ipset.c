/* Backend ipset: an element with a timeout of its own, through libipset, in this process.
 *
 * After an error a session of libipset 7.17 may answer "Internal protocol error" to a right
 * command, or do nothing and say that it did; so no session outlives an error. And a command that
 * failed can return 0: what counts is whether libipset called one of the two error functions.
 *
 * libipset 7.22 copies 32 bytes from where the name of a set begins, and up to 255 from other
 * words, however short they are. Its ipset_parse_line() makes words of just their length on the
 * heap; so the words are made here, with room behind each. See util/children.c for commands. */
#include <errno.h>
#include <inttypes.h>
#include <libipset/ipset.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include "core/door.h"
#include "firewall/backend.h"
#include "firewall/listing.h"
#include "firewall/passage.h"
#include "firewall/set.h"
#include "util/clock.h"
#include "util/number.h"
#include "util/text/stream.h"

enum { COMMAND_MAX = 512, OUTPUT_MAX = 64 << 20 };

/* The longest command has seven words. */
enum { WORDS_MAX = 8, WORD_ROOM = 256 };

struct ipset_client {
	struct ipset *session;
	bool failed;
	char problem[PROBLEM_MAX];
	FILE *file; /* what it prints, while it runs; NULL: nothing so far */
	char *output;
};

__attribute__((format(printf, 4, 5))) static int
on_custom_error(struct ipset *session, void *p, int status, const char *format, ...)
{
	struct ipset_client *client = p;
	va_list arguments;

	(void)session;
	(void)status;
	client->failed = true;
	va_start(arguments, format);
	vsnprintf(client->problem, sizeof client->problem, format, arguments);
	va_end(arguments);
	return -1;
}

static int on_standard_error(struct ipset *session, void *p)
{
	struct ipset_client *client = p;
	const char *message = ipset_session_report_msg(ipset_session(session));

	if (ipset_session_report_type(ipset_session(session)) == IPSET_WARNING)
		return 0;
	client->failed = true;
	snprintf(client->problem, sizeof client->problem, "%s",
		 message && *message ? message : "libipset gives no reason");
	return -1;
}

__attribute__((format(printf, 3, 4))) static int on_output(struct ipset_session *session, void *p,
							   const char *format, ...)
{
	struct ipset_client *client = p;
	va_list arguments;
	int n;

	(void)session;
	if (!client->file)
		client->file = text_stream_open(&client->output, NULL);
	if (!client->file || ftell(client->file) > OUTPUT_MAX) {
		client->failed = true;
		return -1;
	}
	va_start(arguments, format);
	n = vfprintf(client->file, format, arguments);
	va_end(arguments);
	client->failed |= n < 0;
	return n;
}

static void ipset_client_forget_output(struct ipset_client *client)
{
	free(client->output);
	client->output = NULL;
}

/* What it has printed is whole now. */
static void ipset_client_end_output(struct ipset_client *client)
{
	if (client->file && fclose(client->file) != 0)
		client->failed = true;
	client->file = NULL;
}

static void ipset_client_end_session(struct ipset_client *client)
{
	if (client->session)
		ipset_fini(client->session);
	client->session = NULL;
}

static int ipset_client_begin_session(struct ipset_client *client)
{
	client->session = ipset_init();
	if (!client->session)
		return -ENOMEM;
	return ipset_custom_printf(client->session, on_custom_error, on_standard_error, on_output,
				   client);
}

static void ipset_client_free(void *state)
{
	struct ipset_client *client = state;

	if (client) {
		ipset_client_end_session(client);
		ipset_client_forget_output(client);
	}
	free(client);
}

/* The firewall's one, made if need be; NULL: no memory. */
static struct ipset_client *ipset_client_of(struct firewall *firewall)
{
	static bool types_loaded;

	if (!types_loaded)
		ipset_load_types();
	types_loaded = true;
	if (!firewall->state[BACKEND_IPSET])
		firewall->state[BACKEND_IPSET] = calloc(1, sizeof(struct ipset_client));
	return firewall->state[BACKEND_IPSET];
}

/* Has libipset run the words of a line, which have no quotes. */
static int ipset_client_parse(struct ipset_client *client, const char *line)
{
	char room[COMMAND_MAX + WORDS_MAX * WORD_ROOM] = "", program[] = "ipset";
	char *words[WORDS_MAX + 2] = {program}, *to = room;
	int n = 1;

	while (*line && n <= WORDS_MAX) {
		size_t length = strcspn(line, " ");

		words[n++] = memcpy(to, line, length);
		to += length + WORD_ROOM;
		line += length + strspn(line + length, " ");
	}
	if (!*line)
		return ipset_parse_argv(client->session, n, words);
	snprintf(client->problem, sizeof client->problem, "the command has too many words");
	return -1;
}

static int ipset_client_run(struct ipset_client *client, const char *line)
{
	int r;

	client->failed = false;
	client->problem[0] = '\0';
	ipset_client_forget_output(client);
	if (!client->session && ipset_client_begin_session(client) < 0)
		return -ENOMEM;
	r = ipset_client_parse(client, line);
	ipset_client_end_output(client);
	if (r >= 0 && !client->failed)
		return 0;
	ipset_client_end_session(client);
	client->problem[strcspn(client->problem, "\n")] = '\0';
	if (!client->problem[0])
		snprintf(client->problem, sizeof client->problem, "out of memory");
	return strstr(client->problem, "name does not exist") ? -ENOENT : -EIO;
}

/* Runs one command line of ipset(8). */
__attribute__((format(printf, 3, 4))) static int ipset_run(struct firewall *firewall,
							   const char *set, const char *format, ...)
{
	struct ipset_client *client;
	char line[COMMAND_MAX];
	va_list arguments;
	int n, r;

	va_start(arguments, format);
	n = vsnprintf(line, sizeof line, format, arguments);
	va_end(arguments);
	if (n < 0 || (size_t)n >= sizeof line)
		return firewall_fail(firewall, -E2BIG, "ipset %s: the element is too long", set);
	client = ipset_client_of(firewall);
	if (!client)
		return firewall_fail(firewall, -ENOMEM, "ipset %s: out of memory", set);
	r = ipset_client_run(client, line);
	if (r < 0)
		return firewall_fail(firewall, r, "ipset %s: %s", set, client->problem);
	return 0;
}

static int ipset_open(struct firewall *firewall, const struct passage *passage, uint64_t left_us,
		      uint64_t now_us, void *owner)
{
	(void)now_us;
	(void)owner;
	return ipset_run(firewall, passage->set, "add %s %s timeout %llu -exist", passage->set,
			 passage->element, (unsigned long long)set_timeout_s(left_us));
}

static int ipset_close(struct firewall *firewall, const struct passage *passage, uint64_t now_us,
		       void *owner)
{
	(void)now_us;
	(void)owner;
	return ipset_run(firewall, passage->set, "del %s %s -exist", passage->set,
			 passage->element);
}

/* "192.0.2.1 timeout 24", and perhaps more. */
static int listing_add_member(struct listing *listing, const char *line)
{
	static const char timeout[] = " timeout ";
	size_t length = strcspn(line, " \n");
	uint64_t left_us = UINT64_MAX, left_s;

	if (length == 0)
		return 0;
	if (strncmp(line + length, timeout, strlen(timeout)) == 0) {
		const char *text = line + length + strlen(timeout);

		if (number_parse(text, strspn(text, "0123456789"), &left_s) == 0 && left_s > 0)
			left_us = left_s * US_PER_S;
	}
	return listing_add(listing, line, length, left_us);
}

static int ipset_list(struct firewall *firewall, const struct passage *passage,
		      struct listing *listing, uint64_t now_us)
{
	static const char members[] = "\nMembers:\n";
	const struct ipset_client *client;
	const char *line;

	(void)now_us;
	listing->error = ipset_run(firewall, passage->set, "list %s", passage->set);
	client = firewall->state[BACKEND_IPSET];
	line = listing->error == 0 && client->output ? strstr(client->output, members) : NULL;
	if (listing->error == 0 && !line)
		listing->error = -EIO;
	for (line = line ? line + strlen(members) : ""; *line && listing->error == 0;
	     line += strcspn(line, "\n") + 1)
		listing->error = listing_add_member(listing, line);
	listing_sort(listing);
	return FIREWALL_DONE;
}

static bool ipset_holds(struct firewall *firewall, const struct passage *passage)
{
	return ipset_run(firewall, passage->set, "test %s %s", passage->set, passage->element) == 0;
}

static size_t text_count(const char *text, char c)
{
	size_t n = 0;

	for (; *text && *text != '\n'; text++)
		n += *text == c;
	return n;
}

/* Whether a word stands in the header line of `ipset list -t`. */
static bool output_has(const char *output, const char *words)
{
	const char *header = strstr(output, "Header: ");
	const char *found = header ? strstr(header, words) : NULL;

	return found && found < header + strcspn(header, "\n");
}

static int ipset_check_set(struct firewall *firewall, const struct opening *opening,
			   enum family family)
{
	static const char *const families[N_FAMILIES] = {" family inet ", " family inet6 "};
	const char *set = opening->set[family], *output, *type;
	const struct ipset_client *client;
	int r;

	r = ipset_run(firewall, set, "list -t %s", set);
	if (r < 0)
		return r;
	client = firewall->state[BACKEND_IPSET];
	output = client->output ? client->output : "";
	type = strstr(output, "Type: ");
	if (!type || strncmp(type, "Type: hash:", 11) != 0)
		return firewall_fail(firewall, -EMEDIUMTYPE,
				     "ipset %s: not a hash: set; create it as hash:ip", set);
	if (!opening_opens_address(opening, family) && strncmp(type, "Type: hash:net", 14) != 0)
		return firewall_fail(firewall, -EMEDIUMTYPE,
				     "ipset %s: not a set of networks, which %s needs; create it "
				     "as hash:net",
				     set, opening_prefix_key(family));
	if (text_count(type, ',') != text_count(opening->entry, ','))
		return firewall_fail(
			firewall, -EMEDIUMTYPE,
			"ipset %s: an element of type %.*s does not look as entry = %s", set,
			(int)strcspn(type + 6, "\n"), type + 6, opening->entry);
	if (!output_has(output, families[family]))
		return firewall_fail(firewall, -EAFNOSUPPORT,
				     "ipset %s: not a set for %s; create it with%s", set,
				     family_name(family), families[family]);
	if (!output_has(output, " timeout "))
		return firewall_fail(firewall, -ETIME,
				     "ipset %s: created without timeout; create it with timeout 0",
				     set);
	return 0;
}

static int ipset_check(struct firewall *firewall, const struct opening *opening, enum family family)
{
	int r = opening->set[family] ? ipset_check_set(firewall, opening, family) : 0;

	/* A session that was asked for headers alone never shows members again. */
	if (firewall->state[BACKEND_IPSET])
		ipset_client_end_session(firewall->state[BACKEND_IPSET]);
	return r;
}

static int ipset_check_ports_set(struct firewall *firewall, const char *set)
{
	static const char type[] = "Type: bitmap:port\n";
	const struct ipset_client *client;
	const char *found;
	int r;

	r = ipset_run(firewall, set, "list -t %s", set);
	if (r < 0)
		return r;
	client = firewall->state[BACKEND_IPSET];
	found = client->output ? strstr(client->output, "Type: ") : NULL;
	if (!found || strncmp(found, type, strlen(type)) != 0 ||
	    (!output_has(client->output, "range 1024-65535 ") &&
	     !output_has(client->output, "range 0-65535 ")) ||
	    !output_has(client->output, " timeout "))
		return firewall_fail(firewall, -EMEDIUMTYPE,
				     "ipset %s: not a set of ports with timeouts; create it with "
				     "bitmap:port range 1024-65535 timeout 0",
				     set);
	return 0;
}

static int ipset_check_ports(struct firewall *firewall, const char *set)
{
	int r = ipset_check_ports_set(firewall, set);

	/* As in ipset_check(). */
	if (firewall->state[BACKEND_IPSET])
		ipset_client_end_session(firewall->state[BACKEND_IPSET]);
	return r;
}

static int ipset_put_ports(struct firewall *firewall, const char *set,
			   const struct firewall_port *ports, size_t n)
{
	int r = 0;

	for (size_t i = 0; r == 0 && i < n; i++)
		r = ipset_run(firewall, set, "add %s %u timeout %" PRIu32 " -exist", set,
			      ports[i].port, ports[i].left_s);
	return r;
}

static int ipset_has_port(struct firewall *firewall, const char *set, uint16_t port)
{
	int r = ipset_run(firewall, set, "test %s %u", set, port);

	return r == -EIO && strstr(firewall->problem, "NOT in set") ? -ENODATA : r;
}

const struct backend backend_ipset = {
	.name = "ipset",
	.expires = true,
	.spell = set_spell,
	.check = ipset_check,
	.open = ipset_open,
	.close = ipset_close,
	.list = ipset_list,
	.find = set_find,
	.knows = set_knows,
	.holds = ipset_holds,
	.is_whole = set_is_whole,
	.check_ports = ipset_check_ports,
	.put_ports = ipset_put_ports,
	.has_port = ipset_has_port,
	.free = ipset_client_free,
};
