#include "cli/common/options.h"

#include <assert.h>
#include <errno.h>
#include <getopt.h>
#include <stdio.h>
#include <string.h>

#include "util/clock.h"
#include "util/duration.h"
#include "util/timestamp.h"

#define SPAN_MIN_US US_PER_S
#define SPAN_MAX_US (3600 * US_PER_S)

static int option_take_time(const struct verb *verb, const char *text, uint64_t *ret_us)
{
	if (timestamp_parse(text, clock_us(CLOCK_REALTIME), ret_us) == 0)
		return 0;
	fprintf(stderr,
		"knocktail %s: invalid time '%s' (examples: \"2026-11-22 21:00\", yesterday, @1700000000, -2h)\n",
		verb->name, text);
	return -EINVAL;
}

static int option_take_span(const struct verb *verb, const char *text, uint64_t *ret_us)
{
	uint64_t us;

	if (duration_parse(text, &us) == 0 && us >= SPAN_MIN_US && us <= SPAN_MAX_US) {
		*ret_us = us;
		return 0;
	}
	fprintf(stderr, "knocktail %s: '%s' is not a time span between 1s and 1h\n", verb->name,
		text);
	return -EINVAL;
}

static int option_take_form(const struct verb *verb, const char *text, bool *ret_json)
{
	*ret_json = strcmp(text, "json") == 0;
	if (*ret_json || strcmp(text, "text") == 0)
		return 0;
	fprintf(stderr, "knocktail %s: unknown output format '%s' (text or json)\n", verb->name,
		text);
	return -EINVAL;
}

static bool option_has_argument(const struct verb_option *option)
{
	return option->text || option->json || option->time_us || option->span_us || option->parse;
}

/* 0; <0 after a complaint. */
static int option_take(const struct verb *verb, const struct verb_option *option,
		       const char *argument)
{
	if (option->given)
		*option->given = true;
	if (option->parse)
		return option->parse(argument, option->userdata);
	if (option->time_us)
		return option_take_time(verb, argument, option->time_us);
	if (option->span_us)
		return option_take_span(verb, argument, option->span_us);
	if (option->json)
		return option_take_form(verb, argument, option->json);
	if (option->text)
		*option->text = argument;
	return 0;
}

/* What getopt_long() returns for a long option is the row's number after all characters. */
#define FIRST_LONG 256

static size_t option_find(const struct verb_option options[], int c)
{
	size_t i = c >= FIRST_LONG ? (size_t)(c - FIRST_LONG) : 0;

	while (c < FIRST_LONG && options[i].name && options[i].letter != c)
		i++;
	return i;
}

bool options_read(const struct verb *verb, int argc, char *argv[],
		  const struct verb_option options[], enum status *ret_status)
{
	struct option long_options[VERB_OPTIONS_MAX + 2] = {{"help", no_argument, NULL, 'h'}};
	char letters[2 * VERB_OPTIONS_MAX + 2] = "h", *letter = letters + 1;
	int c;

	for (size_t i = 0; options[i].name; i++) {
		int argument = option_has_argument(&options[i]) ? required_argument : no_argument;

		assert(i < VERB_OPTIONS_MAX);
		long_options[i + 1] =
			(struct option){options[i].name, argument, NULL, FIRST_LONG + (int)i};
		if (options[i].letter)
			*letter++ = options[i].letter;
		if (options[i].letter && argument == required_argument)
			*letter++ = ':';
	}
	while ((c = getopt_long(argc, argv, letters, long_options, NULL)) != -1) {
		const struct verb_option *option = &options[option_find(options, c)];

		if (option->name && option_take(verb, option, optarg) == 0)
			continue;
		*ret_status = c == 'h' ? verb_help(verb) : verb_misused(verb);
		return false;
	}
	return true;
}

void verb_warn_blind(const struct verb *verb)
{
	fprintf(stderr,
		"knocktail %s: warning: no journal file can be read: is this user in the group systemd-journal?\n",
		verb->name);
}
