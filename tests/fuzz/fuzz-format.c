/* Any bytes as a record's text: whatever comes out as a probe is within its bounds. */
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "core/probe.h"
#include "core/record.h"
#include "format/format.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const char prefix[] = "[rec] ";
static struct format *format;

static void require(bool holds)
{
	if (!holds)
		abort();
}

static void check_probe(const struct probe *probe, const struct record *record)
{
	size_t name = strnlen(probe->interface, sizeof(probe->interface));
	char text[ADDRESS_TEXT_MAX];
	struct address parsed;

	require(probe->time_us == record->kernel_us);
	require(probe->source_port >= 1 && probe->port >= 1);
	require(probe->protocol == IPPROTO_TCP || probe->protocol == IPPROTO_UDP);
	require(probe->protocol == IPPROTO_TCP || (probe->tcp_flags == 0 && probe->n_options == 0));
	require(probe->n_options <= TCP_OPTIONS_MAX && probe->n_options % 4 == 0);
	for (size_t i = probe->n_options; i < TCP_OPTIONS_MAX; i++)
		require(probe->options[i] == 0);

	require(name > 0 && name < sizeof(probe->interface));
	for (size_t i = name; i < sizeof(probe->interface); i++)
		require(probe->interface[i] == '\0');
	for (size_t i = 0; i < name; i++)
		require(probe->interface[i] > ' ' && probe->interface[i] <= '~');

	require(address_family(&probe->source) == address_family(&probe->target));
	require(address_parse(address_format(&probe->source, text), &parsed) == 0);
	require(address_equal(&parsed, &probe->source));
}

/* A line that is a probe has nothing in it but printable ASCII. */
static void check_text(const struct record *record)
{
	for (size_t i = 0; i < record->length; i++)
		require(record->text[i] >= ' ' && record->text[i] <= '~');
	require(record->length <= 2048);
}

static void check_same(const struct record *record, enum format_verdict verdict,
		       const struct probe *probe)
{
	struct probe again;

	memset(&again, 0, sizeof(again));
	require(format_parse(format, record, &again) == verdict);
	require(verdict != FORMAT_PROBE ||
		(again.port == probe->port && address_equal(&again.source, &probe->source)));
}

/* The same bytes to an expression that takes nearly anything for a field. */
static void check_custom(const struct record *record)
{
	static const char expression[] =
		"(?:(?<IN>\\w*):)?(?:(?<PROTO>\\S+) )?(?<SRC>.+?)(?::(?<SPT>.*))?(?: to "
		"(?<DST>.*))?[: ](?<DPT>[^ ]+)(?: (?<FLAGS>.*))?";
	static struct format *custom;
	struct format_error error;
	struct probe probe;

	if (!custom && format_new_custom(expression, &error, &custom) < 0)
		abort();
	memset(&probe, 0xa5, sizeof(probe));
	if (format_parse(custom, record, &probe) != FORMAT_PROBE) {
		require(probe.time_us == UINT64_C(0xa5a5a5a5a5a5a5a5));
		return;
	}
	require(probe.port >= 1 && probe.n_options == 0);
	require(probe.protocol == IPPROTO_TCP ||
		(probe.protocol == IPPROTO_UDP && !probe.tcp_flags));
	require(memchr(probe.interface, '\0', sizeof(probe.interface)));
}

/* And to that of what ulogd passes on. */
static void check_relayed(const struct record *record)
{
	static struct format *relayed;
	struct probe probe;

	if (!relayed && format_new_relayed(prefix, &relayed) < 0)
		abort();
	if (format_parse(relayed, record, &probe) == FORMAT_PROBE) {
		check_probe(&probe, record);
		check_text(record);
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	/* The first byte says whether the prefix, too, is made up: few lines would have it. */
	size_t skip = size > 0 && data[0] != '[';
	size_t n_prefix = skip ? strlen(prefix) : 0;
	size_t length = n_prefix + size - skip;
	char *text = malloc(length ? length : 1);
	struct record record = {.text = text, .length = length, .kernel_us = 4711};
	struct probe probe;
	enum format_verdict verdict;

	if (!format && format_new_kernel(prefix, &format) < 0)
		abort();
	require(text);
	memcpy(text, prefix, n_prefix);
	if (size > skip)
		memcpy(text + n_prefix, data + skip, size - skip);

	memset(&probe, 0xa5, sizeof(probe));
	verdict = format_parse(format, &record, &probe);
	if (verdict == FORMAT_PROBE) {
		check_probe(&probe, &record);
		check_text(&record);
	} else
		require(probe.time_us == UINT64_C(0xa5a5a5a5a5a5a5a5));
	check_same(&record, verdict, &probe);
	check_custom(&record);
	check_relayed(&record);
	free(text);
	return 0;
}
