/* knocktail list: which doors are open, for whom, and until when. */
#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "cli/common/json.h"
#include "cli/common/memory.h"
#include "cli/common/options.h"
#include "cli/common/output.h"
#include "cli/common/strays.h"
#include "cli/control/client.h"
#include "cli/verb.h"
#include "config/config.h"
#include "config/load.h"
#include "util/cleanup.h"
#include "util/clock.h"
#include "util/duration.h"
#include "util/timestamp.h"

DEFINE_CLEANUP(struct table *, table_free)
DEFINE_CLEANUP(sd_bus *, sd_bus_flush_close_unref)
DEFINE_CLEANUP(struct config *, config_free)
DEFINE_CLEANUP(struct stray_search *, stray_search_free)

struct list {
	const char *door; /* only this one; or NULL */
	uint64_t now_us;
	struct table *table;
	struct json_object *array; /* NULL: text is wanted */
	size_t n_rows;
	bool found;		     /* there is such a door, open or not */
	struct stray_search *search; /* NULL: the sets are not looked through */
};

static uint64_t seconds_left(const struct list *list, const struct open_door *door)
{
	if (door->deadline_us <= list->now_us)
		return 0;
	return (door->deadline_us - list->now_us + 999999) / 1000000;
}

static void add_object(struct list *list, const struct open_door *door)
{
	struct json_object *object = json_object_new_object();

	json_put_text(object, "door", door->door);
	json_put_text(object, "source", door->source);
	json_put_text(object, "user", *door->user ? door->user : NULL);
	json_put_time(object, "until", door->deadline_us);
	json_put_text(object, "state", door->state);
	json_put_number(object, "seconds_left", seconds_left(list, door));
	json_add(list->array, object);
}

static void list_add_row(struct list *list, const struct open_door *door)
{
	char until[TIMESTAMP_TEXT_MAX], left[DURATION_TEXT_MAX];

	list->n_rows++;
	table_add(list->table, strcmp(door->state, "open") == 0 ? COLOUR_NONE : COLOUR_BAD,
		  (const char *[]){
			  door->door,
			  door->source,
			  door->user,
			  timestamp_format(door->deadline_us, until),
			  duration_format(seconds_left(list, door) * US_PER_S, left),
			  door->state,
		  });
}

static void list_add(struct list *list, const struct open_door *door)
{
	if (list->array)
		add_object(list, door);
	else
		list_add_row(list, door);
}

static enum status list_add_open(void *userdata, const struct open_door *door)
{
	struct list *list = userdata;

	if (list->search && stray_search_know(list->search, door->door, door->source) < 0)
		memory_out();
	if (list->door && strcmp(list->door, door->door) != 0)
		return STATUS_OK;
	list->found = true;
	list_add(list, door);
	return STATUS_OK;
}

/* Nobody's, as far as the daemon knows. */
static int list_add_stray(void *userdata, const char *name, const char *set, const char *element,
			  uint64_t left_us)
{
	struct list *list = userdata;
	const struct open_door door = {
		.door = name,
		.source = element,
		.user = "",
		.state = "unrecorded",
		.deadline_us = list->now_us + left_us,
	};

	(void)set;
	if (list->door && strcmp(list->door, name) != 0)
		return 0;
	list_add(list, &door);
	return 0;
}

/* Only root can read both the configuration and the sets. What is wrong with either is for check
 * and doctor to say. */
static void list_prepare_search(struct list *list, const char *path, struct config **ret_config)
{
	struct complaints complaints;
	int r;

	if (geteuid() != 0)
		return;
	r = config_load(path, ret_config, &complaints);
	if (r == 0)
		r = stray_search_new(*ret_config, &list->search);
	if (r == -ENOMEM)
		memory_out();
	complaints_done(&complaints);
}

static enum status look_for_name(void *userdata, const char *name)
{
	struct list *list = userdata;

	list->found |= strcmp(list->door, name) == 0;
	return STATUS_OK;
}

/* A door that does not stand open may not even be there. */
static enum status list_check_door(struct list *list, sd_bus *bus)
{
	enum status status = STATUS_OK;

