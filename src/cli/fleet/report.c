#include "cli/fleet/report.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>

#include "util/cleanup.h"
#include "util/clock.h"
#include "util/file.h"

/* More than it has with as many open as there may be, and how seldom it is written. */
enum { REPORT_MAX = 64 << 20 };
#define OLD_US (60 * US_PER_S)

/* The agent is not believed: what it has from others goes to a terminal. */
static bool text_is_harmless(const char *text)
{
	for (; *text; text++)
		if (*text < ' ' || *text > '~')
			return false;
	return true;
}

/* An object or an array, and all that is in it. */
static bool json_is_harmless(struct json_object *value);

static bool object_is_harmless(const struct json_object *object)
{
	json_object_object_foreach(object, name, value)
	{
		if (!text_is_harmless(name) || !json_is_harmless(value))
			return false;
	}
	return true;
}

static bool json_is_harmless(struct json_object *value)
{
	switch (json_object_get_type(value)) {
	case json_type_string:
		return text_is_harmless(json_object_get_string(value));
	case json_type_object:
		return object_is_harmless(value);
	case json_type_array:
		for (size_t i = 0; i < json_object_array_length(value); i++)
			if (!json_is_harmless(json_object_array_get_idx(value, i)))
				return false;
		return true;
	default:
		return true;
	}
}

static bool report_is_whole(const struct json_object *report)
{
	return json_object_is_type(report, json_type_object) &&
	       json_object_is_type(json_object_object_get(report, "counts"), json_type_object) &&
	       json_object_is_type(json_object_object_get(report, "shares"), json_type_array) &&
	       json_object_is_type(json_object_object_get(report, "open"), json_type_array);
}

int fleet_report_read(const char *path, uint64_t now_us, struct json_object **ret)
{
	CLEANUP(cleanup_close) int fd = -1;
	CLEANUP(cleanup_free) char *text = NULL;
	struct json_object *report;
	struct stat status;
	uint64_t written_us;
	size_t size;
	int r = file_open_regular(path, O_NOFOLLOW, &fd, &status);

	/* Neither what is not a file nor what is behind a name of the agent's. */
	if (r == -EBADF || r == -ELOOP)
		return -EBADMSG;
	if (r == 0)
		r = file_read(fd, REPORT_MAX, &text, &size);
	if (r < 0)
		return r;
	report = json_tokener_parse(text);
	if (!report_is_whole(report) || !json_is_harmless(report)) {
		json_object_put(report);
		return -EBADMSG;
	}
	written_us = fleet_report_number(report, "written_us");
	if (written_us > now_us + OLD_US || now_us > written_us + OLD_US) {
		json_object_put(report);
		return -ESTALE;
	}
	*ret = report;
	return 0;
}

const char *fleet_report_text(const struct json_object *object, const char *name)
{
	const char *text = json_object_get_string(json_object_object_get(object, name));

	return text ? text : "";
}

uint64_t fleet_report_number(const struct json_object *object, const char *name)
{
	return json_object_get_uint64(json_object_object_get(object, name));
}

bool fleet_report_flag(const struct json_object *object, const char *name)
{
	return json_object_get_boolean(json_object_object_get(object, name));
}
