/* knocktail check: is the configuration right, and can its doors be opened? */
#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#include "cli/common/config.h"
#include "cli/common/daemon-user.h"
#include "cli/common/json.h"
#include "cli/common/kernel-log.h"
#include "cli/common/options.h"
#include "cli/common/output.h"
#include "cli/common/this-machine.h"
#include "cli/fleet/look.h"
#include "cli/verb.h"
#include "config/config.h"
#include "firewall/firewall.h"
#include "match/checked-config.h"

static void put_complaint(struct json_object *array, const char *path,
			  const struct complaint *complaint)
{
	struct json_object *object = json_object_new_object();

	json_put_text(object, "file", complaint->file ? complaint->file : path);
	if (complaint->line > 0)
		json_put_number(object, "line", complaint->line);
	else
		json_put_null(object, "line");
	json_put_text(object, "kind", complaint->warning ? "warning" : "error");
	json_put_text(object, "text", complaint->text);
	json_add(array, object);
}

/* What this machine says of the doors; all NULL: standard error gets it. */
struct live_findings {
	struct json_object *problems, *warnings;
};

/* On standard error, or in the array. */
static void put_finding(struct json_object *array, const char *door, const char *kind,
			const char *text)
{
	struct json_object *object;

	if (!array) {
		fprintf(stderr, "door %s: %s%s\n", door, kind, text);
		return;
	}
	object = json_object_new_object();
	json_put_text(object, "door", door);
	json_put_text(object, "text", text);
	json_add(array, object);
}

/* Whether knocks at the door can come. Where that cannot be seen, it is the same for all doors. */
static bool check_kernel_log(const struct config *config, const struct door *door, bool *was_unseen,
			     const struct live_findings *found)
{
	char text[KERNEL_LOG_TEXT_MAX];
	enum kernel_log_fault fault = kernel_log_judge(config, door, text);
	bool works = fault != KERNEL_LOG_REFUSED && fault != KERNEL_LOG_NOTHING;
	bool is_unseen =
		fault == KERNEL_LOG_UNSEEN && !*was_unseen && !kernel_log_has_probes(config);

	if (!works)
		put_finding(found->problems, door->name, "", text);
	else if (fault == KERNEL_LOG_FORGED || is_unseen)
		put_finding(found->warnings, door->name, "warning: ", text);
	*was_unseen = *was_unseen || fault == KERNEL_LOG_UNSEEN;
	if (kernel_log_tells(door, text) > 0)
		put_finding(found->warnings, door->name, "warning: ", text);
	return works;
}

/* Asks the firewall for what the doors name, and the kernel. */
static enum status check_live(const struct config *config, const struct live_findings *found)
{
	struct firewall *firewall;
	enum status status = STATUS_OK;
	bool was_unseen = false;
	int r = firewall_new(NULL, &firewall);

	if (r < 0) {
		fprintf(stderr, "knocktail check: cannot reach the firewall: %s\n", strerror(-r));
		return STATUS_FAILED;
	}
	for (size_t i = 0; i < config->n_doors; i++) {
		const struct door *door = &config->doors[i];
		char of_user[DAEMON_USER_PROBLEM_MAX], absence[ABSENCE_TEXT_MAX];
		const char *problem = NULL;

		if (firewall_check(firewall, &door->opening) < 0)
			problem = firewall_problem(firewall);
		else if (daemon_user_check(&door->opening, of_user) == -EACCES)
			problem = of_user;
		if (problem) {
			put_finding(found->problems, door->name, "", problem);
			status = STATUS_FAILED;
		} else if (this_machine_lacks(door, absence)) {
			put_finding(found->warnings, door->name, "warning: ", absence);
		}
		if (!check_kernel_log(config, door, &was_unseen, found))
			status = STATUS_FAILED;
	}
	firewall_free(firewall);
	return status;
}

static void print_json(const char *path, const struct config *config, enum status status,
		       const struct complaints *complaints, const struct live_findings *found)
{
	struct json_object *document = json_object_new_object();
	struct json_object *array = json_object_new_array();

	for (size_t i = 0; i < complaints->n_items; i++)
		put_complaint(array, path, &complaints->items[i]);
	json_put_text(document, "file", path);
	json_put(document, "ok", json_object_new_boolean(status == STATUS_OK));
	if (config)
		json_put_number(document, "doors", config->n_doors);
	else
		json_put_null(document, "doors");
	json_put(document, "complaints", array);
	json_put(document, "problems", found->problems);
	json_put(document, "warnings", found->warnings);
	json_print(document);
}

static enum status check_config(const char *path, bool live, bool json)
{
	const struct live_findings found = {
		.problems = json ? json_object_new_array() : NULL,
		.warnings = json ? json_object_new_array() : NULL,
	};
	struct config *config = NULL;
	struct complaints complaints;
	enum status status =
		verb_config_status(path, checked_config_load(path, &config, &complaints));

	if (fleet_look(path, config, &complaints) < 0)
		status = STATUS_FAILED;
	else if (status == STATUS_OK && complaints.n_errors > 0)
		status = STATUS_USAGE;
	if (!json)
		verb_print_complaints(path, &complaints);
	if (status == STATUS_OK && live)
		status = check_live(config, &found);
	if (json)
		print_json(path, config, status, &complaints, &found);
	else if (status == STATUS_OK)
		printf("%s: ok (doors: %zu, warnings: %zu)\n", path, config->n_doors,
		       complaints.n_warnings);
	complaints_done(&complaints);
	config_free(config);
	return status;
}

static enum status check_run(int argc, char *argv[])
{
	const char *path = KNOCKTAIL_CONF;
	bool live = false, json = false;
	enum status status;
	const struct verb_option options[] = {
		{"config", 'c', .text = &path},
		{"live", .given = &live},
		{"output", 'o', .json = &json},
		{0},
	};

	if (!options_read(&verb_check, argc, argv, options, &status))
		return status;
	if (verb_check_end(&verb_check, argc, argv) != STATUS_OK)
		return STATUS_USAGE;
	return check_config(path, live, json);
}

const struct verb verb_check = {
	.name = "check",
	.summary = "validate the configuration",
	.help = "Usage: knocktail check [-c FILE] [--live] [-o text|json]\n"
		"\n"
		"Says what is wrong with the configuration, with file and line, and with the\n"
		"fleet.conf beside it.\n"
		"\n"
		"  -c, --config FILE  the configuration (default: " KNOCKTAIL_CONF ")\n"
		"      --live         also ask the firewall whether what the doors name is there\n"
		"                     and can hold a timeout (needs CAP_NET_ADMIN), and try\n"
		"                     commands as the daemon's user (needs root)\n"
		"  -o, --output FORM  text (default) or json\n"
		"  -h, --help         print this\n"
		"\n"
		"Exit status: 0 valid, 1 a door cannot be opened at present, 2 invalid.\n",
	.run = check_run,
};
