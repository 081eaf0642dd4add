/* MUST: whatever stands in the journal ends up as text: it is escaped, and the page allows no
 * script at all. */
#include "cli/audit/html.h"

#include <inttypes.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "cli/audit/chart.h"
#include "cli/audit/log.h"
#include "cli/audit/probe-histogram.h"
#include "cli/common/memory.h"
#include "cli/common/output.h"
#include "util/duration.h"
#include "util/timestamp.h"

enum { ROWS_MAX = 5000, PORTS_SHOWN = 12 };

static const char head[] =
	"<!DOCTYPE html>\n<html lang='en'>\n<head>\n<meta charset='utf-8'>\n"
	"<meta name='viewport' content='width=device-width, initial-scale=1'>\n"
	"<meta http-equiv='Content-Security-Policy' "
	"content=\"default-src 'none'; style-src 'unsafe-inline'\">\n"
	"<title>knocktail audit</title>\n<style>\n"
	":root{color-scheme:light dark;--page:#f6f7f9;--card:#fff;--ink:#1c2330;--quiet:#66707f;"
	"--line:#e3e7ec;--stripe:#f4f6f9;--closed:#3b73d1;--open:#1f9d63;--refused:#cf3b4b;"
	"--unclosed:#d9791a;--probes:#9aa8bd}\n"
	"@media(prefers-color-scheme:dark){:root{--page:#12161d;--card:#1a202a;--ink:#e4e8ee;"
	"--quiet:#93a0b2;--line:#2b3442;--stripe:#1f2632;--closed:#6ea2f5;--open:#43c78a;"
	"--refused:#f2707d;--unclosed:#f0a04b;--probes:#64748d}}\n"
	"*{box-sizing:border-box}body{margin:0;background:var(--page);color:var(--ink);"
	"font:15px/1.5 system-ui,-apple-system,'Segoe UI',sans-serif}\n"
	"main{max-width:1180px;margin:0 auto;padding:32px 20px 56px}"
	"h1{font-size:26px;margin:0;letter-spacing:-.01em}h2{font-size:17px;margin:0 0 12px}\n"
	".quiet,.lead{color:var(--quiet)}.lead{margin:2px 0 22px}"
	".tiles{display:grid;grid-template-columns:repeat(auto-fit,minmax(140px,1fr));gap:12px;"
	"margin-bottom:16px}\n"
	".tile,.card{background:var(--card);border:1px solid var(--line);border-radius:10px}"
	".tile{padding:12px 16px}.tile b{display:block;font-size:26px;line-height:1.2;"
	"font-variant-numeric:tabular-nums}.card{padding:18px;margin-bottom:16px}\n"
	".tile.bad b{color:var(--refused)}.tile.good b{color:var(--open)}"
	".scroll{overflow-x:auto}svg{display:block;width:100%;min-width:760px;height:auto}\n"
	"svg text{font:12px system-ui,sans-serif;fill:var(--ink)}svg .door{font-weight:600}"
	"svg .mark{fill:var(--quiet);font-size:11px;text-anchor:middle}"
	"svg .mark.end{text-anchor:end}svg .quiet{fill:var(--quiet)}\n"
	".stripe{fill:var(--stripe)}.grid{stroke:var(--line)}.base{stroke:var(--quiet)}"
	"rect.closed,i.closed{fill:var(--closed);background:var(--closed)}"
	"rect.open,i.open{fill:var(--open);background:var(--open)}"
	"path.refused,i.refused{fill:var(--refused);background:var(--refused)}\n"
	"rect.unclosed,i.unclosed{fill:var(--unclosed);background:var(--unclosed)}"
	"rect.probes,i.probes{fill:var(--probes);background:var(--probes)}\n"
	".legend{display:flex;flex-wrap:wrap;gap:4px 18px;margin:10px 0 0;padding:0;"
	"list-style:none;font-size:13px;color:var(--quiet)}.legend "
	"i{display:inline-block;width:12px;"
	"height:12px;border-radius:3px;margin-right:6px;vertical-align:-1px}"
	".legend i.refused{transform:rotate(45deg) scale(.8);border-radius:0}\n"
	"table{border-collapse:collapse;width:100%;font-variant-numeric:tabular-nums}"
	"th{text-align:left;font-size:12px;font-weight:600;color:var(--quiet)}"
	"th,td{padding:6px 12px 6px 0;border-bottom:1px solid var(--line);white-space:nowrap}"
	"td.why{white-space:normal;min-width:260px;color:var(--quiet)}tr:last-child "
	"td{border-bottom:0}"
	"td.refused{color:var(--refused)}td.open{color:var(--open)}td.unclosed{color:var(--"
	"unclosed)}"
	"td.right,th.right{text-align:right}\n"
	".ports{columns:3 200px;margin:0;padding:0;list-style:none}.ports li{display:flex;"
	"justify-content:space-between;border-bottom:1px solid var(--line);padding:4px 0;"
	"break-inside:avoid;margin-right:24px;font-variant-numeric:tabular-nums}\n"
	"@media print{body{background:#fff}.card,.tile{break-inside:avoid}}\n"
	"</style>\n</head>\n<body>\n<main>\n<h1>Who was let in</h1>\n";

