#include "cli/audit/chart.h"

#include <inttypes.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "cli/audit/log.h"
#include "cli/audit/probe-histogram.h"
#include "cli/common/memory.h"
#include "cli/common/output.h"
#include "util/cleanup.h"
#include "util/timestamp.h"

#define US_PER_S UINT64_C(1000000)

/* In units of the drawing, which the page scales. */
enum {
	WIDTH = 1120,
	LEFT_MIN = 250, /* where time begins; the lanes' names stand before it */
	LEFT_MAX = 560,
	LETTER = 7, /* the width of one, on average */
	RIGHT = 16,
	SHOWN_MAX = 40, /* of a door, an address or a host; the rest is cut off */
	TOP = 10,
	LANE = 24,
	BAR = 12,
	LANES_MAX = 40, /* more are counted, not drawn */
	GAP = 34,
	PRESSURE = 110, /* the height of the lower part */
	FOOT = 26,
};

/* Whatever ends this near to where the last of its kind ended cannot be told from it. */
#define NEAR 2.0

enum { N_STATES = VISIT_REFUSED + 1 };

struct chart_lane {
	const char *host, *door, *source;
	double drawn_to[N_STATES];
};

struct chart {
	FILE *file;
	const struct audit_query *query;
	uint64_t start_us, end_us;
	struct chart_lane lanes[LANES_MAX];
	size_t n_lanes, n_left_out, n_covered;
	bool hosts; /* there are several, and their names matter */
	int left;   /* where time begins */
};

void html_text(FILE *file, const char *text)
{
	for (; *text; text++) {
		unsigned char c = (unsigned char)*text;

		if (c == '&')
			fputs("&amp;", file);
		else if (c == '<')
			fputs("&lt;", file);
		else if (c == '>')
			fputs("&gt;", file);
		else if (c == '"')
			fputs("&quot;", file);
		else if (c == '\'')
			fputs("&#39;", file);
		else if (c < ' ' || c >= 0x7f)
			fprintf(file, "&#xfffd;");
		else
			fputc(c, file);
	}
}

static double x_of(const struct chart *chart, uint64_t time_us)
{
	if (time_us <= chart->start_us)
		return chart->left;
	if (time_us >= chart->end_us)
		return WIDTH - RIGHT;
	return chart->left + (double)(time_us - chart->start_us) /
				     (double)(chart->end_us - chart->start_us) *
				     (WIDTH - RIGHT - chart->left);
}

/* The lane of a visit, made if there is room; LANES_MAX if there is none. */
static size_t chart_lane_of(struct chart *chart, const struct visit *visit)
{
	size_t i;

	for (i = 0; i < chart->n_lanes; i++) {
		const struct chart_lane *lane = &chart->lanes[i];

		if (strcmp(lane->door, visit->door) == 0 &&
		    strcmp(lane->source, visit->source) == 0 &&
		    strcmp(lane->host, visit->host) == 0)
			return i;
	}
	if (i < LANES_MAX) {
		chart->lanes[i] = (struct chart_lane){visit->host, visit->door, visit->source, {0}};
		chart->n_lanes++;
	}
	return i;
}

/* The latest come first: they are what one looks for. */
static void find_lanes(struct chart *chart, const struct audit_log *log)
{
	for (size_t i = log->n_visits; i-- > 0;) {
		if (chart_lane_of(chart, &log->visits[i]) == LANES_MAX)
			chart->n_left_out++;
		if (strcmp(log->visits[i].host, log->visits[0].host) != 0)
			chart->hosts = true;
	}
}

static size_t name_length(const char *text)
{
	return strnlen(text, SHOWN_MAX) + 1;
}

/* Makes room for the longest name of a lane. */
static void find_left(struct chart *chart)
{
	chart->left = LEFT_MIN;
	for (size_t i = 0; i < chart->n_lanes; i++) {
		const struct chart_lane *lane = &chart->lanes[i];
		size_t n = name_length(lane->door) + name_length(lane->source) +
			   (chart->hosts ? name_length(lane->host) : 0);
		int left = LETTER * (int)n + 12;

		chart->left = left > chart->left ? left : chart->left;
	}
	chart->left = chart->left < LEFT_MAX ? chart->left : LEFT_MAX;
}

/* Round steps of time, so that there are 4 to 9 marks. */
static uint64_t step_seconds(const struct chart *chart)
{
	static const uint64_t steps[] = {1,	2,     5,     10,    15,     30,     60,
					 120,	300,   600,   900,   1800,   3600,   7200,
					 10800, 21600, 43200, 86400, 172800, 604800, 2592000};
	uint64_t span = (chart->end_us - chart->start_us) / US_PER_S;
	size_t i = 0;

	while (i + 1 < sizeof steps / sizeof steps[0] && span / steps[i] > 8)
		i++;
	return steps[i];
}

