#include "fleet/config.h"

#include <errno.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "util/cleanup.h"
#include "util/file.h"
#include "util/number.h"

enum { LINE_MAX_BYTES = 1000 };

/* A reading: of the configuration, line by line. */
struct fleet_reading {
	struct fleet_config *config;
	fleet_complain_fn complain;
	void *userdata;
	unsigned line, n_complaints;
	int error;   /* -ENOMEM */
	int section; /* of the table; -1: none, or one that was complained about */
	unsigned seen_sections;
	uint64_t seen; /* keys, by their row */
};

DEFINE_CLEANUP(struct fleet_config *, fleet_config_free)

__attribute__((format(printf, 2, 3))) static void reading_complain(struct fleet_reading *reading,
								   const char *format, ...)
{
	char text[400];
	va_list arguments;

	va_start(arguments, format);
	vsnprintf(text, sizeof text, format, arguments);
	va_end(arguments);
	reading->complain(reading->userdata, reading->line, text);
	reading->n_complaints++;
}

enum section { SECTION_FLEET, SECTION_BROKER, SECTION_DOORS, N_SECTIONS };
static const char *const section_names[N_SECTIONS] = {"fleet", "broker", "doors"};

static bool is_path(const char *value)
{
	return value[0] == '/';
}

/* No blank, so that nothing that was meant as a comment becomes part of it. */
static bool is_word(const char *value)
{
	return value[0] != '\0' && !strpbrk(value, " \t");
}

/* What has a colon is an IPv6 address: a port is a key of its own. */
static bool is_broker(const char *value)
{
	struct address address;

	return is_word(value) && (!strchr(value, ':') || address_parse(value, &address) == 0);
}

static const struct {
	enum section section;
	const char *key;
	size_t at, size;
	bool (*is_right)(const char *value);
	const char *expected;
} fleet_keys[] = {
#define FLEET_KEY(section, key, member, check, expected)                                           \
	{                                                                                          \
		section, key, offsetof(struct fleet_config, member),                               \
			sizeof((struct fleet_config *)0)->member, check, expected                  \
	}
	FLEET_KEY(SECTION_FLEET, "name", name, user_is_name,
		  "1 to 32 of a-z 0-9 _ -, the first a letter or a digit"),
	FLEET_KEY(SECTION_FLEET, "host", host, visitor_host_is_name,
		  "1 to 63 of a-z 0-9 . _ -, the first a letter or a digit"),
	FLEET_KEY(SECTION_FLEET, "key", key, is_path, "the path of the fleet's key"),
	FLEET_KEY(SECTION_BROKER, "host", broker, is_broker,
		  "a name or an address, without a port"),
	FLEET_KEY(SECTION_BROKER, "socket", socket, is_path, "the path of a socket"),
	FLEET_KEY(SECTION_BROKER, "ca", ca, is_path, "the path of a file of certificates"),
	FLEET_KEY(SECTION_BROKER, "certificate", certificate, is_path, "the path of a certificate"),
	FLEET_KEY(SECTION_BROKER, "private_key", private_key, is_path, "the path of a key"),
	FLEET_KEY(SECTION_BROKER, "user", user, is_word, "a name"),
	FLEET_KEY(SECTION_BROKER, "password_file", password_file, is_path, "the path of a file"),
#undef FLEET_KEY
};
enum { N_FLEET_KEYS = sizeof fleet_keys / sizeof fleet_keys[0] };
_Static_assert((int)N_FLEET_KEYS <= (int)FLEET_KEYS_MAX, "each key has a line");

static void reading_set_port(struct fleet_reading *reading, const char *value)
{
	uint64_t port;

	if (number_parse(value, strlen(value), &port) < 0 || port < 1 || port > UINT16_MAX)
		reading_complain(reading, "port is '%s': expected a port from 1 to 65535", value);
	else if (reading->config->port)
		reading_complain(reading, "port stood before");
	else
		reading->config->port = (uint16_t)port;
}