static void put_cell(FILE *file, const char *class, const char *text)
{
	if (class)
		fprintf(file, "<td class='%s'>", class);
	else
		fputs("<td>", file);
	html_text(file, text);
	fputs("</td>", file);
}

struct totals {
	uint64_t n_opened, n_refused, n_open, n_sources;
	bool hosts;
};

static int compare_texts(const void *a, const void *b)
{
	return strcmp(*(const char *const *)a, *(const char *const *)b);
}

static uint64_t count_sources(const struct audit_log *log)
{
	const char **sources = calloc(log->n_visits + 1, sizeof *sources);
	size_t n = 0;
	uint64_t n_different = 0;

	if (!sources)
		memory_out();
	for (size_t i = 0; i < log->n_visits; i++)
		if (log->visits[i].state != VISIT_REFUSED)
			sources[n++] = log->visits[i].source;
	qsort(sources, n, sizeof *sources, compare_texts);
	for (size_t i = 0; i < n; i++)
		n_different += i == 0 || strcmp(sources[i], sources[i - 1]) != 0;
	free(sources);
	return n_different;
}

static struct totals count_visits(const struct audit_log *log)
{
	struct totals totals = {.n_sources = count_sources(log)};

	for (size_t i = 0; i < log->n_visits; i++) {
		const struct visit *visit = &log->visits[i];

		totals.n_refused += visit->state == VISIT_REFUSED;
		totals.n_opened += visit->state != VISIT_REFUSED;
		totals.n_open += visit->state == VISIT_OPEN;
		totals.hosts |= strcmp(visit->host, log->visits[0].host) != 0;
	}
	return totals;
}

static void put_tile(FILE *file, const char *class, uint64_t number, const char *what)
{
	fprintf(file, "<div class='tile %s'><b>%" PRIu64 "</b>%s</div>\n", class, number, what);
}

static void write_tiles(FILE *file, const struct totals *totals,
			const struct probe_histogram *histogram)
{
	fputs("<div class='tiles'>\n", file);
	put_tile(file, "", totals->n_opened, totals->n_opened == 1 ? "opening" : "openings");
	put_tile(file, "", totals->n_sources, totals->n_sources == 1 ? "address" : "addresses");
	put_tile(file, totals->n_open ? "good" : "", totals->n_open, "open now");
	put_tile(file, totals->n_refused ? "bad" : "", totals->n_refused,
		 totals->n_refused == 1 ? "refusal" : "refusals");
	if (histogram)
		put_tile(file, "", histogram->n_probes,
			 histogram->n_probes == 1 ? "probe" : "probes");
	fputs("</div>\n", file);
}

static void write_legend(FILE *file, const struct probe_histogram *histogram)
{
	fputs("<ul class='legend'><li><i class='closed'></i>was open</li>"
	      "<li><i class='open'></i>is open</li>"
	      "<li><i class='refused'></i>refused</li>"
	      "<li><i class='unclosed'></i>could not be closed at once</li>",
	      file);
	if (histogram)
		fputs("<li><i class='probes'></i>probes that the firewall logged</li>", file);
	fputs("</ul>\n", file);
}

static void write_visit(FILE *file, const struct visit *visit, const struct audit_query *query,
			bool hosts)
{
	char text[TIMESTAMP_TEXT_MAX], length[DURATION_TEXT_MAX], note[64] = "";
	bool refused = visit->state == VISIT_REFUSED;

	fputs("<tr>", file);
	put_cell(file, NULL,
		 refused	    ? timestamp_format(visit->closed_us, text)
		 : visit->opened_us ? timestamp_format(visit->opened_us, text)
				    : "before");
	if (refused)
		put_cell(file, "refused", "refused");
	else if (visit->state == VISIT_OPEN)
		put_cell(file, visit->unclosed ? "unclosed" : "open", "open");
	else
		put_cell(file, NULL, timestamp_format(visit->closed_us, text));
	if (refused || visit->opened_us == 0)
		put_cell(file, "right", "");
	else
		put_cell(file, "right", duration_round(visit_length_us(visit, query), length));
	if (hosts)
		put_cell(file, NULL, visit->host);
	put_cell(file, NULL, visit->door);
	put_cell(file, NULL, visit->source);
	put_cell(file, NULL, visit->user);
	put_cell(file, NULL, visit->knock);
	if (visit->n_renewals > 0)
		snprintf(note, sizeof note, "renewed %u time%s", visit->n_renewals,
			 visit->n_renewals == 1 ? "" : "s");
	put_cell(file, "why", *visit->reason ? visit->reason : note);
	fputs("</tr>\n", file);
}

