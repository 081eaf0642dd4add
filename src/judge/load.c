#include "judge/load.h"

#include <errno.h>
#include <string.h>

#include "config/config.h"
#include "util/log.h"

static void print(const char *path, const struct complaint *complaint)
{
	const char *kind = complaint->warning ? "warning" : "error";
	int priority = complaint->warning ? LOG_WARNING : LOG_ERR;

	if (complaint->line > 0)
		log_line(priority, "%s:%u: %s: %s", path, complaint->line, kind, complaint->text);
	else
		log_line(priority, "%s: %s: %s", path, kind, complaint->text);
}

int load_config(const char *path, struct config **ret_config, size_t *ret_warnings)
{
	struct complaints complaints = {0};
	int r = config_load(path, ret_config, &complaints);

	for (size_t i = 0; i < complaints.n_items; i++)
		print(path, &complaints.items[i]);
	if (r == 0 && ret_warnings)
		*ret_warnings = complaints.n_items - complaints.n_errors;
	complaints_done(&complaints);
	if (r == 0 || r == -ENOMEM || r == -EBADMSG)
		return r;
	log_line(LOG_ERR, "%s: error: cannot read it: %s", path, strerror(-r));
	return -EBADMSG;
}
