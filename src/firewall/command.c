/* Backend command: start_command opens and stop_command closes; both are argument vectors. */
#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "core/door.h"
#include "core/placeholder.h"
#include "firewall/backend.h"
#include "firewall/passage.h"
#include "util/children.h"

static int command_spell(const struct opening *opening, const struct placeholder_values *values,
			 struct passage *passage)
{
	enum family family = address_family(&values->source);

	if (!opening->start_command[family])
		return -EAFNOSUPPORT;
	passage->start = placeholder_expand_all(opening->start_command[family], values);
	if (!passage->start)
		return -ENOMEM;
	if (opening->stop_command[family]) {
		passage->stop = placeholder_expand_all(opening->stop_command[family], values);
		if (!passage->stop)
			return -ENOMEM;
	}
	return 0;
}

static int command_run(struct firewall *firewall, char **argv, uint64_t now_us, void *owner)
{
	int r;

	if (!argv)
		return FIREWALL_DONE;
	r = children_spawn(firewall->children, argv, now_us + FIREWALL_COMMAND_LIMIT_US, owner);
	if (r < 0)
		return firewall_fail(firewall, r, "cannot run %s: %s", argv[0], strerror(-r));
	return FIREWALL_PENDING;
}

static int command_open(struct firewall *firewall, const struct passage *passage, uint64_t left_us,
			uint64_t now_us, void *owner)
{
	(void)left_us;
	if (children_count(firewall->children) >= FIREWALL_OPENING_MAX)
		return firewall_fail(firewall, -EAGAIN, "too many commands are running");
	return command_run(firewall, passage->start, now_us, owner);
}

static int command_close(struct firewall *firewall, const struct passage *passage, uint64_t now_us,
			 void *owner)
{
	return command_run(firewall, passage->stop, now_us, owner);
}

static int command_check(struct firewall *firewall, const struct opening *opening,
			 enum family family)
{
	char *const *const commands[] = {
		opening->start_command[family],
		opening->stop_command[family],
	};

	for (size_t i = 0; i < 2; i++)
		if (commands[i] && access(commands[i][0], X_OK) < 0)
			return firewall_fail(firewall, -errno, "cannot run %s: %s", commands[i][0],
					     strerror(errno));
	return 0;
}

static bool command_is_whole(const struct passage *passage)
{
	(void)passage; /* a door without a stop_command has nothing to close with */
	return true;
}

const struct backend backend_command = {
	.name = "command",
	.expires = false,
	.spell = command_spell,
	.check = command_check,
	.open = command_open,
	.close = command_close,
	.is_whole = command_is_whole,
};
