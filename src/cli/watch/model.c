#include "cli/watch/model.h"

#include <string.h>

/* The place of this knock; otherwise a free one; otherwise that of the oldest. */
static struct watch_knock *place_of(struct watch_model *model, const struct watch_probe *probe)
{
	struct watch_knock *best = &model->knocks[0];

	for (size_t i = 0; i < WATCH_KNOCKS; i++) {
		struct watch_knock *knock = &model->knocks[i];

		if (knock->at_us > 0 && address_equal(&knock->source, &probe->source))
			return knock;
		if (knock->at_us < best->at_us)
			best = knock;
	}
	return best;
}

static void forget_knock(struct watch_model *model, const struct address *source)
{
	for (size_t i = 0; i < WATCH_KNOCKS; i++)
		if (model->knocks[i].at_us > 0 && address_equal(&model->knocks[i].source, source))
			model->knocks[i].at_us = 0;
}

void watch_add_probe(struct watch_model *model, const struct watch_probe *probe)
{
	struct watch_knock *knock;

	model->probes[model->n_probes++ % WATCH_PROBES] = *probe;
	if (!*probe->door) {
		forget_knock(model, &probe->source);
		return;
	}
	knock = place_of(model, probe);
	knock->at_us = probe->realtime_us;
	knock->source = probe->source;
	knock->n_steps = probe->n_steps;
	knock->n_needed = probe->n_needed;
	memcpy(knock->door, probe->door, sizeof knock->door);
}

const struct watch_probe *watch_probe_at(const struct watch_model *model, size_t i)
{
	if (i >= model->n_probes || i >= WATCH_PROBES)
		return NULL;
	return &model->probes[(model->n_probes - 1 - i) % WATCH_PROBES];
}

void watch_expire(struct watch_model *model, uint64_t before_us)
{
	for (size_t i = 0; i < WATCH_KNOCKS; i++)
		if (model->knocks[i].at_us < before_us)
			model->knocks[i].at_us = 0;
}

static size_t model_find_door(const struct watch_model *model, const char *door, const char *source)
{
	size_t i;

	for (i = 0; i < model->n_doors; i++)
		if (strcmp(model->doors[i].door, door) == 0 &&
		    strcmp(model->doors[i].source, source) == 0)
			break;
	return i;
}

void watch_open(struct watch_model *model, const struct watch_door *door)
{
	size_t i = model_find_door(model, door->door, door->source);

	if (i == WATCH_DOORS) {
		model->n_doors_left_out++;
		return;
	}
	model->doors[i] = *door;
	if (i == model->n_doors)
		model->n_doors++;
}

void watch_close(struct watch_model *model, const char *door, const char *source)
{
	size_t i = model_find_door(model, door, source);

	if (i < model->n_doors) {
		model->n_doors--;
		memmove(&model->doors[i], &model->doors[i + 1],
			(model->n_doors - i) * sizeof model->doors[0]);
	} else if (model->n_doors_left_out > 0) {
		model->n_doors_left_out--;
	}
}

void watch_close_all(struct watch_model *model)
{
	model->n_doors = 0;
	model->n_doors_left_out = 0;
}
