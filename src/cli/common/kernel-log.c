#include "cli/common/kernel-log.h"

#include <errno.h>
#include <stdio.h>
#include <time.h>

#include "config/config.h"
#include "core/door.h"
#include "core/other-log.h"
#include "core/probe.h"
#include "core/record.h"
#include "format/format.h"
#include "input/input.h"
#include "util/cleanup.h"
#include "util/clock.h"
#include "util/netns-log.h"

DEFINE_CLEANUP(struct input *, input_free)
DEFINE_CLEANUP(struct format *, format_free)

#define US_PER_DAY UINT64_C(86400000000)

static enum kernel_log_fault judge_for_all(const struct config *config, const struct door *door,
					   char text[static KERNEL_LOG_TEXT_MAX])
{
	if (!(door->auth & AUTH_SEQUENCE))
		return KERNEL_LOG_WORKS;
	snprintf(text, KERNEL_LOG_TEXT_MAX,
		 "%s: net.netfilter.nf_log_all_netns is on, and anybody who may create a network "
		 "namespace can forge them",
		 config->trust_all_netns ? "sequences are trusted" : "sequences are refused");
	return config->trust_all_netns ? KERNEL_LOG_FORGED : KERNEL_LOG_REFUSED;
}

/* Where the host has it on, this is how it has to be. */
static enum kernel_log_fault judge_elsewhere(char text[static KERNEL_LOG_TEXT_MAX])
{
	enum netns_log host = netns_log_read_of_first();

	if (host == NETNS_LOG_ALL)
		return KERNEL_LOG_WORKS;
	snprintf(text, KERNEL_LOG_TEXT_MAX,
		 "this network namespace is not the host's: LOG writes nothing here %s",
		 host == NETNS_LOG_FIRST
			 ? "(net.netfilter.nf_log_all_netns is 0)"
			 : "unless net.netfilter.nf_log_all_netns is 1 there, which cannot be seen "
			   "from here");
	return host == NETNS_LOG_FIRST ? KERNEL_LOG_NOTHING : KERNEL_LOG_UNSEEN;
}

enum kernel_log_fault kernel_log_judge(const struct config *config, const struct door *door,
				       char text[static KERNEL_LOG_TEXT_MAX])
{
	text[0] = '\0';
	if (door->log)
		return KERNEL_LOG_WORKS;
	switch (netns_log_read()) {
	case NETNS_LOG_FIRST:
		return KERNEL_LOG_WORKS;
	case NETNS_LOG_ALL:
		return judge_for_all(config, door, text);
	case NETNS_LOG_NOT_FIRST:
		return judge_elsewhere(text);
	case NETNS_LOG_UNKNOWN:
		break;
	}
	snprintf(text, KERNEL_LOG_TEXT_MAX,
		 "it cannot be seen whether LOG writes anything here: "
		 "/proc/sys/net/netfilter cannot be read");
	return KERNEL_LOG_UNSEEN;
}

int kernel_log_tells(const struct door *door, char text[static KERNEL_LOG_TEXT_MAX])
{
	CLEANUP(cleanup_fclose) FILE *file = NULL;
	int c;

	/* Nothing that is good once is worth anything when it has been read. */
	if (door->log || door->knock.sequence.n_steps == 0)
		return 0;
	file = fopen("/proc/sys/kernel/dmesg_restrict", "re");
	c = file ? getc(file) : EOF;
	if (c == EOF)
		return errno ? -errno : -EIO;
	if (c != '0')
		return 0;
	snprintf(text, KERNEL_LOG_TEXT_MAX,
		 "every user of this machine can read its sequence in the kernel's log "
		 "(kernel.dmesg_restrict is 0)");
	return 1;
}

int kernel_log_is_heard(unsigned nflog_group)
{
	CLEANUP(cleanup_fclose) FILE *file = fopen("/proc/net/netfilter/nfnetlink_log", "re");
	char line[128];
	unsigned group;

	/* Without the module nobody can listen. */
	if (!file)
		return errno == ENOENT ? 0 : -errno;
	while (fgets(line, sizeof line, file))
		if (sscanf(line, " %u ", &group) == 1 && group == nflog_group)
			return 1;
	return 0;
}

static enum format_verdict read_record(const struct config *config, const struct record *record,
				       const struct format *kernel, const struct format *relayed)
{
	struct probe probe;

	if (record->log == 0)
		return format_parse(kernel, record, &probe);
	if (config->logs[record->log - 1].form == LOG_FORM_KERNEL)
		return format_parse(relayed, record, &probe);
	return FORMAT_FOREIGN;
}

int kernel_log_count(const struct config *config, struct kernel_log_count *ret)
{
	CLEANUP(cleanup_input_free) struct input *input = NULL;
	CLEANUP(cleanup_format_free) struct format *kernel = NULL;
	CLEANUP(cleanup_format_free) struct format *relayed = NULL;
	struct kernel_log_count count = {0};
	struct record record;
	int r = format_new_kernel(config->log_prefix, &kernel);

	if (r == 0)
		r = format_new_relayed(config->log_prefix, &relayed);
	if (r == 0)
		r = input_new_journal(NULL, NULL, clock_us(CLOCK_REALTIME) - US_PER_DAY, UINT64_MAX,
				      &input);
	if (r == 0)
		r = input_listen(input, config->logs, config->n_logs);
	while (r >= 0 && (r = input_next(input, &record)) == INPUT_RECORD) {
		enum format_verdict verdict = read_record(config, &record, kernel, relayed);

		count.n_probes += verdict == FORMAT_PROBE;
		count.n_damaged += verdict == FORMAT_DAMAGED;
	}
	if (r < 0)
		return r;
	if (!input_sees_files(input))
		return -EACCES;
	*ret = count;
	return 0;
}

bool kernel_log_has_probes(const struct config *config)
{
	struct kernel_log_count count;

	return kernel_log_count(config, &count) == 0 && count.n_probes > 0;
}
