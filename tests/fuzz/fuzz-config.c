/* Any bytes as a configuration file: either it is refused with a reason, or whatever loads keeps
 * the promises of config.h and of the core's headers. And each value that is found is the one that
 * an expression finds in the line, which is another way to say what knocktail.conf(5) says. */
#include "config/config.h"
#include "config/load.h"

#include <errno.h>
#include <netinet/in.h>
#include <regex.h>
#include <stdlib.h>
#include <string.h>

#include "config/complaint.h"
#include "config/ini/ini.h"
#include "config/ini/values.h"
#include "core/door.h"
#include "core/engine/engine.h"
#include "core/keyed/keyed.h"
#include "core/other-log.h"
#include "core/secret.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void require(bool holds)
{
	if (!holds)
		abort();
}

/* In double quotes, in single quotes, in none, or nothing but a comment at most. */
static const char line_expression[] = "^[^=]*=[ \t]*("
				      "\"([^\"]*)\"[ \t]*([;#].*)?|"
				      "'([^']*)'[ \t]*([;#].*)?|"
				      "([^;#\"' \t\r]([^;#]*[^;# \t\r])?)([ \t]+[;#].*)?|"
				      "([;#].*)?)[ \t\r]*$";

static const int value_parts[] = {2, 4, 6};

static void check_value(const char *line, const char *value)
{
	static regex_t expression;
	static bool compiled;
	regmatch_t parts[10];
	const char *wanted = "";
	size_t length = 0;

	if (!compiled)
		require(regcomp(&expression, line_expression, REG_EXTENDED) == 0);
	compiled = true;
	require(regexec(&expression, line, 10, parts, 0) == 0);
	for (size_t i = 0; i < 3; i++) {
		const regmatch_t *part = &parts[value_parts[i]];

		if (part->rm_so < 0)
			continue;
		wanted = line + part->rm_so;
		length = (size_t)(part->rm_eo - part->rm_so);
	}
	require(strlen(value) == length && memcmp(value, wanted, length) == 0);
}

/* The line of this number, to be freed. */
static char *copy_line(const uint8_t *data, size_t size, unsigned line)
{
	const char *text = (const char *)data, *end = text + size, *newline;
	char *copy;

	while (--line > 0)
		text = (const char *)memchr(text, '\n', (size_t)(end - text)) + 1;
	newline = memchr(text, '\n', (size_t)(end - text));
	copy = strndup(text, (size_t)((newline ? newline : end) - text));
	require(copy != NULL);
	return copy;
}

static void check_values(const uint8_t *data, size_t size, const struct ini_section *section)
{
	struct complaints complaints = {0};
	struct values *values = NULL;

	require(values_new(section, &complaints, &values) == 0 && complaints.n_items == 0);
	for (size_t i = 0; i < section->n_entries; i++) {
		char *line = copy_line(data, size, section->entries[i].line);

		check_value(line, values_get(values, section->entries[i].key));
		free(line);
	}
	values_free(values);
	complaints_done(&complaints);
}

static void check_scan(const uint8_t *data, size_t size)
{
	struct complaints complaints = {0};
	struct ini ini = {0};

	require(ini_scan(&ini, (const char *)data, size, &complaints) == 0);
	require(ini_join(&ini, &complaints) == 0);
	for (size_t i = 0; i < ini.n_sections; i++)
		check_values(data, size, &ini.sections[i]);
	ini_done(&ini);
	complaints_done(&complaints);
}

static void check_command(char *const *argv)
{
	if (argv)
		require(argv[0] && argv[0][0] == '/');
}

static void check_knock(const struct knock *knock)
{
	const struct sequence *sequence = &knock->sequence;

	require(sequence->n_steps <= SEQUENCE_STEPS_MAX);
	for (size_t i = 0; i < sequence->n_steps; i++)
		require(sequence->steps[i].port > 0 &&
			(sequence->steps[i].protocol == IPPROTO_TCP ||
			 sequence->steps[i].protocol == IPPROTO_UDP));
	require(memchr(knock->filter.interface, '\0', sizeof(knock->filter.interface)));
	require((knock->filter.flags_set & knock->filter.flags_clear) == 0);
	require(knock->seq_timeout_us > 0 && knock->seq_timeout_us <= UINT64_C(3600000000));
}

