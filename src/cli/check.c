/* knocktail check: is the configuration right, and can its doors be opened? */
#include <errno.h>
#include <getopt.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#include "cli/common/json.h"
#include "cli/common/output.h"
#include "cli/verb.h"
#include "config/config.h"
#include "firewall/firewall.h"
#include "match/checked-config.h"
#include "util/log.h"
#include "util/number.h"

static void never_done(void *owner, int error, const char *problem, uint64_t now_us)
{
	(void)owner;
	(void)error;
	(void)problem;
	(void)now_us;
}

/* A line as checked_config_load() writes it, "FILE:LINE: error: WHAT" or without a line, as an
 * object. */
static void put_complaint(void *userdata, int priority, const char *text)
{
	const char *kind = priority == LOG_WARNING ? "warning" : "error";
	struct json_object *object = json_object_new_object();
	char mark[16], place[512];
	const char *what;
	uint64_t line;
	char *colon;

	snprintf(mark, sizeof mark, ": %s: ", kind);
	what = strstr(text, mark);
	snprintf(place, sizeof place, "%.*s", what ? (int)(what - text) : 0, text);
	colon = strrchr(place, ':');
	if (colon && colon[1] && strspn(colon + 1, "0123456789") == strlen(colon + 1))
		*colon = '\0';
	else
		colon = NULL;
	json_put_text(object, "file", *place ? place : NULL);
	if (!colon || number_parse(colon + 1, strlen(colon + 1), &line) < 0)
		json_put(object, "line", NULL);
	else
		json_put_number(object, "line", line);
	json_put_text(object, "kind", kind);
	json_put_text(object, "text", what ? what + strlen(mark) : text);
	if (json_object_array_add(userdata, object) < 0)
		json_object_put(object);
}

static void tell_problem(struct json_object *problems, const char *door, const char *problem)
{
	struct json_object *object;

	if (!problems) {
		fprintf(stderr, "door %s: %s\n", door, problem);
		return;
	}
	object = json_object_new_object();
	json_put_text(object, "door", door);
	json_put_text(object, "text", problem);
	if (json_object_array_add(problems, object) < 0)
		json_object_put(object);
}

/* Asks the firewall for what the doors name. */
static enum status check_live(const struct config *config, struct json_object *problems)
{
	struct firewall *firewall;
	enum status status = STATUS_OK;
	int r = firewall_new(never_done, &firewall);

	if (r < 0) {
		fprintf(stderr, "knocktail check: cannot reach the firewall: %s\n", strerror(-r));
		return STATUS_FAILED;
	}
	for (size_t i = 0; i < config->n_doors; i++) {
		if (firewall_check(firewall, &config->doors[i].opening) < 0) {
			tell_problem(problems, config->doors[i].name, firewall_problem(firewall));
			status = STATUS_FAILED;
		}
	}
	firewall_free(firewall);
	return status;
}

static enum status check(const char *path, bool live)
{
	struct config *config;
	enum status status;
	size_t n_warnings;
	int r = checked_config_load(path, &config, &n_warnings);

	if (r < 0)
		return r == -EBADMSG ? STATUS_USAGE : STATUS_FAILED;
	status = live ? check_live(config, NULL) : STATUS_OK;
	if (status == STATUS_OK)
		printf("%s: ok (doors: %zu, warnings: %zu)\n", path, config->n_doors, n_warnings);
	config_free(config);
	return status;
}

static enum status check_json(const char *path, bool live)
{
	struct json_object *document = json_object_new_object();
	struct json_object *complaints = json_object_new_array();
	struct json_object *problems = json_object_new_array();
	enum status status = STATUS_OK;
	struct config *config = NULL;
	int r;

	log_divert(put_complaint, complaints);
	r = checked_config_load(path, &config, NULL);
	log_divert(NULL, NULL);
	if (r < 0)
		status = r == -EBADMSG ? STATUS_USAGE : STATUS_FAILED;
	else if (live)
		status = check_live(config, problems);
	json_put_text(document, "file", path);
	json_put(document, "ok", json_object_new_boolean(status == STATUS_OK));
	json_put(document, "doors", config ? json_object_new_uint64(config->n_doors) : NULL);
	json_put(document, "complaints", complaints);
	json_put(document, "problems", problems);
	json_print(document);
	config_free(config);
	return status;
}

static enum status run(int argc, char *argv[])
{
	enum { OPTION_LIVE = 256 };
	static const struct option options[] = {
		{"config", required_argument, NULL, 'c'},
		{"live", no_argument, NULL, OPTION_LIVE},
		{"output", required_argument, NULL, 'o'},
		{"help", no_argument, NULL, 'h'},
		{0},
	};
	const char *path = KNOCKTAIL_CONF;
	bool live = false, json = false;
	int c;

	while ((c = getopt_long(argc, argv, "c:o:h", options, NULL)) != -1) {
		switch (c) {
		case 'c':
			path = optarg;
			break;
		case OPTION_LIVE:
			live = true;
			break;
		case 'o':
			if (output_parse(&verb_check, optarg, &json) < 0)
				return verb_misused(&verb_check);
			break;
		case 'h':
			return verb_help(&verb_check);
		default:
			return verb_misused(&verb_check);
		}
	}
	if (verb_check_end(&verb_check, argc, argv) != STATUS_OK)
		return STATUS_USAGE;
	return json ? check_json(path, live) : check(path, live);
}

const struct verb verb_check = {
	.name = "check",
	.summary = "validate the configuration",
	.help = "Usage: knocktail check [-c FILE] [--live] [-o text|json]\n"
		"\n"
		"Says what is wrong with the configuration, with file and line.\n"
		"\n"
		"  -c, --config FILE  the configuration (default: " KNOCKTAIL_CONF ")\n"
		"      --live         also ask the firewall whether what the doors name is there\n"
		"                     and can hold a timeout (needs CAP_NET_ADMIN)\n"
		"  -o, --output FORM  text (default) or json\n"
		"  -h, --help         print this\n"
		"\n"
		"Exit status: 0 it is right, 1 a door cannot be opened as things are, 2 it is "
		"wrong.\n",
	.run = run,
};