/* Marks stand at round local times. */
static void draw_marks(const struct chart *chart, int bottom)
{
	uint64_t step = step_seconds(chart), end = chart->end_us / US_PER_S;
	time_t start = (time_t)(chart->start_us / US_PER_S);
	struct tm tm = {0};
	int64_t offset;

	localtime_r(&start, &tm);
	offset = tm.tm_gmtoff;
	for (int64_t t = ((int64_t)start + offset) / (int64_t)step * (int64_t)step - offset;
	     t < (int64_t)end; t += (int64_t)step) {
		time_t at = (time_t)t;
		double x = x_of(chart, (uint64_t)t * US_PER_S);
		char label[32];

		if (t < (int64_t)start)
			continue;
		localtime_r(&at, &tm);
		strftime(label, sizeof label,
			 step < 60	? "%H:%M:%S"
			 : step < 86400 ? (tm.tm_hour == 0 && tm.tm_min == 0 ? "%d %b" : "%H:%M")
					: "%d %b",
			 &tm);
		fprintf(chart->file,
			"<line class='grid' x1='%.1f' y1='%d' x2='%.1f' y2='%d'/>"
			"<text class='mark' x='%.1f' y='%d'>%s</text>\n",
			x, TOP - 4, x, bottom, x, bottom + 17, label);
	}
}

static void draw_name(const struct chart *chart, const char *text)
{
	char name[SHOWN_MAX + 1];

	snprintf(name, sizeof name, "%s", text);
	html_text(chart->file, name);
}

static void draw_lane_names(const struct chart *chart)
{
	for (size_t i = 0; i < chart->n_lanes; i++) {
		const struct chart_lane *lane = &chart->lanes[i];
		int y = TOP + (int)i * LANE;

		if (i % 2 == 0)
			fprintf(chart->file,
				"<rect class='stripe' x='0' y='%d' width='%d' height='%d'/>\n", y,
				WIDTH - RIGHT, LANE);
		fprintf(chart->file, "<text class='lane' x='8' y='%d'><tspan class='door'>",
			y + LANE / 2 + 4);
		draw_name(chart, lane->door);
		fputs("</tspan> ", chart->file);
		draw_name(chart, lane->source);
		if (chart->hosts) {
			fputs(" <tspan class='quiet'>", chart->file);
			draw_name(chart, lane->host);
			fputs("</tspan>", chart->file);
		}
		fputs("</text>\n", chart->file);
	}
}

/* What a browser shows when one points at it. */
static void draw_title(const struct chart *chart, const struct visit *visit)
{
	char text[TIMESTAMP_TEXT_MAX];

	fputs("<title>", chart->file);
	html_text(chart->file, visit->door);
	fputs(visit->state == VISIT_REFUSED ? " refused to " : " open for ", chart->file);
	html_text(chart->file, visit->source);
	fprintf(chart->file, "&#10;%s",
		visit->state == VISIT_REFUSED || visit->opened_us > 0
			? timestamp_format(visit->first_us, text)
			: "from before");
	if (visit->state != VISIT_REFUSED)
		fprintf(chart->file, " to %s",
			visit->closed_us > 0 ? timestamp_format(visit->closed_us, text) : "now");
	if (*visit->user) {
		fputs("&#10;", chart->file);
		html_text(chart->file, visit->user);
	}
	if (*visit->reason) {
		fputs("&#10;", chart->file);
		html_text(chart->file, visit->reason);
	}
	fputs("</title>", chart->file);
}

/* Thousands of short visits beside each other would make a page that no browser likes. */
static bool chart_is_covered(struct chart *chart, const struct visit *visit, size_t lane,
			     double end)
{
	double *drawn_to = &chart->lanes[lane].drawn_to[visit->state];

	if (!visit->unclosed && end < *drawn_to + NEAR) {
		chart->n_covered++;
		return true;
	}
	*drawn_to = end > *drawn_to ? end : *drawn_to;
	return false;
}