static void check_auth(const struct door *door)
{
	bool fixed = door->knock.sequence.n_steps > 0, one_time = door->one_time_sequences;

	require(door->auth != 0);
	require((door->auth & AUTH_SEQUENCE) ? fixed != one_time : !fixed && !one_time);
	require(!(door->auth & (AUTH_TOKEN | AUTH_SPA)) == !door->users);
	for (char *const *user = door->users; user && *user; user++)
		require(user_is_name(*user) || strcmp(*user, "*") == 0);
	require(door_timeout_us(door, 0) == door->timeout_us);
	require(door_timeout_us(door, UINT16_MAX) <= UINT16_MAX * UINT64_C(1000000));
}

static void check_door(const struct config *config, const struct door *door)
{
	bool opens = false;

	require(door->name[0] != '\0' && memchr(door->name, '\0', sizeof(door->name)));
	require(config_find_door(config, door->name) == door);
	check_knock(&door->knock);
	check_auth(door);
	require(!door->one_time_sequences || door->one_time_sequences[0] == '/');
	require((door->log == NULL) == (door->knock.filter.log == OTHER_LOG_KERNEL));
	require(door->timeout_us >= 1000000 && door->timeout_us % 1000000 == 0);
	require(door->max_open > 0);
	require(door->opening.backend < N_BACKENDS);
	for (enum family family = 0; family < N_FAMILIES; family++) {
		opens |= door->opening.set[family] || door->opening.start_command[family];
		require(!door->opening.stop_command[family] || door->opening.start_command[family]);
		check_command(door->opening.start_command[family]);
		check_command(door->opening.stop_command[family]);
	}
	require(opens == (door->opening.backend != BACKEND_IPTABLES));
	require((door->opening.backend == BACKEND_IPTABLES) == (door->opening.chain != NULL));
	require(door->opening.backend != BACKEND_IPTABLES ||
		!port_set_is_empty(&door->opening.ports));
	require(door->opening.backend != BACKEND_COMMAND ||
		port_set_is_empty(&door->opening.ports));
	require((door->opening.backend == BACKEND_IPSET || door->opening.backend == BACKEND_NFT) ==
		(door->opening.entry != NULL));
}

static void check_log_section(const struct other_log *log)
{
	require(log->name[0] != '\0' && memchr(log->name, '\0', sizeof(log->name)));
	require(log->id != OTHER_LOG_KERNEL);
	require(log->matches[0]);
	require(log->form == LOG_FORM_KERNEL ? !log->pattern : log->pattern && log->pattern[0]);
	for (char **match = log->matches; *match; match++)
		require(strchr(*match, '=') && strcmp(*match, "_TRANSPORT=kernel") != 0);
}

static void check_config(const struct config *config)
{
	size_t length = strlen(config->log_prefix);

	require(length >= 1 && length <= 127);
	require(config->max_sources >= 1 && config->max_sources <= ENGINE_SOURCES_MAX);
	require(config->max_open >= 1);
	require(config->ipv6_prefix >= 1 && config->ipv6_prefix <= 128);
	require(config->on_stop == ON_STOP_CLOSE || config->on_stop == ON_STOP_KEEP);
	require(config->clock_skew_us > 0 &&
		config->clock_skew_us <= KEYED_SKEW_MAX_S * UINT64_C(1000000));
	require(config->keys && config->keys[0] == '/');
	require(config->n_doors > 0);
	for (size_t i = 0; i < config->n_doors; i++)
		check_door(config, &config->doors[i]);
	require(config->n_logs <= OTHER_LOGS_MAX);
	for (size_t i = 0; i < config->n_logs; i++)
		check_log_section(&config->logs[i]);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct config *config = NULL;
	struct complaints complaints;
	int r = config_load_bytes((const char *)data, size, NULL, &config, &complaints);

	check_scan(data, size);
	require(r == 0 || r == -EBADMSG);
	require((r == 0) == (config != NULL) && (r == 0) == (complaints.n_errors == 0));
	for (size_t i = 0; i < complaints.n_items; i++) {
		require(i == 0 || complaints.items[i - 1].line <= complaints.items[i].line);
		require(!strpbrk(complaints.items[i].text, "\n\r\t\x1b"));
	}
	if (config)
		check_config(config);
	config_free(config);
	complaints_done(&complaints);
	return 0;
}
