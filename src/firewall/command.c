/* Backend command: start_command opens and stop_command closes; both are argument vectors. */
#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "core/door.h"
#include "core/placeholder.h"
#include "core/visitor.h"
#include "firewall/backend.h"
#include "util/children.h"

static int command_spell(const struct door *door, const struct visitor *visitor,
			 struct passage *passage)
{
	enum family family = address_family(&visitor->source);

	if (!door->opening.start_command[family])
		return -EAFNOSUPPORT;
	passage->start = placeholder_expand_all(door->opening.start_command[family], door, visitor);
	if (!passage->start)
		return -ENOMEM;
	if (door->opening.stop_command[family]) {
		passage->stop =
			placeholder_expand_all(door->opening.stop_command[family], door, visitor);
		if (!passage->stop)
			return -ENOMEM;
	}
	return 0;
}

static int run(struct firewall *firewall, char **argv, uint64_t now_us, void *owner)
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
		return firewall_fail(firewall, -EAGAIN, "too many commands run");
	return run(firewall, passage->start, now_us, owner);
}

static int command_close(struct firewall *firewall, const struct passage *passage, uint64_t now_us,
			 void *owner)
{
	return run(firewall, passage->stop, now_us, owner);
}

static int command_check(struct firewall *firewall, const struct door *door, enum family family)
{
	char *const *const commands[] = {
		door->opening.start_command[family],
		door->opening.stop_command[family],
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