static void reading_set(struct fleet_reading *reading, const char *key, const char *value)
{
	for (size_t i = 0; i < N_FLEET_KEYS; i++) {
		if ((int)fleet_keys[i].section != reading->section ||
		    strcmp(fleet_keys[i].key, key) != 0)
			continue;
		if (reading->seen & UINT64_C(1) << i)
			reading_complain(reading, "%s stood before", key);
		else if (strlen(value) >= fleet_keys[i].size || !fleet_keys[i].is_right(value))
			reading_complain(reading, "%s is '%s': expected %s", key, value,
					 fleet_keys[i].expected);
		else
			memcpy((char *)reading->config + fleet_keys[i].at, value,
			       strlen(value) + 1);
		reading->seen |= UINT64_C(1) << i;
		reading->config->lines[i] = reading->line;
		return;
	}
	if (reading->section == SECTION_BROKER && strcmp(key, "port") == 0)
		reading_set_port(reading, value);
	else
		reading_complain(reading, "there is no key %s in [%s]", key,
				 section_names[reading->section]);
}

static void reading_share(struct fleet_reading *reading, const char *door, const char *name)
{
	struct fleet_config *config = reading->config;
	struct fleet_share *shares;

	if (!user_is_name(door) || !user_is_name(name)) {
		reading_complain(reading, "expected DOOR = NAME, the door's name here and in the "
					  "fleet");
		return;
	}
	if (fleet_config_name(config, door) || fleet_config_door(config, name)) {
		reading_complain(reading, "the door %s, or the name %s, stood before", door, name);
		return;
	}
	if (config->n_shares == FLEET_SHARES_MAX) {
		reading_complain(reading, "more than %d doors", FLEET_SHARES_MAX);
		return;
	}
	shares = reallocarray(config->shares, config->n_shares + 1, sizeof *shares);
	if (!shares) {
		reading->error = -ENOMEM;
		return;
	}
	config->shares = shares;
	memcpy(shares[config->n_shares].door, door, strlen(door) + 1);
	memcpy(shares[config->n_shares].name, name, strlen(name) + 1);
	shares[config->n_shares].line = reading->line;
	config->n_shares++;
}

static void reading_section(struct fleet_reading *reading, char *line)
{
	size_t length = strlen(line);

	reading->section = -1;
	if (line[length - 1] != ']') {
		reading_complain(reading, "expected [SECTION]");
		return;
	}
	line[length - 1] = '\0';
	for (int i = 0; i < N_SECTIONS; i++)
		if (strcmp(line + 1, section_names[i]) == 0)
			reading->section = i;
	if (reading->section < 0)
		reading_complain(reading,
				 "there is no section [%s]: expected fleet, broker or "
				 "doors",
				 line + 1);
	else if (reading->seen_sections & 1u << reading->section)
		reading_complain(reading, "[%s] stood before", line + 1);
	else
		reading->seen_sections |= 1u << reading->section;
}

/* Without the blanks around it. */
static char *text_trim(char *text)
{
	size_t length;

	text += strspn(text, " \t");
	length = strlen(text);
	while (length > 0 && strchr(" \t\r", text[length - 1]))
		length--;
	text[length] = '\0';
	return text;
}

static void reading_line(struct fleet_reading *reading, char *line)
{
	char *value;

	line = text_trim(line);
	if (!*line || *line == '#' || *line == ';')
		return;
	for (const char *c = line; *c; c++)
		if ((unsigned char)*c < ' ' && *c != '\t') {
			reading_complain(reading, "a control character");
			return;
		}
	if (*line == '[') {
		reading_section(reading, line);
		return;
	}
	value = strchr(line, '=');
	if (!value || value == line) {
		reading_complain(reading, "expected KEY = VALUE or [SECTION]");
		return;
	}
	*value++ = '\0';
	if (reading->section == SECTION_DOORS)
		reading_share(reading, text_trim(line), text_trim(value));
	else if (reading->section >= 0)
		reading_set(reading, text_trim(line), text_trim(value));
	else if (reading->seen_sections == 0)
		reading_complain(reading, "a key before the first section");
}

bool fleet_config_is_local(const struct fleet_config *config)
{
	struct address address;

	if (config->socket[0])
		return true;
	if (address_parse(config->broker, &address) < 0)
		return false;
	return address_family(&address) == FAMILY_IPV4
		       ? address.bytes[12] == 127
		       : address_equal(&address, &(struct address){{[15] = 1}});
}

