/* The report of this host's knocktail-fleetd. */
#pragma once

#include <json-c/json.h>
#include <stdbool.h>
#include <stdint.h>

#define FLEET_REPORT_PATH RUNSTATEDIR "/knocktail-fleet/report.json"

/* 0; -ENOENT: there is none; -ESTALE: it is of an agent that does not run any more; -EBADMSG: it is
 * not a report; another negative errno. The report is the caller's. */
int fleet_report_read(const char *path, uint64_t now_us, struct json_object **ret);

/* Parts of it, or of what is in it; "", 0 or false: it is not there. */
const char *fleet_report_text(const struct json_object *object, const char *name);
uint64_t fleet_report_number(const struct json_object *object, const char *name);
bool fleet_report_flag(const struct json_object *object, const char *name);
