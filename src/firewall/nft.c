/* Backend nft: an element with a timeout of its own in an nftables set, through libnftables, in
 * this process.
 *
 * MUST: a timeout is never 0 and never left out, which would mean forever. No context outlives an
 * error, but for a question's answer that there is no such thing. Opening is one transaction that
 * adds the element, deletes it (now it is there, whatever was before) and adds it again, because
 * kernels before 6.12 keep the old timeout of an element that is added again; closing adds and
 * deletes, so that it succeeds if the element is gone, and where there is no room to add it only
 * deletes. */
#include <errno.h>
#include <inttypes.h>
#include <nftables/libnftables.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include "core/door.h"
#include "core/placeholder.h"
#include "firewall/backend.h"
#include "firewall/listing.h"
#include "firewall/passage.h"
#include "firewall/set.h"
#include "util/cleanup.h"
#include "util/duration.h"
#include "util/text/stream.h"

enum { COMMANDS_MAX = 4096 };

static void nft_drop_context(struct firewall *firewall)
{
	if (firewall->state[BACKEND_NFT])
		nft_ctx_free(firewall->state[BACKEND_NFT]);
	firewall->state[BACKEND_NFT] = NULL;
}

static void nft_free(void *state)
{
	if (state)
		nft_ctx_free(state);
}

/* The firewall's one, made if need be; NULL: no memory. */
static struct nft_ctx *nft_context_of(struct firewall *firewall)
{
	struct nft_ctx *context = firewall->state[BACKEND_NFT];

	if (context)
		return context;
	context = nft_ctx_new(NFT_CTX_DEFAULT);
	if (!context)
		return NULL;
	if (nft_ctx_buffer_output(context) != 0 || nft_ctx_buffer_error(context) != 0) {
		nft_ctx_free(context);
		return NULL;
	}
	nft_ctx_output_set_flags(context, NFT_CTX_OUTPUT_TERSE); /* no elements */
#if HAVE_DECL_NFT_CTX_INPUT_NO_DNS
	nft_ctx_input_set_flags(context, NFT_CTX_INPUT_NO_DNS);
#endif
	firewall->state[BACKEND_NFT] = context;
	return context;
}

/* What libnftables complains of, the first line of it, or what that means here. */
static int nft_explain(struct firewall *firewall, const char *set, const char *error)
{
	static const struct {
		const char *text;
		int error;
		const char *meaning;
	} meanings[] = {
		{"No such file or directory", -ENOENT, "there is no such set"},
		{"File exists", -EEXIST, "it is there already"},
		{"Too many open files", -ENOSPC, "the set is full"},
		{"Invalid argument", -EINVAL, "the set does not take it: has it flags timeout?"},
	};
	static const char *const heads[] = {"Error: ", "Could not process rule: "};
	size_t length = strcspn(error, "\n");

	for (size_t i = 0; i < sizeof meanings / sizeof meanings[0]; i++)
		if (memmem(error, length, meanings[i].text, strlen(meanings[i].text)))
			return firewall_fail(firewall, meanings[i].error, "nft %s: %s", set,
					     meanings[i].meaning);
	for (size_t i = 0; i < sizeof heads / sizeof heads[0]; i++)
		if (strncmp(error, heads[i], strlen(heads[i])) == 0)
			error += strlen(heads[i]);
	length = strcspn(error, "\n");
	if (length == 0)
		return firewall_fail(firewall, -EIO, "nft %s: libnftables gives no reason", set);
	return firewall_fail(firewall, -EIO, "nft %s: %.*s", set, (int)length, error);
}

/* Runs commands of nft(8), one a line, as one transaction. */
static int nft_execute_text(struct firewall *firewall, const char *set, const char *commands)
{
	struct nft_ctx *context = nft_context_of(firewall);

	if (!context)
		return firewall_fail(firewall, -ENOMEM, "nft %s: out of memory", set);
	if (nft_run_cmd_from_buffer(context, commands) == 0)
		return 0;
	return nft_explain(firewall, set, nft_ctx_get_error_buffer(context));
}

static int nft_execute(struct firewall *firewall, const char *set, const char *format,
		       va_list arguments)
{
	char commands[COMMANDS_MAX];
	int n = vsnprintf(commands, sizeof commands, format, arguments);

	if (n < 0 || (size_t)n >= sizeof commands)
		return firewall_fail(firewall, -E2BIG, "nft %s: the element is too long", set);
	return nft_execute_text(firewall, set, commands);
}