/* What must hold between keys. */
static void reading_check(struct fleet_reading *reading)
{
	const struct fleet_config *config = reading->config;

	reading->line = 0;
	if (!config->name[0] || !config->host[0] || !config->key[0])
		reading_complain(reading, "[fleet] needs name, host and key");
	if (!config->broker[0] == !config->socket[0])
		reading_complain(reading, "[broker] needs either host or socket");
	if (config->socket[0] && (config->ca[0] || config->port))
		reading_complain(reading, "[broker]: a socket has neither port nor ca");
	if (config->broker[0] && !config->ca[0] && !fleet_config_is_local(config))
		reading_complain(reading,
				 "[broker]: %s needs TLS, and so a ca: without it there is "
				 "only an address of loopback, such as 127.0.0.1, or a "
				 "socket",
				 config->broker);
	if (!config->certificate[0] != !config->private_key[0])
		reading_complain(reading, "[broker]: certificate and private_key need each other");
	if (config->certificate[0] && !config->ca[0])
		reading_complain(reading, "[broker]: a certificate is of use with a ca only");
	if (config->password_file[0] && !config->user[0])
		reading_complain(reading, "[broker]: password_file needs user");
	if (config->n_shares == 0)
		reading_complain(reading, "[doors] shares none");
}

int fleet_config_parse(const char *text, size_t size, fleet_complain_fn complain, void *userdata,
		       struct fleet_config **ret)
{
	CLEANUP(cleanup_fleet_config_free)
	struct fleet_config *config = calloc(1, sizeof *config);
	struct fleet_reading reading = {
		.config = config, .complain = complain, .userdata = userdata, .section = -1};
	char line[LINE_MAX_BYTES + 1];

	if (!config)
		return -ENOMEM;
	while (size > 0 && reading.error == 0) {
		const char *end = memchr(text, '\n', size);
		size_t length = end ? (size_t)(end - text) : size;

		reading.line++;
		if (length > LINE_MAX_BYTES || memchr(text, '\0', length)) {
			reading_complain(&reading, "a line of more than %d bytes, or a zero byte",
					 LINE_MAX_BYTES);
		} else {
			memcpy(line, text, length);
			line[length] = '\0';
			reading_line(&reading, line);
		}
		length += end != NULL;
		text += length;
		size -= length;
	}
	if (reading.error < 0)
		return reading.error;
	if (reading.n_complaints == 0)
		reading_check(&reading);
	if (reading.n_complaints > 0)
		return -EBADMSG;
	*ret = TAKE_PTR(config);
	return 0;
}

int fleet_config_load(const char *path, fleet_complain_fn complain, void *userdata,
		      struct fleet_config **ret)
{
	CLEANUP(cleanup_close) int fd = -1;
	CLEANUP(cleanup_free) char *text = NULL;
	struct stat status;
	size_t size;
	int r = file_open_regular(path, 0, &fd, &status);

	if (r == 0)
		r = file_read(fd, FLEET_CONFIG_MAX, &text, &size);
	return r < 0 ? r : fleet_config_parse(text, size, complain, userdata, ret);
}

struct fleet_config *fleet_config_free(struct fleet_config *config)
{
	if (config)
		free(config->shares);
	free(config);
	return NULL;
}

const char *fleet_config_name(const struct fleet_config *config, const char *door)
{
	for (size_t i = 0; i < config->n_shares; i++)
		if (strcmp(config->shares[i].door, door) == 0)
			return config->shares[i].name;
	return NULL;
}

const char *fleet_config_door(const struct fleet_config *config, const char *name)
{
	for (size_t i = 0; i < config->n_shares; i++)
		if (strcmp(config->shares[i].name, name) == 0)
			return config->shares[i].door;
	return NULL;
}

unsigned fleet_config_line(const struct fleet_config *config, const char *value)
{
	for (size_t i = 0; i < N_FLEET_KEYS; i++)
		if (value == (const char *)config + fleet_keys[i].at)
			return config->lines[i];
	return 0;
}
