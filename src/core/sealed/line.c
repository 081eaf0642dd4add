#include "core/sealed/line.h"

#include <errno.h>
#include <sodium.h>
#include <string.h>

#include "core/sealed/pbkdf2.h"

static const char sealed[] = "knocktail2-sealed ", plain[] = "knocktail2-open ";

enum {
	BOX_MAX = KEY_FILE_MAX + GCM_TAG_SIZE,
	N_DIGITS = 8,
	BASE64 = sodium_base64_VARIANT_ORIGINAL
};

/* Writes behind the text that is there. */
static void line_append(char line[static SEALED_LINE_MAX + 1], const uint8_t *data, size_t size)
{
	size_t length = strlen(line);

	sodium_bin2base64(line + length, SEALED_LINE_MAX + 1 - length, data, size, BASE64);
}

static void line_append_number(char *line, uint32_t number)
{
	char digits[N_DIGITS + 1] = "";
	size_t first = N_DIGITS;

	for (; number > 0; number /= 10)
		digits[--first] = (char)('0' + number % 10);
	stpcpy(line + strlen(line), digits + first);
}

static void line_append_blank(char *line)
{
	stpcpy(line + strlen(line), " ");
}

void sealed_line_format(const char *text, size_t size, const char *passphrase, size_t length,
			const uint8_t random[static SEALED_RANDOM_SIZE],
			char ret_line[static SEALED_LINE_MAX + 1])
{
	const uint8_t *nonce = random + SEALED_SALT_SIZE;
	uint8_t box[BOX_MAX];
	struct secret key;

	pbkdf2_derive(passphrase, length, random, SEALED_SALT_SIZE, SEALED_ROUNDS, &key);
	gcm_seal(&key, nonce, (const uint8_t *)text, size, box);
	secret_wipe(&key);
	memcpy(ret_line, sealed, sizeof sealed);
	line_append_number(ret_line, SEALED_ROUNDS);
	line_append_blank(ret_line);
	line_append(ret_line, random, SEALED_SALT_SIZE);
	line_append_blank(ret_line);
	line_append(ret_line, nonce, GCM_NONCE_SIZE);
	line_append_blank(ret_line);
	line_append(ret_line, box, size + GCM_TAG_SIZE);
}

void open_line_format(const char *text, size_t size, char ret_line[static SEALED_LINE_MAX + 1])
{
	memcpy(ret_line, plain, sizeof plain);
	line_append(ret_line, (const uint8_t *)text, size);
}

static bool is_of_line(char c)
{
	return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') ||
	       c == '+' || c == '/' || c == '=' || c == '-' || c == ' ';
}

static bool begins_with(const char *text, size_t length, const char *with)
{
	return length >= strlen(with) && memcmp(text, with, strlen(with)) == 0;
}

bool sealed_line_find(const char *file, size_t size, const char **ret_line, size_t *ret_length)
{
	const char *found = file, *end = file + size;
	size_t length = 0;

	/* The first of either: the page's own program speaks of them, too. */
	while (found < end && !begins_with(found, (size_t)(end - found), sealed) &&
	       !begins_with(found, (size_t)(end - found), plain))
		found++;
	if (found == end)
		return false;
	while (found + length < end && is_of_line(found[length]))
		length++;
	*ret_line = found;
	*ret_length = length;
	return true;
}

bool sealed_line_is_sealed(const char *line, size_t length)
{
	return begins_with(line, length, sealed);
}

/* The next word of the line, and the blank behind it, which the last one does not have. */
static void take_word(const char **line, size_t *left, const char **ret, size_t *ret_length)
{
	const char *blank = memchr(*line, ' ', *left);

	*ret = *line;
	*ret_length = blank ? (size_t)(blank - *line) : *left;
	*line += *ret_length + (blank != NULL);
	*left -= *ret_length + (blank != NULL);
}

static int take_bytes(const char **line, size_t *left, uint8_t *ret, size_t max, size_t *ret_size)
{
	const char *word, *end;
	size_t length;

	take_word(line, left, &word, &length);
	if (sodium_base642bin(ret, max, word, length, NULL, ret_size, &end, BASE64) != 0 ||
	    end != word + length)
		return -EINVAL;
	return 0;
}

static int take_rounds(const char **line, size_t *left, uint32_t *ret)
{
	const char *word;
	uint32_t number = 0;
	size_t length;

	take_word(line, left, &word, &length);
	if (length == 0 || length > N_DIGITS)
		return -EINVAL;
	for (size_t i = 0; i < length; i++) {
		if (word[i] < '0' || word[i] > '9')
			return -EINVAL;
		number = 10 * number + (uint32_t)(word[i] - '0');
	}
	if (number == 0 || number > SEALED_ROUNDS_MAX)
		return -EINVAL;
	*ret = number;
	return 0;
}

static int sealed_open(const char *line, size_t left, const char *passphrase, size_t length,
		       char ret_text[static KEY_FILE_MAX], size_t *ret_size)
{
	uint8_t salt[SEALED_SALT_SIZE], nonce[GCM_NONCE_SIZE], box[BOX_MAX];
	size_t salt_size, nonce_size, box_size;
	struct secret key;
	uint32_t rounds;
	int r;

	if (take_rounds(&line, &left, &rounds) < 0 ||
	    take_bytes(&line, &left, salt, sizeof salt, &salt_size) < 0 ||
	    take_bytes(&line, &left, nonce, sizeof nonce, &nonce_size) < 0 ||
	    take_bytes(&line, &left, box, sizeof box, &box_size) < 0 || left > 0 ||
	    salt_size != sizeof salt || nonce_size != sizeof nonce || box_size < GCM_TAG_SIZE)
		return -EINVAL;
	pbkdf2_derive(passphrase, length, salt, sizeof salt, rounds, &key);
	r = gcm_open(&key, nonce, box, box_size, (uint8_t *)ret_text);
	secret_wipe(&key);
	if (r == 0)
		*ret_size = box_size - GCM_TAG_SIZE;
	return r;
}

int sealed_line_read(const char *line, size_t length, const char *passphrase,
		     size_t passphrase_length, char ret_text[static KEY_FILE_MAX], size_t *ret_size)
{
	if (sealed_line_is_sealed(line, length))
		return sealed_open(line + sizeof sealed - 1, length - (sizeof sealed - 1),
				   passphrase, passphrase_length, ret_text, ret_size);
	if (!begins_with(line, length, plain))
		return -EINVAL;
	line += sizeof plain - 1;
	length -= sizeof plain - 1;
	return take_bytes(&line, &length, (uint8_t *)ret_text, KEY_FILE_MAX, ret_size) < 0 ||
			       length > 0
		       ? -EINVAL
		       : 0;
}