__attribute__((format(printf, 3, 4))) static int nft_run(struct firewall *firewall, const char *set,
							 const char *format, ...)
{
	va_list arguments;
	int r;

	va_start(arguments, format);
	r = nft_execute(firewall, set, format, arguments);
	va_end(arguments);
	if (r < 0)
		nft_drop_context(firewall);
	return r;
}

/* The same for a question. That there is no such thing, or that there is, is an answer, after which
 * the context is good for more: closing its socket would wait for the kernel to finish what was
 * changed through it. */
__attribute__((format(printf, 3, 4))) static int nft_ask(struct firewall *firewall, const char *set,
							 const char *format, ...)
{
	va_list arguments;
	int r;

	va_start(arguments, format);
	r = nft_execute(firewall, set, format, arguments);
	va_end(arguments);
	if (r < 0 && r != -ENOENT && r != -EEXIST)
		nft_drop_context(firewall);
	return r;
}

static int nft_add(struct firewall *firewall, const char *set, const char *element,
		   uint64_t seconds)
{
	unsigned timeout_s = seconds < DOOR_TIMEOUT_MAX_S ? (unsigned)seconds : DOOR_TIMEOUT_MAX_S;

	return nft_run(firewall, set,
		       "add element %s { %s timeout %us }\n"
		       "delete element %s { %s }\n"
		       "add element %s { %s timeout %us }\n",
		       set, element, timeout_s, set, element, set, element, timeout_s);
}

static int nft_open(struct firewall *firewall, const struct passage *passage, uint64_t left_us,
		    uint64_t now_us, void *owner)
{
	(void)now_us;
	(void)owner;
	return nft_add(firewall, passage->set, passage->element, set_timeout_s(left_us));
}

static int nft_close(struct firewall *firewall, const struct passage *passage, uint64_t now_us,
		     void *owner)
{
	int r;

	(void)now_us;
	(void)owner;
	r = nft_run(firewall, passage->set,
		    "add element %s { %s timeout 1s }\n"
		    "delete element %s { %s }\n",
		    passage->set, passage->element, passage->set, passage->element);
	if (r != -ENOSPC)
		return r;
	/* Others have filled the set, which is there: what is not found now is gone. */
	r = nft_run(firewall, passage->set, "delete element %s { %s }\n", passage->set,
		    passage->element);
	return r == -ENOENT ? FIREWALL_DONE : r;
}

/* The words after an element: from one of them on it is no longer the element itself. */
static size_t element_length(const char *text)
{
	static const char *const words[] = {" timeout ", " expires ", " counter ", " comment ",
					    " limit ",	 " quota ",   " last ",	   NULL};
	size_t length = strcspn(text, ",}\n\"");

	for (const char *const *word = words; *word; word++) {
		const char *found = memmem(text, length, *word, strlen(*word));

		if (found)
			length = (size_t)(found - text);
	}
	while (length > 0 && text[length - 1] == ' ')
		length--;
	return length;
}

/* To the comma or the brace after the element, or to the end; a comment may hold both. */
static const char *element_end(const char *text)
{
	bool quoted = false;

	for (; *text && (quoted || (*text != ',' && *text != '}')); text++)
		quoted ^= *text == '"';
	return text;
}

/* "192.0.2.1 . 22 timeout 30s expires 29s992ms", and perhaps more. */
static int listing_add_element(struct listing *listing, const char *text, const char *end)
{
	static const char expires[] = " expires ";
	size_t length = element_length(text);
	const char *found = memmem(text, (size_t)(end - text), expires, strlen(expires));
	uint64_t left_us = UINT64_MAX;
	char span[DURATION_TEXT_MAX];
	size_t span_length;

	if (length == 0)
		return 0;
	if (found) {
		found += strlen(expires);
		span_length = strcspn(found, " ,}\n");
		if (span_length < sizeof span) {
			memcpy(span, found, span_length);
			span[span_length] = '\0';
			duration_parse(span, &left_us);
		}
	}
	return listing_add(listing, text, length, left_us);
}