static void draw_visit(struct chart *chart, const struct visit *visit, size_t lane)
{
	static const char *const classes[] = {
		[VISIT_OPEN] = "open",
		[VISIT_CLOSED] = "closed",
		[VISIT_EXPIRED] = "closed",
		[VISIT_REFUSED] = "refused",
	};
	double x = x_of(chart, visit->first_us);
	double width = x_of(chart, visit_end_us(visit, chart->query)) - x;
	int y = TOP + (int)lane * LANE + LANE / 2;

	width = width < 4 ? 4 : width;
	if (chart_is_covered(chart, visit, lane, x + width))
		return;
	if (visit->state == VISIT_REFUSED)
		fprintf(chart->file, "<path class='refused' d='M%.1f %d l6 6 l-6 6 l-6 -6 z'>", x,
			y - 6);
	else
		fprintf(chart->file,
			"<rect class='%s' x='%.1f' y='%d' width='%.1f' height='%d' rx='3'>",
			visit->unclosed ? "unclosed" : classes[visit->state], x, y - BAR / 2, width,
			BAR);
	draw_title(chart, visit);
	fprintf(chart->file, "</%s>\n", visit->state == VISIT_REFUSED ? "path" : "rect");
}

static void draw_histogram(const struct chart *chart, const struct probe_histogram *histogram,
			   int top)
{
	uint64_t most = 1;
	double width = (double)(WIDTH - RIGHT - chart->left) / PROBE_HISTOGRAM_BINS;

	for (size_t i = 0; i < PROBE_HISTOGRAM_BINS; i++)
		most = histogram->bins[i] > most ? histogram->bins[i] : most;
	fprintf(chart->file,
		"<text class='lane' x='8' y='%d'>probes</text>"
		"<text class='mark end' x='%d' y='%d'>%" PRIu64 "</text>"
		"<text class='mark end' x='%d' y='%d'>0</text>"
		"<line class='base' x1='%d' y1='%d' x2='%d' y2='%d'/>\n",
		top + PRESSURE / 2, chart->left - 8, top + 10, most, chart->left - 8,
		top + PRESSURE, chart->left, top + PRESSURE, WIDTH - RIGHT, top + PRESSURE);
	for (size_t i = 0; i < PROBE_HISTOGRAM_BINS; i++) {
		double height = (double)histogram->bins[i] / (double)most * PRESSURE;
		uint64_t at_us = chart->start_us +
				 (chart->end_us - chart->start_us) / PROBE_HISTOGRAM_BINS * i;
		char when[TIMESTAMP_TEXT_MAX];

		if (histogram->bins[i] == 0)
			continue;
		height = height < 2 ? 2 : height;
		fprintf(chart->file,
			"<rect class='probes' x='%.1f' y='%.1f' width='%.1f' height='%.1f' rx='1'>"
			"<title>%" PRIu64 " probes&#10;from %s</title></rect>\n",
			chart->left + (double)i * width, top + PRESSURE - height, width - 1.5,
			height, histogram->bins[i], timestamp_format(at_us, when));
	}
}

void audit_chart(FILE *file, const struct audit_log *log, const struct audit_query *query,
		 const struct probe_histogram *histogram, uint64_t start_us, uint64_t end_us)
{
	CLEANUP(cleanup_free) struct chart *chart = calloc(1, sizeof *chart);
	int lanes_end, bottom;

	if (!chart)
		memory_out();
	chart->file = file;
	chart->query = query;
	chart->start_us = start_us;
	chart->end_us = end_us > start_us ? end_us : start_us + US_PER_S;
	find_lanes(chart, log);
	find_left(chart);
	lanes_end = TOP + (int)chart->n_lanes * LANE;
	bottom = lanes_end + (histogram ? (chart->n_lanes ? GAP : 0) + PRESSURE : 6);
	fprintf(file,
		"<svg viewBox='0 0 %d %d' role='img' aria-label='Open doors%s over time' "
		"xmlns='http://www.w3.org/2000/svg'>\n",
		WIDTH, bottom + FOOT, histogram ? " and probes" : "");
	draw_lane_names(chart);
	draw_marks(chart, bottom);
	for (size_t i = 0; i < log->n_visits; i++) {
		size_t lane = chart_lane_of(chart, &log->visits[i]);

		if (lane < LANES_MAX)
			draw_visit(chart, &log->visits[i], lane);
	}
	if (histogram)
		draw_histogram(chart, histogram, bottom - PRESSURE);
	fputs("</svg>\n", file);
	if (chart->n_left_out > 0)
		fprintf(file,
			"<p class='quiet'>The latest %d pairs of door and address are drawn; "
			"%zu older entries are left out here.</p>\n",
			LANES_MAX, chart->n_left_out);
	if (chart->n_covered > 0)
		fprintf(file,
			"<p class='quiet'>%zu entries are too near to others to be drawn beside "
			"them.</p>\n",
			chart->n_covered);
}
