/* The doctor's checks of the kernel's log. */
#include "cli/doctor/kernel.h"

#include <errno.h>
#include <inttypes.h>
#include <stdbool.h>
#include <string.h>

#include "cli/common/kernel-log.h"
#include "cli/doctor/checks.h"
#include "cli/doctor/finding.h"
#include "config/config.h"
#include "core/door.h"

static const char all_netns_advice[] =
	"sysctl -w net.netfilter.nf_log_all_netns=0, and take what sets it out of /etc/sysctl.d";

/* What nobody takes is gone. */
static void judge_nflog(struct doctor *doctor)
{
	const char *prefix = doctor->config->log_prefix;

	for (size_t i = 0; i < doctor->config->n_doors; i++) {
		const struct door *door = &doctor->config->doors[i];
		const struct rule_view *rule = NULL;
		int r;

		if (!doctor_looks_at(doctor, door) || !door->knock.filter.by_nflog)
			continue;
		for (enum family family = 0; family < N_FAMILIES && !rule; family++)
			rule = ruleset_find_log(&doctor->ruleset, family, prefix, true);
		if (!rule)
			return;
		r = kernel_log_is_heard(rule->nflog_group);
		if (r < 0)
			doctor_say(doctor, FINDING_UNKNOWN, NULL,
				   "/proc/net/netfilter/nfnetlink_log cannot be read: %s",
				   strerror(-r));
		else if (r == 0)
			doctor_say(doctor, FINDING_PROBLEM,
				   "systemctl status ulogd2, and see what `knocktail rules --nflog "
				   "--ulogd` prints",
				   "no program takes what is logged by NFLOG to the group %u: %s",
				   rule->nflog_group, rule->text);
		return;
	}
}

/* Whether it has been said of all doors. */
static bool judge_door(struct doctor *doctor, const struct door *door)
{
	char text[KERNEL_LOG_TEXT_MAX];

	switch (kernel_log_judge(doctor->config, door, text)) {
	case KERNEL_LOG_WORKS:
		return false;
	case KERNEL_LOG_FORGED:
		doctor_say(doctor, FINDING_WARNING, all_netns_advice, "door %s: %s", door->name,
			   text);
		return false;
	case KERNEL_LOG_REFUSED:
		doctor_say(doctor, FINDING_PROBLEM, all_netns_advice, "door %s: %s", door->name,
			   text);
		return false;
	case KERNEL_LOG_NOTHING:
		doctor_say(doctor, FINDING_PROBLEM,
			   "knock at the host, or log by NFLOG: knocktail rules --nflog "
			   "(doc/container.md)",
			   "%s", text);
		doctor->logs_nothing = true;
		return true;
	case KERNEL_LOG_UNSEEN:
		if (!kernel_log_has_probes(doctor->config))
			doctor_say(doctor, FINDING_UNKNOWN, NULL, "%s", text);
		return true;
	}
	return false;
}

void kernel_judge_log(struct doctor *doctor)
{
	judge_nflog(doctor);
	for (size_t i = 0; i < doctor->config->n_doors; i++) {
		const struct door *door = &doctor->config->doors[i];

		if (doctor_looks_at(doctor, door) && judge_door(doctor, door))
			return;
	}
}

void doctor_check_records(struct doctor *doctor)
{
	struct kernel_log_count count;
	int r = kernel_log_count(doctor->config, &count);

	if (r == -EACCES)
		doctor_say(doctor, FINDING_UNKNOWN, NULL, "no file of the journal can be read");
	else if (r < 0)
		doctor_say(doctor, FINDING_PROBLEM, NULL, "the journal cannot be read: %s",
			   strerror(-r));
	else if (count.n_probes == 0)
		doctor_say(doctor, FINDING_WARNING,
			   "knock from elsewhere and watch: knocktail doctor --knock ADDRESS",
			   "no probe with the prefix \"%s\" in the last 24 hours (damaged lines: "
			   "%" PRIu64 ")",
			   doctor->config->log_prefix, count.n_damaged);
	else
		doctor_say(doctor, FINDING_OK, NULL, "probes in the last 24 hours: %" PRIu64,
			   count.n_probes);
}

void doctor_check_readers(struct doctor *doctor)
{
	for (size_t i = 0; i < doctor->config->n_doors; i++) {
		const struct door *door = &doctor->config->doors[i];
		char text[KERNEL_LOG_TEXT_MAX];
		int r;

		if (!doctor_looks_at(doctor, door))
			continue;
		r = kernel_log_tells(door, text);
		if (r < 0) {
			doctor_say(doctor, FINDING_UNKNOWN, NULL,
				   "kernel.dmesg_restrict cannot be read: %s", strerror(-r));
			return;
		}
		if (r > 0)
			doctor_say(doctor, FINDING_WARNING,
				   "sysctl -w kernel.dmesg_restrict=1, and the same in "
				   "/etc/sysctl.d; or one-time sequences, or keyed knocks",
				   "door %s: %s", door->name, text);
	}
	if (doctor->n_said == 0)
		doctor_say(
			doctor, FINDING_OK, NULL,
			"no user of this machine reads in the kernel's log how doors are opened");
}