static int listing_add_elements(struct listing *listing, const char *output)
{
	static const char head[] = "\n\t\telements = {";
	const char *text = strstr(output, head);
	int r = 0;

	if (!text)
		return 0;
	text += strlen(head);
	while (r == 0 && *text && *text != '}') {
		const char *end;

		text += strspn(text, ", \t\n");
		end = element_end(text);
		r = listing_add_element(listing, text, end);
		text = end;
	}
	return r;
}

static int nft_list(struct firewall *firewall, const struct passage *passage,
		    struct listing *listing, uint64_t now_us)
{
	struct nft_ctx *context = nft_context_of(firewall);

	(void)now_us;
	listing->error = -ENOMEM;
	if (context) {
		nft_ctx_output_set_flags(context, 0);
		listing->error = nft_run(firewall, passage->set, "list set %s\n", passage->set);
	}
	if (listing->error == 0) { /* otherwise there is no such context any more */
		nft_ctx_output_set_flags(context, NFT_CTX_OUTPUT_TERSE);
		listing->error = listing_add_elements(listing, nft_ctx_get_output_buffer(context));
	}
	listing_sort(listing);
	return FIREWALL_DONE;
}

static bool nft_holds(struct firewall *firewall, const struct passage *passage)
{
	return nft_ask(firewall, passage->set, "get element %s { %s }\n", passage->set,
		       passage->element) == 0;
}

/* All of an opening but the end, which would make it so. */
static int nft_rehearse(struct firewall *firewall, const struct opening *opening,
			enum family family)
{
	const struct placeholder_values values = backend_example("", family);
	CLEANUP(cleanup_free) char *element = set_spell_element(opening, &values);
	int r;

	if (!element)
		return firewall_fail(firewall, -ENOMEM, "nft %s: out of memory",
				     opening->set[family]);
	nft_ctx_set_dry_run(firewall->state[BACKEND_NFT], true);
	r = nft_add(firewall, opening->set[family], element, 1);
	if (firewall->state[BACKEND_NFT])
		nft_ctx_set_dry_run(firewall->state[BACKEND_NFT], false);
	return r;
}

/* The value of a line of `list set`; NULL: there is no such line. */
static const char *output_find(const char *output, const char *key)
{
	const char *found = strstr(output, key);

	return found ? found + strlen(key) : NULL;
}

static size_t text_count_dots(const char *text, const char *end)
{
	size_t n = 0;

	for (; text < end; text++)
		n += strncmp(text, " . ", 3) == 0;
	return n;
}

/* The type holds as many parts as the entry, and an address where the entry has one. */
static int nft_check_type(struct firewall *firewall, const struct opening *opening,
			  enum family family, const char *type)
{
	static const char *const types[N_FAMILIES] = {"ipv4_addr", "ipv6_addr"};
	const char *set = opening->set[family], *entry = opening->entry, *part = type;
	size_t length = strcspn(type, "\n");

	if (text_count_dots(type, type + length) != text_count_dots(entry, entry + strlen(entry)))
		return firewall_fail(firewall, -EMEDIUMTYPE,
				     "nft %s: an element of type %.*s does not look as entry = %s",
				     set, (int)length, type, entry);
	for (size_t n = text_count_dots(entry, strstr(entry, "%IP%")); n > 0; n--)
		part = strstr(part, " . ") + 3;
	if (strncmp(part, types[family], strlen(types[family])) != 0)
		return firewall_fail(firewall, -EAFNOSUPPORT,
				     "nft %s: not a set for %s: its type is %.*s", set,
				     family_name(family), (int)length, type);
	return 0;
}

/* A network is an interval. */
static int nft_check_interval(struct firewall *firewall, const struct opening *opening,
			      enum family family, const char *output)
{
	const char *flags = output_find(output, "\n\t\tflags ");

	if (opening_opens_address(opening, family) ||
	    (flags && memmem(flags, strcspn(flags, "\n"), "interval", strlen("interval"))))
		return 0;
	return firewall_fail(firewall, -EMEDIUMTYPE,
			     "nft %s: created without flags interval, which %s needs",
			     opening->set[family], opening_prefix_key(family));
}

