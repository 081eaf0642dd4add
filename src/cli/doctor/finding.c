#include "cli/doctor/finding.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cli/common/json.h"
#include "cli/common/memory.h"
#include "cli/common/output.h"
#include "config/config.h"
#include "core/door.h"
#include "util/cleanup.h"

static void put_finding(struct doctor *doctor, const char *level, const char *text,
			const char *advice)
{
	struct json_object *object = json_object_new_object();

	json_put_text(object, "check", doctor->check);
	json_put_text(object, "level", level);
	json_put_text(object, "text", text);
	json_put_text(object, "advice", advice);
	json_add(doctor->findings, object);
}

void doctor_say(struct doctor *doctor, enum finding finding, const char *advice, const char *format,
		...)
{
	static const char *const words[] = {"ok", "unknown", "warning", "problem"};
	char *text CLEANUP(cleanup_free) = NULL;
	va_list arguments;

	if (doctor->is_terse && finding == FINDING_OK)
		return;
	va_start(arguments, format);
	if (vasprintf(&text, format, arguments) < 0)
		memory_out();
	va_end(arguments);
	if (doctor->said && strcmp(text, doctor->said) == 0)
		return;
	if (doctor->findings) {
		put_finding(doctor, words[finding], text, advice);
	} else {
		output_print("%-8s %-12s %s\n", words[finding], doctor->check, text);
		if (advice)
			output_print("%-21s -> %s\n", "", advice);
	}
	doctor->n_unknown += finding == FINDING_UNKNOWN;
	doctor->n_warnings += finding == FINDING_WARNING;
	doctor->n_problems += finding == FINDING_PROBLEM;
	doctor->n_said += finding != FINDING_OK;
	free(doctor->said);
	doctor->said = TAKE_PTR(text);
}

bool doctor_looks_at(const struct doctor *doctor, const struct door *door)
{
	return !doctor->only || doctor->only == door;
}

void doctor_each_door(struct doctor *doctor, doctor_door_fn fn)
{
	for (size_t i = 0; i < doctor->config->n_doors; i++) {
		const struct door *door = &doctor->config->doors[i];

		if (!doctor_looks_at(doctor, door))
			continue;
		for (enum family family = 0; family < N_FAMILIES; family++)
			if (door_opens_for(door, family) && doctor->sides[family].is_there)
				fn(doctor, door, family);
	}
}
