#include "cli/watch/screen.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <termios.h>
#include <time.h>
#include <unistd.h>

#include "cli/common/output.h"
#include "core/sequence.h"
#include "util/clock.h"
#include "util/duration.h"
#include "util/timestamp.h"

/* The alternate screen without a cursor, and back (ECMA-48 and xterm's control sequences). */
static const char enter[] = "\033[?1049h\033[?25l";
static const char leave[] = "\033[?25h\033[?1049l";
static const char home[] = "\033[H";
static const char to_end_of_line[] = "\033[K";
static const char to_end[] = "\033[J";

static struct termios before;
static bool has_before, entered;

void screen_enter(void)
{
	struct termios quiet;

	if (entered)
		return;
	entered = true;
	has_before = tcgetattr(STDIN_FILENO, &before) == 0;
	if (has_before) {
		/* What is typed shall not be seen, and 'q' be read at once. */
		quiet = before;
		quiet.c_lflag &= ~(tcflag_t)(ICANON | ECHO);
		tcsetattr(STDIN_FILENO, TCSANOW, &quiet);
	}
	fputs(enter, stdout);
	fflush(stdout);
}

void screen_leave(void)
{
	if (!entered)
		return;
	entered = false;
	fputs(leave, stdout);
	fflush(stdout);
	if (has_before)
		tcsetattr(STDIN_FILENO, TCSANOW, &before);
}

struct drawing {
	unsigned rows, columns;
	unsigned row; /* the next */
};

/* One line, cut to the terminal's width, in one colour. Beyond the last row nothing is drawn. */
__attribute__((format(printf, 3, 4))) static void
draw_line(struct drawing *drawing, enum colour colour, const char *format, ...)
{
	char text[512];
	va_list arguments;

	if (drawing->row >= drawing->rows)
		return;
	va_start(arguments, format);
	vsnprintf(text, sizeof text, format, arguments);
	va_end(arguments);
	if (drawing->row++ > 0)
		fputs("\r\n", stdout);
	/* Cleared before it is written: after a whole line that would take its last character. */
	printf("%s%s%.*s%s", to_end_of_line, colour == COLOUR_NONE ? "" : output_colour(colour),
	       (int)drawing->columns, text,
	       colour == COLOUR_NONE ? "" : output_colour(COLOUR_NONE));
}

static void drawing_measure(struct drawing *drawing)
{
	struct winsize size;

	*drawing = (struct drawing){.rows = 24, .columns = 80};
	if (ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) == 0 && size.ws_row > 0 && size.ws_col > 0) {
		drawing->rows = size.ws_row;
		drawing->columns = size.ws_col;
	}
}

/* A bar that empties as time runs out. */
static void fill_bar(char *bar, size_t length, uint64_t left_us, uint64_t whole_us)
{
	size_t full =
		whole_us > 0 ? (size_t)((double)left_us / (double)whole_us * (double)length) : 0;

	full = full > length ? length : full;
	memset(bar, '#', full);
	memset(bar + full, '.', length - full);
	bar[length] = '\0';
}

/* The width of a column becomes that of its longest text. */
static void widen(int *width, const char *text)
{
	int length = (int)strlen(text);

	*width = length > *width ? length : *width;
}

/* A third of the screen at most; what does not fit is counted. What matters most stands first, as a
 * narrow terminal cuts lines. */
