#include "core/key-file.h"

#include <errno.h>
#include <sodium.h>
#include <string.h>
#include <time.h>

static const char version[] = "knocktail2";

bool realm_is_name(const char *text)
{
	size_t length = strspn(text, "abcdefghijklmnopqrstuvwxyz0123456789._-");

	return length > 0 && length <= REALM_MAX && text[length] == '\0';
}

void key_base(const struct secret *key, const char *realm, struct secret *ret_base)
{
	static const char purpose[] = "knocktail/2";
	const struct secret_piece pieces[] = {{purpose, sizeof purpose}, {realm, strlen(realm)}};

	secret_mac(key, pieces, 2, ret_base->bytes);
}

struct key_id key_id_of(const struct secret *base)
{
	static const char purpose[] = "key-id";
	const struct secret_piece piece = {purpose, sizeof purpose};
	uint8_t mac[SECRET_MAC_SIZE];
	struct key_id id;

	secret_mac(base, &piece, 1, mac);
	memcpy(id.bytes, mac, sizeof id.bytes);
	return id;
}

/* What stands between the version and the key. 0 or -EINVAL. */
static int take_realm(const char *text, size_t length, char ret[static REALM_MAX + 1])
{
	char realm[REALM_MAX + 1] = "";

	if (length > REALM_MAX || memchr(text, '\0', length))
		return -EINVAL;
	memcpy(realm, text, length);
	if (!realm_is_name(realm))
		return -EINVAL;
	memcpy(ret, realm, sizeof realm);
	return 0;
}

/* One line with a key. As key_file_parse(). */
static int key_line_parse(const char *text, size_t length, char ret_realm[static REALM_MAX + 1],
			  struct secret *ret_base)
{
	const char *realm = text + sizeof version, *space;
	struct secret key;
	int r = -EINVAL;

	if (length > sizeof version && memcmp(text, version, sizeof version - 1) == 0 &&
	    realm[-1] == ' ') {
		size_t left = length - sizeof version;

		space = memchr(realm, ' ', left);
		if (space)
			r = secret_parse(space + 1, left - (size_t)(space + 1 - realm), &key);
		if (r == 0)
			r = take_realm(realm, (size_t)(space - realm), ret_realm);
		if (r == 0)
			key_base(&key, ret_realm, ret_base);
	} else if (secret_parse(text, length, &key) == 0) {
		r = -EPROTONOSUPPORT;
	}
	secret_wipe(&key);
	return r;
}

static const char *first_key_fault(int error)
{
	return error == -EPROTONOSUPPORT
		       ? "it is a key of version 1, which names no realm"
		       : "its first line is not \"knocktail2 REALM KEY\", with 32 bytes in base64 as "
			 "the key";
}

/* A line with a key. NULL, or what is wrong with it. */
static const char *take_key(struct key_file *file, const char *text, size_t length)
{
	char realm[REALM_MAX + 1];

	if (file->n == KEY_FILE_KEYS)
		return "it has more than two keys: one, and the one before";
	if (key_line_parse(text, length, realm, &file->bases[file->n]) < 0)
		return "its second key is not \"knocktail2 REALM KEY\"";
	if (strcmp(realm, file->realm) != 0)
		return "its keys are for different realms";
	if (sodium_memcmp(&file->bases[0], &file->bases[1], sizeof file->bases[0]) == 0)
		return "its two keys are the same";
	file->n++;
	return NULL;
}

static const char *take_date(uint64_t *term, const char *text, size_t length)
{
	if (*term > 0)
		return "a key has two lines with since, or two with expires";
	if (key_date_parse(text, length, term) < 0)
		return "a date in it is not YYYY-MM-DD or YYYY-MM-DDThh:mm:ssZ";
	return NULL;
}

static bool begins_with(const char *text, size_t length, const char *word)
{
	return length >= strlen(word) && memcmp(text, word, strlen(word)) == 0;
}

/* A line behind the first. */
static const char *take_line(struct key_file *file, const char *text, size_t length)
{
	struct key_term *term = &file->terms[file->n - 1];

	if (begins_with(text, length, "since "))
		return take_date(&term->since_s, text + 6, length - 6);
	if (begins_with(text, length, "expires "))
		return take_date(&term->expires_s, text + 8, length - 8);
	if (begins_with(text, length, version))
		return take_key(file, text, length);
	return "a line in it is neither a key nor since DATE nor expires DATE";
}

/* What is wrong with them together; NULL: nothing. */
static const char *terms_fault(const struct key_file *file)
{
	for (size_t i = 0; i < file->n; i++)
		if (file->terms[i].expires_s > 0 &&
		    file->terms[i].since_s >= file->terms[i].expires_s)
			return "a key in it expires before it is good: since is not before expires";
	if (file->n > 1 && file->terms[1].expires_s == 0)
		return "its second key, which is the one before, has no expires";
	return NULL;
}

