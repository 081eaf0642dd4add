/* Usage: fleet-hosts DIRECTORY N. Stands in for the buses and daemons of N hosts, for an agent
 * each: host I's bus is DIRECTORY/I/bus. Says "ready" once all agents have come. Then each line
 * "COUNT RATE" has so many doors opened, in turn at each host, so many a second or (0) at once;
 * answered, when all agents have asked their daemon for all of them, by "SECONDS MEDIAN_MS
 * WORST_MS": how long that took, and how long after an open the last host had it. No firewall is
 * touched. */
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <systemd/sd-bus.h>
#include <systemd/sd-event.h>
#include <unistd.h>

#include "bus-names.h"
#include "util/clock.h"

enum { HOSTS_MAX = 1000, OPENS_MAX = 100000, LINE_SIZE = 64, FOR_S = 3600 };

struct open {
	uint64_t said_us, last_us;
	unsigned n_heard;
};

static sd_event *event;
static sd_event_source *pacer;
static sd_bus *buses[HOSTS_MAX];
static unsigned n_hosts, n_ready;
static struct open opens[OPENS_MAX];
static unsigned first, n_said, n_asked, n_done, rate; /* of the line's */
static uint64_t began_us;

static void check(int r, const char *what)
{
	if (r < 0) {
		fprintf(stderr, "fleet-hosts: %s: %s\n", what, strerror(-r));
		exit(1);
	}
}

static int compare(const void *a, const void *b)
{
	double difference = *(const double *)a - *(const double *)b;

	return (difference > 0) - (difference < 0);
}

static void report(void)
{
	double *delays = calloc(n_asked, sizeof *delays);
	uint64_t end_us = 0;

	check(delays ? 0 : -12, "delays");
	for (unsigned i = 0; i < n_asked; i++) {
		const struct open *open = &opens[first + i];

		delays[i] = (double)(open->last_us - open->said_us) / 1e3;
		if (open->last_us > end_us)
			end_us = open->last_us;
	}
	qsort(delays, n_asked, sizeof *delays, compare);
	printf("%.3f %.2f %.2f\n", (double)(end_us - began_us) / 1e6, delays[n_asked / 2],
	       delays[n_asked - 1]);
	fflush(stdout);
	free(delays);
	first += n_asked;
	n_said = n_asked = n_done = 0;
}

/* What an agent asks of its daemon: the source is the number of the open. */
static void hear_open(sd_bus_message *call)
{
	const char *door, *source;
	unsigned a, b, c;
	struct open *open;

	check(sd_bus_message_read(call, "ss", &door, &source), "OpenAs");
	check(sscanf(source, "10.%u.%u.%u", &a, &b, &c) == 3 ? 0 : -22, source);
	open = &opens[(a << 16 | b << 8 | c) % OPENS_MAX];
	open->last_us = clock_us(CLOCK_MONOTONIC);
	if (++open->n_heard == n_hosts - 1)
		n_done++;
}

static void answer(sd_bus_message *call, const char *types, const char *text)
{
	sd_bus_message *reply = NULL;
	int r = sd_bus_message_new_method_return(call, &reply);

	if (r >= 0 && strcmp(types, "s") == 0)
		r = sd_bus_message_append(reply, "s", text);
	else if (r >= 0 && *types)
		r = sd_bus_message_append(reply, types, 0);
	if (r >= 0)
		r = sd_bus_send(NULL, reply, NULL);
	sd_bus_message_unref(reply);
	check(r, "answer");
}

static int on_call(sd_bus_message *call, void *userdata, sd_bus_error *error)
{
	const char *member = sd_bus_message_get_member(call);

	(void)userdata;
	(void)error;
	if (!sd_bus_message_is_method_call(call, NULL, NULL))
		return 0;
	if (strcmp(member, "Hello") == 0) {
		answer(call, "s", ":1.1");
	} else if (strcmp(member, "Holds") == 0) {
		answer(call, "a" BUS_HOLD_ROW, NULL);
		if (++n_ready == n_hosts)
			puts("ready"), fflush(stdout);
	} else if (strcmp(member, "List") == 0) {
		answer(call, "a" BUS_ROW, NULL);
	} else {
		if (strcmp(member, "OpenAs") == 0)
			hear_open(call);
		answer(call, "", NULL);
		if (n_asked > 0 && n_done == n_asked)
			report();
	}
	return 1;
}

