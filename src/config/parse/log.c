#include "config/parse/parse.h"

#include <ctype.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "config/complaint.h"
#include "config/key.h"
#include "core/other-log.h"
#include "core/strv.h"
#include "util/cleanup.h"

/* The longest name that journald takes for a field. */
enum { FIELD_MAX = 64, MATCHES_MAX = 16 };

static bool is_journal_match(const char *word)
{
	static const char capitals[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZ_";
	static const char others[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZ_0123456789";
	size_t length = strspn(word, others);

	return length > 0 && length <= FIELD_MAX && strchr(capitals, word[0]) &&
	       word[length] == '=' && word[length + 1] != '\0';
}

/* The first that is none; NULL: all are. */
static const char *find_wrong(char *const *matches)
{
	while (*matches && is_journal_match(*matches))
		matches++;
	return *matches;
}

static bool asks_kernel(char *const *matches)
{
	while (*matches && strcmp(*matches, "_TRANSPORT=kernel") != 0)
		matches++;
	return *matches != NULL;
}

/* Fields of journald's own, whose names begin with '_', that tell who writes. The others of these
 * anybody can have as they like, by a program that is called so, or that runs another one: ulogd
 * takes packets from whoever has a network namespace. */
static bool tells_writer(const char *match)
{
	static const char *const fields[] = {
		"_UID=",
		"_GID=",
		"_SYSTEMD_UNIT=",
		"_SYSTEMD_CGROUP=",
		"_SYSTEMD_SLICE=",
		"_SYSTEMD_INVOCATION_ID=",
		"_SELINUX_CONTEXT=",
		"_AUDIT_LOGINUID=",
	};

	for (size_t i = 0; i < sizeof fields / sizeof fields[0]; i++)
		if (strncmp(match, fields[i], strlen(fields[i])) == 0)
			return true;
	return false;
}

static bool is_trusted(char *const *matches)
{
	while (*matches && !tells_writer(*matches))
		matches++;
	return *matches != NULL;
}

static void cleanup_matches(char ***matches)
{
	strv_free(*matches);
}

static int split_words(const char *text, char ***ret)
{
	char *copy CLEANUP(cleanup_free) = strdup(text), *rest = copy, *word;
	char **matches CLEANUP(cleanup_matches) = calloc(strlen(text) / 2 + 2, sizeof(*matches));
	size_t n = 0;

	if (!copy || !matches)
		return -ENOMEM;
	while ((word = strsep(&rest, " \t"))) {
		if (*word == '\0')
			continue;
		matches[n] = strdup(word);
		if (!matches[n++])
			return -ENOMEM;
	}
	*ret = TAKE_PTR(matches);
	return 0;
}

static size_t count_matches(char *const *matches)
{
	size_t n = 0;

	while (matches[n])
		n++;
	return n;
}

int parse_matches(const struct key_reading *reading, const char *text, void *field)
{
	char **matches CLEANUP(cleanup_matches) = NULL;
	const char *wrong;
	int r = split_words(text, &matches);

	if (r < 0)
		return r;
	wrong = find_wrong(matches);
	if (wrong || !matches[0] || count_matches(matches) > MATCHES_MAX)
		return parse_reject(reading, wrong ? wrong : text,
				    "1 to %d matches of the journal with blanks between them, such "
				    "as _SYSTEMD_UNIT=rsyslog.service SYSLOG_IDENTIFIER=edge",
				    MATCHES_MAX);
	if (asks_kernel(matches)) {
		complain_error(reading->complaints, reading->line,
			       "%s: %s: what the kernel logs is no other log's: leave out "
			       "_TRANSPORT=kernel, and see log_prefix",
			       reading->where, reading->key->name);
		return -EBADMSG;
	}
	if (!is_trusted(matches))
		complain_warning(reading->complaints, reading->line,
				 "%s: %s has no field by which journald tells who writes, such as "
				 "_SYSTEMD_UNIT or _UID: everybody on this machine can write lines "
				 "that count",
				 reading->where, reading->key->name);
	*(char ***)field = TAKE_PTR(matches);
	return 0;
}

int parse_pattern(const struct key_reading *reading, const char *text, void *field)
{
	char *copy;

	if (*text == '\0')
		return parse_reject(reading, text, "a regular expression");
	copy = strdup(text);
	if (!copy)
		return -ENOMEM;
	*(char **)field = copy;
	return 0;
}

/* The name of a section, which has small letters only. */
int parse_log(const struct key_reading *reading, const char *text, void *field)
{
	char *copy;

	if (*text == '\0' || strlen(text) > DOOR_NAME_MAX)
		return parse_reject(reading, text, "the name of a [log NAME] section");
	copy = strdup(text);
	if (!copy)
		return -ENOMEM;
	for (char *c = copy; *c != '\0'; c++)
		*c = (char)tolower((unsigned char)*c);
	*(char **)field = copy;
	return 0;
}
