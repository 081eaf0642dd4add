#include "input/entry.h"

#include <ctype.h>
#include <errno.h>
#include <string.h>

#include "input/log-match.h"
#include "util/number.h"

/* How journald reports that the kernel's ring has overflowed: SD_MESSAGE_JOURNAL_MISSED of
 * sd-messages.h. */
static const char missed_id[] = "e9bf28e6e834481bb6f48f548ad13606";
static const char missed_text[] = "Missed ";

/* What has been read of an entry. */
struct entry_fields {
	bool has_transport, has_facility, has_time, has_text;
	bool from_kernel, from_driver, kernel_facility, missed;
	uint64_t kernel_us;
	size_t length; /* of the text */
};

static bool value_equals(const char *value, size_t length, const char *expected)
{
	return length == strlen(expected) && memcmp(value, expected, length) == 0;
}

/* The value, if the data is "NAME=VALUE" with this name and the equals sign. */
static const char *value_of(const char *data, size_t length, const char *name, size_t n_name)
{
	return length >= n_name && memcmp(data, name, n_name) == 0 ? data + n_name : NULL;
}

#define VALUE_OF(name)	value_of(data, length, name "=", sizeof name)
#define LENGTH_OF(name) (length - sizeof name)

/* False: the entry is of no use, whatever else is in it. */
static bool entry_read_field(struct entry_reader *reader, const char *data, size_t length,
			     struct entry_fields *fields)
{
	const char *value;

	if (reader->log_match)
		log_match_show(reader->log_match, data, length);
	if ((value = VALUE_OF("_TRANSPORT"))) {
		fields->has_transport = true;
		fields->from_kernel = value_equals(value, LENGTH_OF("_TRANSPORT"), "kernel");
		fields->from_driver = value_equals(value, LENGTH_OF("_TRANSPORT"), "driver");
		return fields->from_kernel || fields->from_driver || reader->log_match;
	}
	if ((value = VALUE_OF("SYSLOG_FACILITY"))) {
		fields->has_facility = true;
		fields->kernel_facility = value_equals(value, LENGTH_OF("SYSLOG_FACILITY"), "0");
	} else if ((value = VALUE_OF("_SOURCE_MONOTONIC_TIMESTAMP"))) {
		fields->has_time = number_parse(value, LENGTH_OF("_SOURCE_MONOTONIC_TIMESTAMP"),
						&fields->kernel_us) == 0;
	} else if ((value = VALUE_OF("MESSAGE"))) {
		fields->has_text = true;
		fields->length = LENGTH_OF("MESSAGE");
		if (fields->length > sizeof reader->text)
			fields->length = sizeof reader->text;
		memcpy(reader->text, value, fields->length);
	} else if ((value = VALUE_OF("MESSAGE_ID"))) {
		fields->missed = value_equals(value, LENGTH_OF("MESSAGE_ID"), missed_id);
	}
	return true;
}

/* All fields in one go: that costs half of asking for each by its name, and no more than having the
 * library match them. */
static int read_fields(struct entry_reader *reader, sd_journal *journal, struct entry_fields *ret)
{
	struct entry_fields fields = {0};
	const void *data;
	size_t length;
	int r;

	if (reader->log_match)
		log_match_start(reader->log_match);
	sd_journal_restart_data(journal);
	while ((r = sd_journal_enumerate_available_data(journal, &data, &length)) > 0)
		if (!entry_read_field(reader, data, length, &fields))
			break;
	if (r < 0)
		return r;
	*ret = fields;
	return 0;
}

/* Whether what an entry of its kind must have to count is there. */
static bool is_finished(const struct entry_reader *reader, const struct entry_fields *fields)
{
	if (fields->from_kernel)
		return fields->has_facility &&
		       (!fields->kernel_facility || (fields->has_text && fields->has_time));
	return fields->has_transport &&
	       (fields->has_text || !(fields->from_driver ||
				      (reader->log_match && log_match_result(reader->log_match))));
}