static void say_open(unsigned number)
{
	sd_bus *bus = buses[number % n_hosts];
	uint64_t now_us = clock_us(CLOCK_REALTIME);
	sd_bus_message *signal = NULL;
	char source[LINE_SIZE];
	int r = sd_bus_message_new_signal(bus, &signal, BUS_PATH, BUS_FLEET_INTERFACE, "Held");

	snprintf(source, sizeof source, "10.%u.%u.%u", number >> 16, number >> 8 & 255,
		 number & 255);
	if (r >= 0)
		r = sd_bus_message_set_sender(signal, BUS_NAME);
	if (r >= 0)
		r = sd_bus_message_append(signal, "ssssttb", "ssh", source, "alice", "token",
					  now_us + FOR_S * US_PER_S, now_us, 0);
	opens[number].said_us = clock_us(CLOCK_MONOTONIC);
	if (r >= 0)
		r = sd_bus_send(bus, signal, NULL);
	if (r >= 0)
		r = sd_bus_flush(bus);
	sd_bus_message_unref(signal);
	check(r, "Held");
}

static int on_pace(sd_event_source *source, uint64_t time_us, void *userdata)
{
	(void)userdata;
	do {
		say_open(first + n_said++);
	} while (rate == 0 && n_said < n_asked);
	if (n_said == n_asked)
		return 0;
	check(sd_event_source_set_time(source, time_us + US_PER_S / rate), "timer");
	return sd_event_source_set_enabled(source, SD_EVENT_ONESHOT);
}

/* One line at a time: the next one comes when this one has been answered. */
static int on_line(sd_event_source *source, int fd, uint32_t events, void *userdata)
{
	char line[LINE_SIZE];
	ssize_t length = read(fd, line, sizeof line - 1);

	(void)source;
	(void)events;
	(void)userdata;
	if (length <= 0)
		return sd_event_exit(event, 0);
	line[length] = '\0';
	check(sscanf(line, "%u %u", &n_asked, &rate) == 2 && n_asked > 0 &&
			      first + n_asked <= OPENS_MAX
		      ? 0
		      : -22,
	      "COUNT RATE");
	began_us = clock_us(CLOCK_MONOTONIC);
	check(sd_event_source_set_time(pacer, began_us), "timer");
	return sd_event_source_set_enabled(pacer, SD_EVENT_ONESHOT);
}

static int on_agent(sd_event_source *source, int fd, uint32_t events, void *userdata)
{
	sd_bus **bus = userdata;
	sd_id128_t id = SD_ID128_NULL;
	int r = sd_bus_new(bus), peer = accept4(fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);

	(void)source;
	(void)events;
	id.bytes[0] = 1;
	if (r >= 0)
		r = sd_bus_set_fd(*bus, peer, peer);
	if (r >= 0)
		r = sd_bus_set_server(*bus, true, id);
	if (r >= 0)
		r = sd_bus_set_trusted(*bus, true);
	if (r >= 0)
		r = sd_bus_start(*bus);
	if (r >= 0)
		r = sd_bus_add_filter(*bus, NULL, on_call, NULL);
	if (r >= 0)
		r = sd_bus_attach_event(*bus, event, SD_EVENT_PRIORITY_NORMAL);
	check(r, "an agent");
	return 0;
}

static void listen_for(const char *directory, unsigned host)
{
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

	snprintf(address.sun_path, sizeof address.sun_path, "%.80s/%u/bus", directory, host);
	if (fd < 0 || bind(fd, (const struct sockaddr *)&address, sizeof address) < 0 ||
	    listen(fd, 1) < 0) {
		perror(address.sun_path);
		exit(1);
	}
	check(sd_event_add_io(event, NULL, fd, EPOLLIN, on_agent, &buses[host]), "listen");
}

int main(int argc, char *argv[])
{
	n_hosts = argc == 3 ? (unsigned)atoi(argv[2]) : 0;
	if (n_hosts < 2 || n_hosts > HOSTS_MAX) {
		fputs("usage: fleet-hosts DIRECTORY N\n", stderr);
		return 2;
	}
	check(sd_event_new(&event), "event");
	for (unsigned host = 0; host < n_hosts; host++)
		listen_for(argv[1], host);
	check(sd_event_add_io(event, NULL, STDIN_FILENO, EPOLLIN, on_line, NULL), "stdin");
	check(sd_event_add_time(event, &pacer, CLOCK_MONOTONIC, 0, 1, on_pace, NULL), "timer");
	check(sd_event_source_set_enabled(pacer, SD_EVENT_OFF), "timer");
	return sd_event_loop(event) < 0;
}