static void write_table(FILE *file, const struct audit_log *log, const struct audit_query *query,
			bool hosts)
{
	fprintf(file,
		"<section class='card'><h2>Every visit, the latest first</h2><div class='scroll'>"
		"<table><thead><tr><th>Opened</th><th>Closed</th><th class='right'>For</th>%s"
		"<th>Door</th><th>Address</th><th>User</th><th>Knock</th><th></th></tr></thead>"
		"<tbody>\n",
		hosts ? "<th>Host</th>" : "");
	for (size_t i = 0; i < log->n_visits && i < ROWS_MAX; i++)
		write_visit(file, &log->visits[log->n_visits - 1 - i], query, hosts);
	fputs("</tbody></table></div>\n", file);
	if (log->n_visits == 0)
		fputs("<p class='quiet'>Nobody was let in.</p>\n", file);
	if (log->n_visits > ROWS_MAX)
		fprintf(file, "<p class='quiet'>%zu older ones are left out.</p>\n",
			log->n_visits - ROWS_MAX);
	fputs("</section>\n", file);
}

/* The most probed, one after another: a table of all ports is small enough to be searched. */
static void write_ports(FILE *file, const struct probe_histogram *histogram)
{
	bool shown[2][65536] = {0};

	fputs("<section class='card'><h2>Most probed ports</h2><ul class='ports'>\n", file);
	for (size_t n = 0; n < PORTS_SHOWN; n++) {
		size_t best = 0, protocol = 0;
		uint64_t most = 0;

		for (size_t i = 0; i < 2; i++)
			for (size_t port = 0; port < 65536; port++)
				if (!shown[i][port] && histogram->ports[i][port] > most) {
					most = histogram->ports[i][port];
					best = port;
					protocol = i;
				}
		if (most == 0)
			break;
		shown[protocol][best] = true;
		fprintf(file,
			"<li><span>%zu/%s</span><span class='quiet'>%" PRIu64 "</span></li>\n",
			best, protocol ? "udp" : "tcp", most);
	}
	fputs("</ul></section>\n", file);
}

static void write_coverage(FILE *file, const struct coverage *coverage)
{
	char when[TIMESTAMP_TEXT_MAX];

	if (coverage->begins_us > 0)
		fprintf(file, "<p class='quiet'>The journal begins at %s.</p>\n",
			timestamp_format(coverage->begins_us, when));
	if (coverage->missed > 0)
		fprintf(file,
			"<p class='quiet'>journald missed %" PRIu64
			" kernel messages in that time, "
			"knocks among them perhaps.</p>\n",
			coverage->missed);
}

void audit_html(FILE *file, const struct audit_log *log, const struct audit_query *query,
		const struct probe_histogram *histogram)
{
	uint64_t end_us = query->now_us < query->until_us ? query->now_us : query->until_us;
	uint64_t start_us = query->since_us;
	struct totals totals = count_visits(log);
	char from[TIMESTAMP_TEXT_MAX], to[TIMESTAMP_TEXT_MAX];

	if (start_us == 0 && log->n_visits > 0)
		start_us = log->visits[0].first_us;
	if (histogram)
		start_us = histogram->start_us;
	if (start_us == 0)
		start_us = end_us;
	fputs(head, file);
	fputs("<p class='lead'>", file);
	if (log->n_visits > 0 && !totals.hosts) {
		html_text(file, log->visits[0].host);
		fputs(", ", file);
	}
	fprintf(file, "%s to %s</p>\n", timestamp_format(start_us, from),
		timestamp_format(end_us, to));
	write_tiles(file, &totals, histogram);
	if (log->n_visits > 0 || (histogram && histogram->n_probes > 0)) {
		fputs("<section class='card'><h2>Timeline</h2><div class='scroll'>\n", file);
		audit_chart(file, log, query, histogram, start_us, end_us);
		fputs("</div>\n", file);
		write_legend(file, histogram);
		fputs("</section>\n", file);
	}
	write_table(file, log, query, totals.hosts);
	if (histogram && histogram->n_probes > 0)
		write_ports(file, histogram);
	write_coverage(file, &log->coverage);
	fputs("<p class='quiet'>Written by knocktail " PACKAGE_VERSION
	      " from the journal; times are local.</p>\n</main>\n</body>\n</html>\n",
	      file);
}
