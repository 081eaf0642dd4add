#include "cli/import/fwknop/client.h"

#include <arpa/inet.h>
#include <ctype.h>
#include <inttypes.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "cli/import/fwknop/file.h"
#include "cli/import/result.h"
#include "config/text.h"
#include "util/number.h"

enum { NAME_MAX_BYTES = 64, HOST_MAX_BYTES = 255, TIME_MAX_S = 65535 };

static const struct {
	const char *name, *text;
} client_variables[] = {
	{"KEY", "keys are not carried over: bring the one that `knocktail keygen` makes"},
	{"KEY_BASE64", "keys are not carried over: bring the one that `knocktail keygen` makes"},
	{"KEY_FILE", "keys are not carried over: bring the one that `knocktail keygen` makes"},
	{"HMAC_KEY", "keys are not carried over: one key does both here"},
	{"HMAC_KEY_BASE64", "keys are not carried over: one key does both here"},
	{"HMAC_KEY_FILE", "keys are not carried over: one key does both here"},
	{"USE_HMAC", "needs nothing here: every request is authenticated"},
	{"HMAC_DIGEST_TYPE", "there is one algorithm here, knocktail-protocol(7)"},
	{"DIGEST_TYPE", "there is one algorithm here, knocktail-protocol(7)"},
	{"ENCRYPTION_MODE", "there is one algorithm here, knocktail-protocol(7)"},
	{"SPA_SERVER_PORT", "needs nothing here: each request goes to a port of its own"},
	{"SPA_SERVER_PROTO", "needs nothing here: a request is one TCP SYN"},
	{"SPA_SOURCE_PORT", "not carried over: the system chooses it"},
	{"ACCESS", "not carried over: the door decides what it opens: put its name as Door here"},
	{"NAT_ACCESS", "not carried over: the door decides where it leads"},
	{"NAT_LOCAL", "not carried over: the door decides where it leads"},
	{"NAT_PORT", "not carried over: the door decides where it leads"},
	{"NAT_RAND_PORT", "not carried over: the door decides where it leads"},
	{"SPOOF_USER", "not carried over: the key says whose request it is"},
	{"RESOLVE_IP_HTTPS", "not carried over: no web server is asked; see ALLOW_IP"},
	{"RESOLVE_IP_HTTP_ONLY", "not carried over: no web server is asked; see ALLOW_IP"},
	{"RESOLVE_URL", "not carried over: no web server is asked; see ALLOW_IP"},
	{"WGET_CMD", "not carried over: no web server is asked; see ALLOW_IP"},
	{"TIME_OFFSET", "not carried over: both clocks have to be right"},
	{"RAND_PORT", "needs nothing here: each request goes to a port of its own"},
};

static const char *const client_keys[] = {"[", "SPA_SERVER", "ALLOW_IP", "FW_TIMEOUT"};

struct profile_import {
	const struct fwknop_file *file;
	const struct import_result *result;
	size_t stanza;
	bool is_default;
};

static bool is_client_variable(const char *name)
{
	for (size_t i = 0; i < sizeof client_variables / sizeof client_variables[0]; i++)
		if (strcmp(client_variables[i].name, name) == 0)
			return true;
	for (size_t i = 0; i < sizeof client_keys / sizeof client_keys[0]; i++)
		if (strcmp(client_keys[i], name) == 0)
			return true;
	return false;
}

/* A name that is one word of a profile, and no pattern. */
static void make_name(const char *text, char ret[static NAME_MAX_BYTES + 1])
{
	size_t n = 0;

	for (; text[n] && n < NAME_MAX_BYTES; n++)
		ret[n] = isascii(text[n]) && (isalnum(text[n]) || strchr("._-", text[n])) ? text[n]
											  : '-';
	ret[n] = '\0';
}