static void draw_doors(struct drawing *drawing, const struct watch_model *model, uint64_t now_us)
{
	size_t room = drawing->rows / 3, i;
	int door_width = 0, source_width = 0, user_width = 0;

	draw_line(drawing, COLOUR_BOLD, "Open doors: %zu",
		  model->n_doors + model->n_doors_left_out);
	for (i = 0; i < model->n_doors && i < room; i++) {
		widen(&door_width, model->doors[i].door);
		widen(&source_width, model->doors[i].source);
		widen(&user_width, model->doors[i].user);
	}
	for (i = 0; i < model->n_doors && i < room; i++) {
		const struct watch_door *door = &model->doors[i];
		uint64_t left_us = door->deadline_us > now_us ? door->deadline_us - now_us : 0;
		char left[DURATION_TEXT_MAX], bar[24];

		fill_bar(bar, 20, left_us, door->deadline_us - door->opened_us);
		draw_line(drawing, left_us < 5000000 ? COLOUR_NOTE : COLOUR_GOOD,
			  "  %-*s %10s  %-*s  %-*s%s%s", door_width, door->door,
			  duration_round((left_us + US_PER_S - 1) / US_PER_S * US_PER_S, left),
			  source_width, door->source, user_width, door->user,
			  user_width > 0 ? "  " : "", bar);
	}
	if (i < model->n_doors + model->n_doors_left_out)
		draw_line(drawing, COLOUR_DIM, "  and %zu more",
			  model->n_doors + model->n_doors_left_out - i);
	if (!model->daemon)
		draw_line(drawing, COLOUR_BAD, "  knocktaild does not run, or cannot be asked");
}

static void draw_knocks(struct drawing *drawing, const struct watch_model *model, uint64_t now_us)
{
	size_t room = drawing->rows / 4;
	int width = 0;

	for (size_t i = 0; i < WATCH_KNOCKS; i++)
		if (model->knocks[i].at_us > 0)
			widen(&width, model->knocks[i].door);
	draw_line(drawing, COLOUR_BOLD, "Knocking");
	for (size_t i = 0; i < WATCH_KNOCKS && room > 0; i++) {
		const struct watch_knock *knock = &model->knocks[i];
		uint64_t ago_us = now_us > knock->at_us ? now_us - knock->at_us : 0;
		char source[ADDRESS_TEXT_MAX], ago[DURATION_TEXT_MAX], steps[40];

		if (knock->at_us == 0)
			continue;
		snprintf(steps, sizeof steps, "%u/%u", knock->n_steps, knock->n_needed);
		draw_line(drawing, knock->n_steps == knock->n_needed ? COLOUR_GOOD : COLOUR_NOTE,
			  "  %-*s %7s %10s ago  %s", width, knock->door, steps,
			  duration_round(ago_us, ago), address_format(&knock->source, source));
		room--;
	}
}

static void draw_probes(struct drawing *drawing, const struct watch_model *model)
{
	const struct watch_probe *probe;
	int width = 0;

	for (size_t i = 0; i < drawing->rows && (probe = watch_probe_at(model, i)); i++)
		if (*probe->door)
			widen(&width, probe->door);
	draw_line(drawing, COLOUR_BOLD, "Probes: %" PRIu64, model->n_probes);
	for (size_t i = 0; drawing->row < drawing->rows && (probe = watch_probe_at(model, i));
	     i++) {
		char source[ADDRESS_TEXT_MAX], when[TIMESTAMP_TEXT_MAX], steps[32] = "", port[16];

		if (*probe->door)
			snprintf(steps, sizeof steps, "%u/%u", probe->n_steps, probe->n_needed);
		snprintf(port, sizeof port, "%u/%s", probe->port, protocol_word(probe->protocol));
		draw_line(drawing, *probe->door ? COLOUR_NONE : COLOUR_DIM,
			  "  %.8s %10s  %-*s %7s  %s",
			  timestamp_format(probe->realtime_us, when) + strlen("2026-11-22 "), port,
			  width, probe->door, steps, address_format(&probe->source, source));
	}
}

void screen_draw(const struct watch_model *model, uint64_t now_us)
{
	struct drawing drawing;
	char now[TIMESTAMP_TEXT_MAX];

	drawing_measure(&drawing);
	fputs(home, stdout);
	draw_line(&drawing, COLOUR_BOLD, "knocktail watch   %s   q: quit",
		  timestamp_format(now_us, now));
	draw_line(&drawing, COLOUR_NONE, "%s", "");
	draw_doors(&drawing, model, now_us);
	draw_line(&drawing, COLOUR_NONE, "%s", "");
	draw_knocks(&drawing, model, now_us);
	draw_line(&drawing, COLOUR_NONE, "%s", "");
	draw_probes(&drawing, model);
	if (drawing.row < drawing.rows)
		printf("\r\n%s", to_end);
	fflush(stdout);
}
