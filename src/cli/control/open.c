/* knocktail open: a door, by hand. */
#include <errno.h>
#include <inttypes.h>
#include <stdbool.h>
#include <stdio.h>
#include <unistd.h>

#include "cli/common/json.h"
#include "cli/common/options.h"
#include "cli/common/output.h"
#include "cli/control/client.h"
#include "cli/verb.h"
#include "util/cleanup.h"
#include "util/clock.h"
#include "util/duration.h"
#include "util/timestamp.h"

DEFINE_CLEANUP(sd_bus *, sd_bus_flush_close_unref)
DEFINE_CLEANUP(sd_bus_message *, sd_bus_message_unref)

static void open_print(const char *door, const char *source, uint64_t deadline_us, bool json)
{
	char until[TIMESTAMP_TEXT_MAX];
	struct json_object *document;

	if (!json) {
		printf("door %s is open for %s until %s\n", door, source,
		       timestamp_format(deadline_us, until));
		return;
	}
	document = json_object_new_object();
	json_put_text(document, "door", door);
	json_put_text(document, "source", source);
	json_put_time(document, "until", deadline_us);
	json_print(document);
}

static enum status open_door(const char *door, const char *source, uint32_t seconds, bool json)
{
	CLEANUP(cleanup_sd_bus_message_unref) sd_bus_message *reply = NULL;
	CLEANUP(cleanup_sd_bus_flush_close_unref) sd_bus *bus = NULL;
	uint64_t deadline_us;
	enum status status = client_connect(&verb_open, &bus);
	int r;

	if (status == STATUS_OK)
		status = client_call(&verb_open, bus, &reply, "Open", "ssu", door, source, seconds);
	if (status != STATUS_OK)
		return status;
	r = sd_bus_message_read(reply, "t", &deadline_us);
	if (r < 0)
		return client_garbled(&verb_open, r);
	open_print(door, source, deadline_us, json);
	return STATUS_OK;
}

static int parse_for(const char *text, void *userdata)
{
	uint32_t *seconds = userdata;
	uint64_t us;

	if (duration_parse(text, &us) < 0 || us == 0 || us % US_PER_S != 0 ||
	    us / US_PER_S > UINT32_MAX) {
		fprintf(stderr,
			"knocktail open: '%s' is not a number of whole seconds such as 90, 10min or "
			"1h 30min\n",
			text);
		return -EINVAL;
	}
	*seconds = (uint32_t)(us / US_PER_S);
	return 0;
}

static enum status open_run(int argc, char *argv[])
{
	char address[ADDRESS_TEXT_MAX];
	uint32_t seconds = 0;
	bool json = false;
	enum status status;
	const struct verb_option options[] = {
		{"for", 'f', .parse = parse_for, .userdata = &seconds},
		{"output", 'o', .json = &json},
		{0},
	};

	if (!options_read(&verb_open, argc, argv, options, &status))
		return status;
	if (argc - optind != 2) {
		fputs("knocktail open: a door and an address are needed, and nothing else\n",
		      stderr);
		return verb_misused(&verb_open);
	}
	return open_door(argv[optind], client_address(argv[optind + 1], address), seconds, json);
}

const struct verb verb_open = {
	.name = "open",
	.summary = "open a door for an address, without a knock",
	.help = "Usage: knocktail open DOOR ADDRESS [--for TIME] [-o text|json]\n"
		"\n"
		"Opens the door as a knock from that address would, or moves its deadline to\n"
		"a later time. For root and the group knocktail-admin.\n"
		"\n"
		"  -f, --for TIME     for how long: 90, 10min, 1h (default: the door's timeout)\n"
		"  -o, --output FORM  text (default) or json\n"
		"  -h, --help         print this\n"
		"\n"
		"Exit status: 0 it is open, 1 it is not, 2 bad usage, 3 knocktaild does not run.\n",
	.run = open_run,
};
