#include "firewall/backend.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>

#include "core/placeholder.h"
#include "util/children.h"

int firewall_fail(struct firewall *firewall, int error, const char *format, ...)
{
	va_list arguments;

	va_start(arguments, format);
	vsnprintf(firewall->problem, sizeof firewall->problem, format, arguments);
	va_end(arguments);
	return error;
}

int backend_explain_exit(const struct child_exit *exit, char problem[static PROBLEM_MAX])
{
	const char *colon = exit->output[0] ? ": " : "";

	if (exit->code == CLD_EXITED && exit->status == 0)
		return 0;
	if (exit->timed_out)
		snprintf(problem, PROBLEM_MAX, "the command took too long and was killed%s%s",
			 colon, exit->output);
	else if (exit->code == CLD_EXITED)
		snprintf(problem, PROBLEM_MAX, "the command exited with status %d%s%s",
			 exit->status, colon, exit->output);
	else
		snprintf(problem, PROBLEM_MAX, "the command was killed by signal %d (%s)%s%s",
			 exit->status, strsignal(exit->status), colon, exit->output);
	return exit->timed_out || exit->code != CLD_EXITED ? -ETIMEDOUT : -EIO;
}

struct placeholder_values backend_example(const char *door, enum family family)
{
	static const char *const examples[N_FAMILIES] = {"192.0.2.1", "2001:db8::1"};
	struct placeholder_values values = {.door = door};

	address_parse(examples[family], &values.source);
	return values;
}