	if (list->door && !list->found)
		status = client_each_door(&verb_list, bus, look_for_name, list);
	if (status == STATUS_OK && list->door && !list->found) {
		fprintf(stderr, "knocktail list: there is no door %s\n", list->door);
		status = STATUS_FAILED;
	}
	return status;
}

static enum status list_open(sd_bus *bus, const char *config_path, const char *door, bool json)
{
	static const char *const headline[] = {"DOOR", "SOURCE", "USER", "UNTIL", "LEFT", "STATE"};
	CLEANUP(cleanup_table_free) struct table *table = table_new(6, headline);
	CLEANUP(cleanup_stray_search_free) struct stray_search *search = NULL;
	CLEANUP(cleanup_config_free) struct config *config = NULL;
	struct list list = {
		.door = door,
		.now_us = clock_us(CLOCK_REALTIME),
		.table = table,
		.array = json ? json_object_new_array() : NULL,
	};
	enum status status;

	if (json && !list.array)
		memory_out();
	list_prepare_search(&list, config_path, &config);
	search = list.search;
	status = client_each_open(&verb_list, bus, list_add_open, &list);
	if (status == STATUS_OK && search && stray_search_run(search, list_add_stray, &list) < 0)
		memory_out();
	if (status == STATUS_OK)
		status = list_check_door(&list, bus);
	if (status != STATUS_OK)
		json_object_put(list.array);
	else if (json)
		json_print(list.array);
	else if (list.n_rows == 0 && output_is_terminal(stdout))
		puts("no door is open");
	else
		table_print(table);
	return status;
}

static enum status add_name(void *userdata, const char *name)
{
	struct json_object *array = userdata;

	if (array)
		json_add(array, json_object_new_string(name));
	else
		puts(name);
	return STATUS_OK;
}

static enum status list_doors(sd_bus *bus, bool json)
{
	struct json_object *array = json ? json_object_new_array() : NULL;
	enum status status = client_each_door(&verb_list, bus, add_name, array);

	if (status == STATUS_OK && json)
		json_print(array);
	else
		json_object_put(array);
	return status;
}

static enum status list_run(int argc, char *argv[])
{
	CLEANUP(cleanup_sd_bus_flush_close_unref) sd_bus *bus = NULL;
	const char *config = KNOCKTAIL_CONF, *door = NULL;
	bool json = false, doors = false;
	enum status status;
	const struct verb_option options[] = {
		{"config", 'c', .text = &config},
		{"doors", 'd', .given = &doors},
		{"output", 'o', .json = &json},
		{0},
	};

	if (!options_read(&verb_list, argc, argv, options, &status))
		return status;
	if (optind < argc && !doors)
		door = argv[optind++];
	if (verb_check_end(&verb_list, argc, argv) != STATUS_OK)
		return STATUS_USAGE;
	status = client_connect(&verb_list, &bus);
	if (status != STATUS_OK)
		return status;
	return doors ? list_doors(bus, json) : list_open(bus, config, door, json);
}

const struct verb verb_list = {
	.name = "list",
	.summary = "list who is let in by which door, and until when",
	.help = "Usage: knocktail list [-c FILE] [DOOR] [-o text|json]\n"
		"       knocktail list --doors [-o text|json]\n"
		"\n"
		"Lists the doors that stand open: the door, the address that it is open for, the\n"
		"user whose key it was, until when, how long that is, and its state: open, or\n"
		"missing if the firewall has lost it and does not take it back. Root also sees\n"
		"what stands in the doors' sets and is on nobody's record: unrecorded.\n"
		"\n"
		"  -c, --config FILE  the configuration that names the sets\n"
		"  -d, --doors        list the doors that there are instead, open or not\n"
		"  -o, --output FORM  text (default) or json\n"
		"  -h, --help         print this\n"
		"\n"
		"Exit status: 0 done, also if none is open, 1 knocktaild could not be asked or\n"
		"has no such door, 2 bad usage, 3 it does not run.\n",
	.run = list_run,
};
