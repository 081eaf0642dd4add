/* knocktail close: a door, before its time. */
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

DEFINE_CLEANUP(sd_bus *, sd_bus_flush_close_unref)
DEFINE_CLEANUP(sd_bus_message *, sd_bus_message_unref)

static void print_closed(const char *door, const char *source, uint32_t n, bool json)
{
	struct json_object *document;

	if (json) {
		document = json_object_new_object();
		json_put_text(document, "door", door);
		json_put_text(document, "source", source);
		json_put_number(document, "closed", n);
		json_print(document);
	} else if (n == 0) {
		printf("door %s was not open%s%s\n", door, source ? " for " : "",
		       source ? source : "");
	} else if (source) {
		printf("door %s closed for %s\n", door, source);
	} else {
		printf("door %s closed for %" PRIu32 " source%s\n", door, n, n == 1 ? "" : "s");
	}
}

static enum status close_door(const char *door, const char *source, bool json)
{
	CLEANUP(cleanup_sd_bus_message_unref) sd_bus_message *reply = NULL;
	CLEANUP(cleanup_sd_bus_flush_close_unref) sd_bus *bus = NULL;
	enum status status = client_connect(&verb_close, &bus);
	uint32_t n;
	int r;

	if (status == STATUS_OK)
		status = client_call(&verb_close, bus, &reply, "Close", "ss", door,
				     source ? source : "");
	if (status != STATUS_OK)
		return status;
	r = sd_bus_message_read(reply, "u", &n);
	if (r < 0)
		return client_garbled(&verb_close, r);
	print_closed(door, source, n, json);
	return STATUS_OK;
}

static enum status close_run(int argc, char *argv[])
{
	const char *source = NULL;
	char address[ADDRESS_TEXT_MAX];
	enum status status;
	bool json = false;
	const struct verb_option options[] = {{"output", 'o', .json = &json}, {0}};

	if (!options_read(&verb_close, argc, argv, options, &status))
		return status;
	if (argc - optind < 1 || argc - optind > 2) {
		fputs("knocktail close: a door is needed, perhaps an address, and nothing else\n",
		      stderr);
		return verb_misused(&verb_close);
	}
	if (argc - optind == 2 && !*argv[optind + 1]) {
		fputs("knocktail close: the address is empty\n", stderr);
		return verb_misused(&verb_close);
	}
	if (argc - optind == 2)
		source = client_address(argv[optind + 1], address);
	return close_door(argv[optind], source, json);
}

const struct verb verb_close = {
	.name = "close",
	.summary = "close a door for an address, or for all",
	.help = "Usage: knocktail close DOOR [ADDRESS] [-o text|json]\n"
		"\n"
		"Closes the door at once, for one address or for all that it is open for, and\n"
		"waits until that is done. For root and the group knocktail-admin.\n"
		"\n"
		"  -o, --output FORM  text (default) or json\n"
		"  -h, --help         print this\n"
		"\n"
		"Exit status: 0 it is closed, 1 it could not be closed, 2 bad usage, 3 knocktaild\n"
		"does not run.\n",
	.run = close_run,
};
