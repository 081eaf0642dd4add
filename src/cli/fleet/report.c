#include "cli/fleet/report.h"

#include <errno.h>
#include <fcntl.h>

#include "util/cleanup.h"
#include "util/clock.h"
#include "util/file.h"

/* More than it has with as many open as there may be, and how seldom it is written. */
enum { REPORT_MAX = 64 << 20 };
#define OLD_US (60 * US_PER_S)

static bool report_is_whole(const struct json_object *report)
{
	return json_object_is_type(report, json_type_object) &&
	       json_object_is_type(json_object_object_get(report, "counts"), json_type_object) &&
	       json_object_is_type(json_object_object_get(report, "shares"), json_type_array) &&
	       json_object_is_type(json_object_object_get(report, "open"), json_type_array);
}

int fleet_report_read(const char *path, uint64_t now_us, struct json_object **ret)
{
	CLEANUP(cleanup_close) int fd = open(path, O_RDONLY | O_CLOEXEC);
	CLEANUP(cleanup_free) char *text = NULL;
	struct json_object *report;
	size_t size;
	int r = fd < 0 ? -errno : file_read(fd, REPORT_MAX, &text, &size);

	if (r < 0)
		return r;
	report = json_tokener_parse(text);
	if (!report_is_whole(report)) {
		json_object_put(report);
		return -EBADMSG;
	}
	if (fleet_report_number(report, "written_us") + OLD_US < now_us) {
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