/* What single elements with timeouts of their own need, in the output of `list set`. */
static int nft_check_flags(struct firewall *firewall, const char *set, const char *output)
{
	const char *flags = output_find(output, "\n\t\tflags ");

	if (!flags || !memmem(flags, strcspn(flags, "\n"), "timeout", strlen("timeout")))
		return firewall_fail(firewall, -ETIME, "nft %s: created without flags timeout",
				     set);
	if (output_find(output, "\n\t\tauto-merge"))
		return firewall_fail(firewall, -EMEDIUMTYPE,
				     "nft %s: created with auto-merge, in which single elements "
				     "cannot be renewed",
				     set);
	return 0;
}

static int nft_check_set(struct firewall *firewall, const struct opening *opening,
			 enum family family)
{
	const char *set = opening->set[family], *output, *type;
	int r;

	r = nft_run(firewall, set, "list set %s\n", set);
	if (r < 0)
		return r;
	output = nft_ctx_get_output_buffer(firewall->state[BACKEND_NFT]);
	type = output_find(output, "\n\t\ttype "); /* with typeof, only the rehearsal shows it */
	r = type ? nft_check_type(firewall, opening, family, type) : 0;
	if (r == 0)
		r = nft_check_flags(firewall, set, output);
	if (r == 0)
		r = nft_check_interval(firewall, opening, family, output);
	return r < 0 ? r : nft_rehearse(firewall, opening, family);
}

static int nft_check(struct firewall *firewall, const struct opening *opening, enum family family)
{
	return opening->set[family] ? nft_check_set(firewall, opening, family) : 0;
}

static int nft_check_ports(struct firewall *firewall, const char *set)
{
	const char *output, *type;
	int r = nft_run(firewall, set, "list set %s\n", set);

	if (r < 0)
		return r;
	output = nft_ctx_get_output_buffer(firewall->state[BACKEND_NFT]);
	type = output_find(output, "\n\t\ttype ");
	if (!type || strncmp(type, "inet_service\n", strlen("inet_service\n")) != 0)
		return firewall_fail(firewall, -EMEDIUMTYPE,
				     "nft %s: not a set of ports; create it with type inet_service "
				     "and flags timeout",
				     set);
	return nft_check_flags(firewall, set, output);
}

/* One command for all of them: with timeouts, if they are put in. */
static void put_ports_command(const char *command, const char *set,
			      const struct firewall_port *ports, size_t n, bool timed, FILE *file)
{
	fprintf(file, "%s element %s {", command, set);
	for (size_t i = 0; i < n; i++) {
		fprintf(file, "%s %u", i > 0 ? "," : "", ports[i].port);
		if (timed)
			fprintf(file, " timeout %" PRIu32 "s", ports[i].left_s);
	}
	fputs(" }\n", file);
}

/* As in nft_add(). */
static int nft_put_ports(struct firewall *firewall, const char *set,
			 const struct firewall_port *ports, size_t n)
{
	CLEANUP(cleanup_free) char *commands = NULL;
	FILE *file = text_stream_open(&commands, NULL);
	int r;

	if (!file)
		return firewall_fail(firewall, -ENOMEM, "nft %s: out of memory", set);
	put_ports_command("add", set, ports, n, true, file);
	put_ports_command("delete", set, ports, n, false, file);
	put_ports_command("add", set, ports, n, true, file);
	if (fclose(file) != 0)
		return firewall_fail(firewall, -ENOMEM, "nft %s: out of memory", set);
	r = nft_execute_text(firewall, set, commands);
	if (r < 0)
		nft_drop_context(firewall);
	return r;
}

/* To get an element, libnftables reads those of all sets; to create one, it does not. */
static int nft_has_port(struct firewall *firewall, const char *set, uint16_t port)
{
	int r = nft_ask(firewall, set, "create element %s { %u timeout 1s }\n", set, port);

	return r == 0 ? -ENODATA : r == -EEXIST ? 0 : r;
}

const struct backend backend_nft = {
	.name = "nft",
	.expires = true,
	.spell = set_spell,
	.check = nft_check,
	.open = nft_open,
	.close = nft_close,
	.list = nft_list,
	.find = set_find,
	.knows = set_knows,
	.holds = nft_holds,
	.is_whole = set_is_whole,
	.check_ports = nft_check_ports,
	.put_ports = nft_put_ports,
	.has_port = nft_has_port,
	.free = nft_free,
};
