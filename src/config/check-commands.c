#include "config/check-commands.h"

#include <stdbool.h>
#include <stddef.h>
#include <string.h>

#include "config/complaint.h"
#include "config/config.h"
#include "config/draft.h"
#include "config/ini/ini.h"
#include "core/placeholder.h"
#include "core/strv.h"
#include "util/sandbox.h"

static const char *const keys[2][N_FAMILIES] = {
	{"start_command", "start_command_6"},
	{"stop_command", "stop_command_6"},
};

/* Whether one of the arguments holds %IP%; %%IP% is none. */
static bool says_for_whom(char *const *argv)
{
	for (; *argv; argv++)
		for (const char *at = *argv; *at;) {
			size_t length = placeholder_length(at);

			if (length > 0 && strncmp(at, "%IP%", length) == 0)
				return true;
			at += length > 0 ? length : 1;
		}
	return false;
}

static void check_sandbox(char *const *argv, const char *door, const char *key, unsigned line,
			  struct complaints *complaints)
{
	struct sandbox_finding finding;

	if (argv && sandbox_find_in_command(argv, &finding))
		complain_warning(complaints, line, "%s%s%s%s: %s %s", door ? "door " : "",
				 door ? door : "", door ? ": " : "", key, finding.word,
				 finding.why);
}

static void check_for_whom(const struct draft_door *at, const struct door *door, enum family family,
			   char *const *const commands[static 2], struct complaints *complaints)
{
	char *const *start = commands[0], *const *stop = commands[1];

	if (start && !says_for_whom(start))
		complain_warning(complaints, ini_find(at->section, keys[0][family])->line,
				 "door %s: %s does not say for whom (%%IP%%): it opens to "
				 "everybody, and each source that knocks runs it again",
				 door->name, keys[0][family]);
	else if (start && stop && !says_for_whom(stop))
		complain_warning(complaints, ini_find(at->section, keys[1][family])->line,
				 "door %s: %s does not say for whom (%%IP%%): it closes for "
				 "everybody",
				 door->name, keys[1][family]);
}

/* What the family's commands are, but for those that repeat the other family's: of one for both it
 * is complained once. */
static void take_commands(const struct door *door, enum family family,
			  char *const *ret_commands[static 2])
{
	const struct opening *opening = &door->opening;
	char *const *start = opening->start_command[family];
	char *const *stop = opening->stop_command[family];
	bool is_second = family == FAMILY_IPV6;

	ret_commands[0] =
		is_second && strv_equal(start, opening->start_command[FAMILY_IPV4]) ? NULL : start;
	ret_commands[1] =
		is_second && strv_equal(stop, opening->stop_command[FAMILY_IPV4]) ? NULL : stop;
}

void draft_check_commands(const struct draft *draft, struct complaints *complaints)
{
	const struct config *config = draft->config;

	check_sandbox(config->notify_command, NULL, "notify_command", 0, complaints);
	for (size_t i = 0; i < config->n_doors; i++) {
		const struct door *door = &config->doors[i];
		const struct draft_door *at = &draft->doors[i];

		if (!at->whole || door->opening.backend != BACKEND_COMMAND)
			continue;
		for (enum family family = 0; family < N_FAMILIES; family++) {
			char *const *commands[2];

			take_commands(door, family, commands);
			check_for_whom(at, door, family, commands, complaints);
			for (int k = 0; k < 2; k++)
				if (commands[k])
					check_sandbox(commands[k], door->name, keys[k][family],
						      ini_find(at->section, keys[k][family])->line,
						      complaints);
		}
	}
}