/* Up to its newline, or the end. */
static size_t line_length(const char *text, size_t left)
{
	const char *newline = left > 0 ? memchr(text, '\n', left) : NULL;

	return newline ? (size_t)(newline - text) : left;
}

static const char *take_lines(struct key_file *file, const char *text, size_t left)
{
	const char *fault = NULL;

	while (!fault && left > 0) {
		size_t length = line_length(text, left), taken = length + (length < left);

		fault = take_line(file, text, length);
		text += taken;
		left -= taken;
	}
	return fault ? fault : terms_fault(file);
}

int key_file_parse(const char *text, size_t length, struct key_file *ret, const char **ret_fault)
{
	size_t first = line_length(text, length), taken = first + (first < length);
	struct key_file file = {.n = 1};
	const char *fault = NULL;
	int r = key_line_parse(text, first, file.realm, &file.bases[0]);

	if (r < 0)
		fault = first_key_fault(r);
	else
		fault = take_lines(&file, text + taken, length - taken);
	if (fault)
		*ret_fault = fault;
	else
		*ret = file;
	key_file_wipe(&file);
	return r == 0 && fault ? -EINVAL : r;
}

void key_file_wipe(struct key_file *file)
{
	sodium_memzero(file, sizeof *file);
}

/* So many digits. */
static int take_digits(const char *text, size_t n)
{
	int number = 0;

	for (size_t i = 0; i < n; i++) {
		if (text[i] < '0' || text[i] > '9')
			return -1;
		number = 10 * number + (text[i] - '0');
	}
	return number;
}

/* Whether all that is no digit stands as in this, where 0 is any character. */
static bool is_shaped(const char *text, size_t length, const char *shape)
{
	if (length != strlen(shape))
		return false;
	for (size_t i = 0; i < length; i++)
		if (shape[i] != '0' && shape[i] != text[i])
			return false;
	return true;
}

/* From 1970-01-01 on, as the Gregorian calendar has it; years begin in March here. */
static int64_t days_until(int64_t year, int month, int day)
{
	int64_t from = month > 2 ? year : year - 1;
	int day_of_year = (153 * (month > 2 ? month - 3 : month + 9) + 2) / 5 + day - 1;

	return 365 * from + from / 4 - from / 100 + from / 400 + day_of_year - 719468;
}

/* Midnight. -1: there is no such day, or not from 1970 on. */
static int64_t take_day(const char *text)
{
	int year = take_digits(text, 4), month = take_digits(text + 5, 2),
	    day = take_digits(text + 8, 2);

	if (year < 1970 || month < 1 || month > 12 || day < 1 ||
	    days_until(year, month, day) >=
		    (month < 12 ? days_until(year, month + 1, 1) : days_until(year + 1, 1, 1)))
		return -1;
	return days_until(year, month, day) * 86400;
}

/* -1: it is not a time of day. */
static int64_t take_clock(const char *text)
{
	int hour = take_digits(text, 2), minute = take_digits(text + 3, 2),
	    second = take_digits(text + 6, 2);

	if (hour < 0 || hour > 23 || minute < 0 || minute > 59 || second < 0 || second > 59)
		return -1;
	return (hour * 60 + minute) * 60 + second;
}

int key_date_parse(const char *text, size_t length, uint64_t *ret_s)
{
	bool has_time = is_shaped(text, length, "0000-00-00T00:00:00Z");
	int64_t day, clock;

	if (!has_time && !is_shaped(text, length, "0000-00-00"))
		return -EINVAL;
	day = take_day(text);
	clock = has_time ? take_clock(text + 11) : 0;
	if (day < 0 || clock < 0 || day + clock == 0)
		return -EINVAL;
	*ret_s = (uint64_t)(day + clock);
	return 0;
}

const char *key_date_format(uint64_t unix_s, char text[static KEY_DATE_SIZE])
{
	time_t seconds = (time_t)unix_s;
	struct tm tm = {0};

	gmtime_r(&seconds, &tm);
	strftime(text, KEY_DATE_SIZE, unix_s % 86400 == 0 ? "%Y-%m-%d" : "%Y-%m-%dT%H:%M:%SZ", &tm);
	return text;
}

bool key_term_holds(const struct key_term *term, uint64_t unix_s)
{
	return unix_s >= term->since_s && (term->expires_s == 0 || unix_s < term->expires_s);
}

void key_line_format(const char *realm, const struct secret *key,
		     char line[static KEY_LINE_MAX + 1])
{
	char *end = stpcpy(line, version);

	*end++ = ' ';
	end = stpcpy(end, realm);
	*end++ = ' ';
	secret_format(key, end);
}
