#include "cli/rules/nflog.h"

#include <errno.h>

#include "cli/rules/plan.h"
#include "config/config.h"

/* The names are ours alone, so that all of it can be added to a configuration that is there. */
static const char *const ulogd_lines[] = {
	"[global]",
	"logfile=\"syslog\"",
	"stack=knock:NFLOG,knock_base:BASE,knock_if:IFINDEX,knock_ip:IP2STR,knock_print:PRINTPKT,"
	"knock_syslog:SYSLOG",
	"",
	"[knock]",
};

static void put_ulogd_line(const char *indent, const char *line, FILE *file)
{
	fprintf(file, "%s%s\n", *line ? indent : indent[0] == '#' ? "#" : "", line);
}

/* The kernel would keep packets back for up to a second, to send many at once. */
void nflog_print_ulogd(const struct plan *plan, const char *indent, FILE *file)
{
	for (size_t i = 0; i < sizeof ulogd_lines / sizeof ulogd_lines[0]; i++)
		put_ulogd_line(indent, ulogd_lines[i], file);
	fprintf(file, "%sgroup=%u\n", indent, plan->nflog_group);
	put_ulogd_line(indent, "# Wait 10 ms for more, not a second.", file);
	put_ulogd_line(indent, "netlink_qtimeout=1", file);
}

void nflog_put_comment(const struct plan *plan, FILE *file)
{
	if (plan->nflog_group == 0)
		return;
	fprintf(file,
		"# They log by NFLOG, for a [log] section with format = kernel. ulogd (Debian's ulogd2) "
		"writes\n"
		"# that to the journal, with an /etc/ulogd.conf such as this, which --ulogd prints "
		"alone:\n"
		"#\n");
	nflog_print_ulogd(plan, "#\t", file);
	fputs("\n", file);
}

int nflog_check(const struct plan *plan)
{
	for (size_t i = 0; i < plan->config->n_doors; i++) {
		const struct door *door = &plan->config->doors[i];

		if (plan->nflog_group > 0 && !door->log) {
			fprintf(stderr,
				"knocktail rules: door %s: its probes come from the kernel's log, to "
				"which rules with --nflog write nothing: give it a log whose [log] "
				"section has format = kernel\n",
				door->name);
			return -EINVAL;
		}
		if (plan->nflog_group == 0 && door->knock.filter.by_nflog)
			fprintf(stderr,
				"knocktail rules: door %s: its probes come from the log %s, to which "
				"these rules write nothing without --nflog\n",
				door->name, door->log);
	}
	return 0;
}