/* "Missed 12 kernel messages" */
static uint64_t count_missed(const char *text, size_t length)
{
	size_t skip = sizeof missed_text - 1, n_digits = 0;
	uint64_t missed;

	if (length < skip || memcmp(text, missed_text, skip) != 0)
		return 1;
	while (skip + n_digits < length && isdigit((unsigned char)text[skip + n_digits]))
		n_digits++;
	return number_parse(text + skip, n_digits, &missed) == 0 ? missed : 1;
}

/* When it was stored, and in which boot. */
struct entry_times {
	uint64_t realtime_us, stored_us;
	sd_id128_t boot;
};

static int read_times(sd_journal *journal, struct entry_times *ret)
{
	int r = sd_journal_get_realtime_usec(journal, &ret->realtime_us);

	return r >= 0 ? sd_journal_get_monotonic_usec(journal, &ret->stored_us, &ret->boot) : r;
}

static void take_times(struct entry_reader *reader, const struct entry_times *times,
		       struct record *record)
{
	if (!sd_id128_equal(times->boot, reader->last_boot)) {
		reader->last_boot = times->boot;
		reader->boot++;
	}
	reader->last_us = times->stored_us;
	record->realtime_us = times->realtime_us;
	record->boot = reader->boot;
	if (sd_id128_equal(times->boot, reader->this_boot))
		record->monotonic_us = times->stored_us;
}

bool entry_again(struct entry_reader *reader, struct record *ret_record)
{
	uint32_t log = 0;

	if (reader->claimed == 0)
		return false;
	while (!(reader->claimed & UINT32_C(1) << log))
		log++;
	reader->claimed &= ~(UINT32_C(1) << log);
	*ret_record = reader->record;
	ret_record->log = log + 1;
	return true;
}

int entry_listen(struct entry_reader *reader, const struct other_log *logs, size_t n)
{
	struct log_match *log_match = NULL;
	int r = n > 0 ? log_match_new(logs, n, &log_match) : 0;

	if (r < 0)
		return r;
	log_match_free(reader->log_match);
	reader->log_match = log_match;
	reader->claimed = 0;
	return 0;
}

void entry_done(struct entry_reader *reader)
{
	reader->log_match = log_match_free(reader->log_match);
}

int entry_read(struct entry_reader *reader, sd_journal *journal, bool is_final,
	       struct record *ret_record, uint64_t *ret_missed)
{
	struct record record = {0};
	struct entry_fields fields = {0};
	struct entry_times times;
	bool has_times;
	int r;

	reader->claimed = 0;
	r = read_times(journal, &times);
	has_times = r >= 0;
	if (r >= 0)
		r = read_fields(reader, journal, &fields);
	if (!is_final && (r < 0 ? entry_is_lost(r) : !is_finished(reader, &fields)))
		return ENTRY_UNFINISHED;
	/* Also of one that a disk does not give: it is not to be met again on reopening. */
	if (has_times)
		take_times(reader, &times, &record);
	if (r < 0)
		return r;
	if (fields.from_driver && fields.missed) {
		*ret_missed = count_missed(reader->text, fields.length);
		return ENTRY_MISSED;
	}
	record.kernel_us =
		fields.from_kernel && fields.has_time ? fields.kernel_us : reader->last_us;
	record.text = reader->text;
	record.length = fields.length;
	if (fields.from_kernel && !(fields.has_text && fields.kernel_facility))
		return ENTRY_WRITTEN;
	if (!fields.has_text)
		return ENTRY_FOREIGN;
	if (!fields.from_kernel) {
		reader->claimed = reader->log_match ? log_match_result(reader->log_match) : 0;
		reader->record = record;
		return entry_again(reader, ret_record) ? ENTRY_RECORD : ENTRY_FOREIGN;
	}
	*ret_record = record;
	return ENTRY_RECORD;
}

bool entry_is_lost(int r)
{
	return r == -ENOENT || r == -EBADMSG || r == -E2BIG || r == -ENOBUFS ||
	       r == -EADDRNOTAVAIL || r == -EPROTONOSUPPORT;
}
