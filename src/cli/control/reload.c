/* knocktail reload: has the daemon read its configuration again. */
#include <stdbool.h>
#include <stdio.h>

#include "cli/common/json.h"
#include "cli/common/options.h"
#include "cli/common/output.h"
#include "cli/control/client.h"
#include "cli/verb.h"
#include "util/cleanup.h"

DEFINE_CLEANUP(sd_bus *, sd_bus_flush_close_unref)

static enum status reload_execute(bool json)
{
	CLEANUP(cleanup_sd_bus_flush_close_unref) sd_bus *bus = NULL;
	struct json_object *document;
	enum status status = client_connect(&verb_reload, &bus);

	if (status == STATUS_OK)
		status = client_call(&verb_reload, bus, NULL, "Reload", "");
	if (json) {
		document = json_object_new_object();
		json_put(document, "reloaded", json_object_new_boolean(status == STATUS_OK));
		json_print(document);
	}
	return status;
}

static enum status reload_run(int argc, char *argv[])
{
	enum status status;
	bool json = false;
	const struct verb_option options[] = {{"output", 'o', .json = &json}, {0}};

	if (!options_read(&verb_reload, argc, argv, options, &status))
		return status;
	if (verb_check_end(&verb_reload, argc, argv) != STATUS_OK)
		return STATUS_USAGE;
	return reload_execute(json);
}

const struct verb verb_reload = {
	.name = "reload",
	.summary = "have the daemon read its configuration again",
	.help = "Usage: knocktail reload [-o text|json]\n"
		"\n"
		"Has knocktaild read its configuration again, and waits until it has. If anything\n"
		"is wrong with it, the running configuration stays in force; the daemon's log\n"
		"says what, and so does 'knocktail check'. For root and knocktail-admin.\n"
		"\n"
		"  -o, --output FORM  text (default) or json\n"
		"  -h, --help         print this\n"
		"\n"
		"Exit status: 0 done, 1 the running configuration stays, 2 bad usage, 3\n"
		"knocktaild does not run.\n",
	.run = reload_run,
};