static bool is_host(const char *text)
{
	size_t length = strlen(text);

	return length > 0 && length <= HOST_MAX_BYTES && text[0] != '-' &&
	       strspn(text, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789.:_-") ==
		       length;
}

static void profile_note(const struct profile_import *self, const struct fwknop_line *line,
			 const char *text)
{
	char quoted[TEXT_QUOTED_MAX];

	import_note(self->result, self->result->out, NULL, line->number, "%s: %s",
		    is_client_variable(line->name) ? line->name : fwknop_quote(line->name, quoted),
		    text);
}

static const char *find_client_text(const char *name)
{
	for (size_t i = 0; i < sizeof client_variables / sizeof client_variables[0]; i++)
		if (strcmp(client_variables[i].name, name) == 0)
			return client_variables[i].text;
	if (is_client_variable(name))
		return NULL;
	return strncmp(name, "GPG_", 4) == 0 || strcmp(name, "USE_GPG") == 0 ||
			       strcmp(name, "USE_GPG_AGENT") == 0
		       ? "not carried over: GnuPG means nothing here"
		       : "not carried over: it has no counterpart here";
}

/* Which address the request is bound to. */
static void put_source(const struct profile_import *self, const struct fwknop_line *line)
{
	unsigned char address[sizeof(struct in6_addr)];

	if (strcasecmp(line->value, "source") == 0 || strcmp(line->value, "0.0.0.0") == 0) {
		fputs("\tSource none\n", self->result->out);
	} else if (inet_pton(AF_INET, line->value, address) == 1 ||
		   inet_pton(AF_INET6, line->value, address) == 1) {
		fprintf(self->result->out, "\tSource %s\n", line->value);
	} else {
		fputs("\tSource auto\n", self->result->out);
		profile_note(
			self, line,
			"no web server is asked: auto is this machine's own address; behind "
			"NAT put the outer one, or none if the door's bind_source allows that");
	}
}

static void put_line(const struct profile_import *self, const struct fwknop_line *line)
{
	const char *text = find_client_text(line->name);
	uint64_t seconds;

	if (text) {
		profile_note(self, line, text);
	} else if (strcmp(line->name, "ALLOW_IP") == 0) {
		put_source(self, line);
	} else if (strcmp(line->name, "FW_TIMEOUT") == 0) {
		if (number_parse(line->value, strlen(line->value), &seconds) == 0 && seconds > 0 &&
		    seconds <= TIME_MAX_S)
			fprintf(self->result->out, "\tTime %" PRIu64 "s\n", seconds);
		else
			profile_note(self, line,
				     "not a number of seconds that a request can ask for; skipped");
	} else if (strcmp(line->name, "SPA_SERVER") == 0) {
		if (is_host(line->value))
			fprintf(self->result->out, "\tHostName %s\n", line->value);
		else
			profile_note(self, line, "not a host's name; skipped");
	}
}

/* Whether another line of the stanza with this name comes later, which is what counts. */
static bool is_overruled(const struct fwknop_file *file, size_t i)
{
	for (size_t j = i + 1; j < file->n_lines; j++)
		if (file->lines[j].stanza == file->lines[i].stanza &&
		    strcmp(file->lines[j].name, file->lines[i].name) == 0)
			return true;
	return false;
}

static void import_profile(struct profile_import *self)
{
	const char *section = fwknop_find(self->file, self->stanza, "[");
	FILE *out = self->result->out;
	char name[NAME_MAX_BYTES + 1];

	make_name(section ? section : "x", name);
	fprintf(out, "\nHost %s\n", self->is_default ? "*" : name);
	if (!self->is_default)
		fprintf(out, "\tKnock spa\n\tKey %s.key\n\t# Door NAME, as the server calls it\n",
			name);
	for (size_t i = 0; i < self->file->n_lines; i++)
		if (self->file->lines[i].stanza == self->stanza && !is_overruled(self->file, i))
			put_line(self, &self->file->lines[i]);
}

static bool is_default(const struct fwknop_file *file, size_t stanza)
{
	const char *name = fwknop_find(file, stanza, "[");

	return name && strcmp(name, "default") == 0;
}

void fwknop_import_client(const struct fwknop_file *file, struct import_result *result)
{
	import_put_head(result, "a .fwknoprc of fwknop's");
	import_note(result, result->out, NULL, 0,
		    "keys: bring each key that `knocktail keygen` makes on a server, as the file "
		    "that Key names, beside this one, readable for you alone");
	/* The first value counts in profiles: the defaults come last. */
	for (int pass = 0; pass < 2; pass++)
		for (size_t i = 1; i <= file->n_stanzas; i++) {
			struct profile_import self = {file, result, i, is_default(file, i)};

			if (self.is_default != (pass == 1))
				continue;
			import_profile(&self);
			result->n_doors += !self.is_default;
		}
}
