#include "cli/common/config.h"

#include <errno.h>
#include <string.h>

#include "match/checked-config.h"
#include "util/log.h"

void verb_print_complaints(const char *path, const struct complaints *complaints)
{
	char text[COMPLAINT_LINE_MAX];

	for (size_t i = 0; i < complaints->n_items; i++)
		log_line(complaints->items[i].warning ? LOG_WARNING : LOG_ERR, "%s",
			 complaint_format(&complaints->items[i], path, text));
}

enum status verb_config_status(const char *path, int r)
{
	/* Everything else is a complaint. */
	if (r < 0 && r != -EBADMSG)
		log_line(LOG_ERR, "%s: %s", path, strerror(-r));
	return r == 0 ? STATUS_OK : r == -EBADMSG ? STATUS_USAGE : STATUS_FAILED;
}

enum status verb_load_config(const char *path, struct config **ret)
{
	struct complaints complaints;
	int r = checked_config_load(path, ret, &complaints);

	verb_print_complaints(path, &complaints);
	complaints_done(&complaints);
	return verb_config_status(path, r);
}
