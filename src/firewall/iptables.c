/* Backend iptables: rules in a chain of our own, which the kernel itself ends by `-m time`.
 *
 * Every change is one child that lists the chain and one that makes, in a single transaction, what
 * is there into what there should be. So it does not matter what a predecessor, a knock before or
 * somebody else has left: there is one rule for a door, a source and a protocol, or none.
 *
 * MUST: deleted is only what bears our comment. The chain is created and jumped to, but never
 * flushed. */
#include "firewall/iptables.h"

#include <errno.h>
#include <inttypes.h>
#include <netinet/in.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>

#include "core/caller.h"
#include "core/door.h"
#include "firewall/backend.h"
#include "firewall/iptables-table.h"
#include "firewall/listing.h"
#include "util/children.h"
#include "util/cleanup.h"

#define US_PER_S UINT64_C(1000000)

enum { LISTING_MAX = 64 << 20 };

struct iptables_job {
	struct iptables_job *next;
	void *owner;
	bool lists;	       /* the child that runs lists; else it changes */
	bool again;	       /* the change has failed once */
	bool founds;	       /* a change runs that takes the chain to be absent */
	struct listing *shown; /* what the listing is for, if it is for somebody else to read */
	uint64_t limit_us;
	int listing_fd;
	struct address source;
	char *chain;
	char *comment;	/* what the comments of the rules to be replaced begin with */
	char *added;	/* the rules that shall be there; NULL: none */
	char *unlisted; /* why there was nothing to list; NULL: there was */
};

DEFINE_CLEANUP(struct children *, children_free)

static const char *const list_programs[N_FAMILIES] = {
	"/usr/sbin/iptables",
	"/usr/sbin/ip6tables",
};
static const char *const change_programs[N_FAMILIES] = {
	"/usr/sbin/iptables-restore",
	"/usr/sbin/ip6tables-restore",
};
static const char *const names[N_FAMILIES] = {"iptables", "ip6tables"};

static struct iptables_job *job_free(struct iptables_job *job)
{
	if (job) {
		cleanup_close(&job->listing_fd);
		listing_free(job->shown);
		free(job->chain);
		free(job->comment);
		free(job->added);
		free(job->unlisted);
		free(job);
	}
	return NULL;
}

static void drop(struct firewall *firewall, struct iptables_job *job)
{
	struct iptables_job **link = &firewall->jobs;

	while (*link != job)
		link = &(*link)->next;
	*link = job->next;
	job_free(job);
}

void iptables_free_jobs(struct firewall *firewall)
{
	while (firewall->jobs)
		drop(firewall, firewall->jobs);
}

struct iptables_job *iptables_find(const struct firewall *firewall, const void *owner)
{
	struct iptables_job *job = firewall->jobs;

	while (job && job->owner != owner)
		job = job->next;
	return job;
}

void iptables_hurry(struct iptables_job *job, uint64_t limit_us)
{
	job->limit_us = limit_us;
}

static uint64_t wall_clock_us(void)
{
	struct timespec wall;

	clock_gettime(CLOCK_REALTIME, &wall);
	return (uint64_t)wall.tv_sec * US_PER_S + (uint64_t)wall.tv_nsec / 1000;
}

/* A file for a child to read from its beginning, or to write to. */
static int make_file(const char *text)
{
	CLEANUP(cleanup_close) int fd = memfd_create("knocktail-iptables", MFD_CLOEXEC);
	size_t length = strlen(text), done = 0;
	int r;

	if (fd < 0)
		return -errno;
	while (done < length) {
		ssize_t n = pwrite(fd, text + done, length - done, (off_t)done);

		if (n < 0)
			return -errno;
		done += (size_t)n;
	}
	r = fd;
	fd = -1;
	return r;
}

static char *read_file(int fd)
{
	struct stat status;
	char *text;

	if (fstat(fd, &status) < 0 || status.st_size > LISTING_MAX)
		return NULL;
	text = calloc(1, (size_t)status.st_size + 1);
	if (text && pread(fd, text, (size_t)status.st_size, 0) != status.st_size) {
		free(text);
		return NULL;
	}
	return text;
}

/* Whether it is a rule of ours, for the job's door and source. */
static bool is_ours(const char *line, const struct iptables_job *job)
{
	char text[ADDRESS_TEXT_MAX];
	const char *source = strstr(line, " -s "), *comment = strstr(line, " --comment ");
	struct address address;
	size_t length;

	if (strncmp(line, "-A ", 3) != 0 ||
	    strncmp(line + 3, job->chain, strlen(job->chain)) != 0 ||
	    line[3 + strlen(job->chain)] != ' ' || !source || !comment)
		return false;
	source += strlen(" -s ");
	comment += strlen(" --comment ");
	comment += *comment == '"';
	length = strcspn(source, "/ ");
	if (length >= sizeof text)
		return false;
	memcpy(text, source, length);
	text[length] = '\0';
	return strncmp(comment, job->comment, strlen(job->comment)) == 0 &&
	       address_parse(text, &address) == 0 && address_equal(&address, &job->source);
}

/* Writes what has to be done for iptables-restore; *ret_text is NULL if that is nothing. Without a
 * listing, there should be no chain: "-N", other than ":CHAIN", makes sure of that and flushes
 * nothing. */
static int compile(const struct iptables_job *job, char *listing, char **ret_text)
{
	const char *added = job->added ? job->added : "", *chain = job->chain;
	char *text = NULL, *rest = NULL;
	size_t size, n_deleted = 0;
	FILE *file = open_memstream(&text, &size);

	if (!file)
		return -ENOMEM;
	fprintf(file, "*filter\n");
	if (!listing && job->added)
		fprintf(file, "-N %s\n-I INPUT 1 -j %s\n", chain, chain);
	else if (!listing)
		fprintf(file, "-N %s\n-X %s\n", chain, chain);
	for (char *line = listing ? strtok_r(listing, "\n", &rest) : NULL; line;
	     line = strtok_r(NULL, "\n", &rest)) {
		if (!is_ours(line, job))
			continue;
		fprintf(file, "-D%s\n", line + 2);
		n_deleted++;
	}
	fprintf(file, "%sCOMMIT\n", added);
	if (fclose(file) != 0) {
		free(text);
		return -ENOMEM;
	}
	if (listing && !*added && n_deleted == 0) {
		free(text);
		text = NULL;
	}
	*ret_text = text;
	return 0;
}

static int fail_to_run(struct firewall *firewall, const char *program, int error)
{
	return firewall_fail(firewall, error, "cannot run %s: %s", program, strerror(-error));
}

/* As rules, to delete some of them; or as a table, which says whether any chain jumps here. */
static int start_list(struct firewall *firewall, struct iptables_job *job)
{
	const char *program = list_programs[address_family(&job->source)];
	char *argv[] = {
		(char *)program, (char *)"-w", (char *)"5", (char *)(job->shown ? "-nL" : "-S"),
		job->chain,	 NULL,
	};
	int r = make_file("");

	cleanup_close(&job->listing_fd);
	job->listing_fd = r;
	job->lists = true;
	if (r >= 0)
		r = children_spawn_files(firewall->children, argv,
					 &(struct child_files){-1, job->listing_fd}, job->limit_us,
					 job->owner);
	return r < 0 ? fail_to_run(firewall, program, r) : FIREWALL_PENDING;
}

static int start_change(struct firewall *firewall, struct iptables_job *job, const char *text)
{
	const char *program = change_programs[address_family(&job->source)];
	char *argv[] = {(char *)program, (char *)"-w", (char *)"5", (char *)"--noflush", NULL};
	CLEANUP(cleanup_close) int input = make_file(text);
	int r = input;

	job->lists = false;
	if (input >= 0)
		r = children_spawn_files(firewall->children, argv, &(struct child_files){input, -1},
					 job->limit_us, job->owner);
	return r < 0 ? fail_to_run(firewall, program, r) : FIREWALL_PENDING;
}

static int change(struct firewall *firewall, struct iptables_job *job)
{
	CLEANUP(cleanup_free) char *listing = NULL, *text = NULL;
	int r;

	if (!job->unlisted)
		listing = read_file(job->listing_fd);
	r = listing || job->unlisted ? compile(job, listing, &text) : -ENOMEM;

	if (r < 0)
		return firewall_fail(firewall, r, "%s %s: %s", names[address_family(&job->source)],
				     job->chain, strerror(-r));
	return text ? start_change(firewall, job, text) : FIREWALL_DONE;
}

/* What the first child had to say, if there is no chain for it to list, is said if the second one
 * finds that there is one. */
static int fail_job(struct firewall *firewall, const struct iptables_job *job, int error)
{
	CLEANUP(cleanup_free)
	char *problem = strdup(job->unlisted ? job->unlisted : firewall->problem);

	return firewall_fail(firewall, error, "%s %s: %s", names[address_family(&job->source)],
			     job->chain, problem ? problem : "out of memory");
}

/* Two that create the chain at the same time would both add the jump to it: the kernel takes the
 * second transaction too, because it is checked against a listing that is too old. */
static bool is_being_founded(const struct firewall *firewall, const struct iptables_job *job)
{
	for (const struct iptables_job *other = firewall->jobs; other; other = other->next)
		if (other != job && other->founds && strcmp(other->chain, job->chain) == 0 &&
		    address_family(&other->source) == address_family(&job->source))
			return true;
	return false;
}

static int listed(struct firewall *firewall, struct iptables_job *job, int error, uint64_t now_us)
{
	free(job->unlisted);
	job->unlisted = error < 0 ? strdup(firewall->problem) : NULL;
	if (error < 0 && !job->unlisted)
		return fail_job(firewall, job, -ENOMEM);
	if (job->unlisted && is_being_founded(firewall, job) && job->limit_us > now_us)
		return start_list(firewall, job);
	job->founds = job->unlisted != NULL;
	return change(firewall, job);
}

/* Rules in a chain that nothing jumps to open nothing: then the jump is made anew, and all the
 * rules count as gone. */
static int show(struct firewall *firewall, struct iptables_job *job, int error)
{
	CLEANUP(cleanup_free) char *text = NULL, *jump = NULL;

	if (job->lists && error == 0)
		text = read_file(job->listing_fd);
	if (!text) {
		job->shown->error = -ENOENT;
		return FIREWALL_DONE;
	}
	if (!strstr(text, "(0 references)")) {
		job->shown->error = iptables_read_table(job->shown, text, wall_clock_us());
		return FIREWALL_DONE;
	}
	job->shown->error = -ENOENT;
	if (asprintf(&jump, "*filter\n-I INPUT 1 -j %s\nCOMMIT\n", job->chain) < 0) {
		jump = NULL;
		return FIREWALL_DONE;
	}
	return start_change(firewall, job, jump);
}

/* FIREWALL_PENDING, or it is told. */
static int go_on_showing(struct firewall *firewall, struct iptables_job *job, int error,
			 uint64_t now_us)
{
	int r = show(firewall, job, error);

	if (r == FIREWALL_PENDING)
		return r;
	listing_sort(job->shown);
	listing_tell(TAKE_PTR(job->shown), now_us);
	return FIREWALL_DONE;
}

bool iptables_shows(const struct iptables_job *job)
{
	return job->shown;
}

int iptables_continue(struct firewall *firewall, struct iptables_job *job, int error,
		      uint64_t now_us)
{
	int r;

	job->founds = false;
	if (job->shown)
		r = go_on_showing(firewall, job, error, now_us);
	else if (job->lists && error != -ETIMEDOUT) {
		r = listed(firewall, job, error, now_us);
	} else if (error < 0 && error != -ETIMEDOUT && !job->again && job->limit_us > now_us) {
		job->again = true; /* somebody else has changed the table in between */
		r = start_list(firewall, job);
	} else {
		r = error < 0 ? fail_job(firewall, job, error) : FIREWALL_DONE;
	}
	if (r != FIREWALL_PENDING)
		drop(firewall, job);
	return r;
}

/* `added` becomes the job's, and so does `shown` unless this fails. Without an owner, the job is
 * its own. */
static int start_job(struct firewall *firewall, const struct rule *rule, char *added,
		     struct listing *shown, uint64_t now_us, void *owner)
{
	struct iptables_job *job = calloc(1, sizeof *job);
	int r;

	if (!job) {
		free(added);
		return firewall_fail(firewall, -ENOMEM, "out of memory");
	}
	job->owner = owner ? owner : job;
	job->shown = shown;
	job->limit_us = now_us + FIREWALL_COMMAND_LIMIT_US;
	job->listing_fd = -1;
	job->added = added;
	job->chain = strdup(rule->chain);
	job->next = firewall->jobs;
	firewall->jobs = job;
	if (address_parse(rule->element, &job->source) < 0)
		r = firewall_fail(firewall, -EINVAL, "%s is no address", rule->element);
	else if (!job->chain || asprintf(&job->comment, "%s:", rule->comment) < 0)
		r = firewall_fail(firewall, -ENOMEM, "out of memory");
	else
		r = start_list(firewall, job);
	if (r < 0) {
		job->shown = NULL;
		drop(firewall, job);
	}
	return r;
}

/* The rules, one for each protocol. They match to the end of the second that the deadline is in. */
static char *spell_rules(const struct rule *rule, uint64_t deadline_s)
{
	char *text = NULL, until[32];
	size_t size;
	FILE *file = open_memstream(&text, &size);
	time_t deadline = (time_t)deadline_s;
	struct tm utc;

	if (!file)
		return NULL;
	gmtime_r(&deadline, &utc);
	strftime(until, sizeof until, "%Y-%m-%dT%H:%M:%S", &utc);
	for (char **ports = rule->ports; *ports; ports++)
		fprintf(file,
			"-A %s -s %s -p %.3s -m multiport --dports %s -m time --datestop %s "
			"-m comment --comment \"%s:%" PRIu64 "\" -j ACCEPT\n",
			rule->chain, rule->element, *ports, *ports + 4, until, rule->comment,
			deadline_s);
	if (fclose(file) != 0) {
		free(text);
		return NULL;
	}
	return text;
}

static int iptables_open(struct firewall *firewall, const struct rule *rule, uint64_t left_us,
			 uint64_t now_us, void *owner)
{
	char *added = spell_rules(rule, (wall_clock_us() + left_us) / US_PER_S);

	if (!added)
		return firewall_fail(firewall, -ENOMEM, "out of memory");
	return start_job(firewall, rule, added, NULL, now_us, owner);
}

static int iptables_close(struct firewall *firewall, const struct rule *rule, uint64_t now_us,
			  void *owner)
{
	return start_job(firewall, rule, NULL, NULL, now_us, owner);
}

static int iptables_list(struct firewall *firewall, const struct rule *rule,
			 struct listing *listing, uint64_t now_us)
{
	return start_job(firewall, rule, NULL, listing, now_us, NULL);
}

/* "tcp 22,443": the ports of one protocol; none: nothing is added. */
static int append_ports(const struct door *door, int protocol, char **ports, size_t *n)
{
	char *text = NULL;
	size_t size, n_ports = 0;
	FILE *file = open_memstream(&text, &size);

	if (!file)
		return -ENOMEM;
	fputs(protocol == IPPROTO_TCP ? "tcp " : "udp ", file);
	for (size_t i = 0; i < door->ports.n_steps; i++)
		if (door->ports.steps[i].protocol == protocol)
			fprintf(file, "%s%u", n_ports++ > 0 ? "," : "", door->ports.steps[i].port);
	if (fclose(file) != 0 || n_ports == 0) {
		free(text);
		return n_ports == 0 ? 0 : -ENOMEM;
	}
	ports[(*n)++] = text;
	return 0;
}

static int iptables_spell(const struct door *door, const struct caller *caller, struct rule *rule)
{
	char address[ADDRESS_TEXT_MAX];
	size_t n = 0;

	rule->chain = strdup(door->chain);
	rule->element = strdup(address_format(&caller->source, address));
	rule->ports = calloc(3, sizeof *rule->ports);
	if (!rule->chain || !rule->element || !rule->ports)
		return -ENOMEM;
	if (asprintf(&rule->comment, "knocktail:%s", door->name) < 0) {
		rule->comment = NULL;
		return -ENOMEM;
	}
	if (append_ports(door, IPPROTO_TCP, rule->ports, &n) < 0 ||
	    append_ports(door, IPPROTO_UDP, rule->ports, &n) < 0)
		return -ENOMEM;
	return 0;
}

static uint64_t clock_now_us(void)
{
	struct timespec now;

	clock_gettime(CLOCK_BOOTTIME, &now);
	return (uint64_t)now.tv_sec * US_PER_S + (uint64_t)now.tv_nsec / 1000;
}

/* Runs a program to its end. */
static int run(struct firewall *firewall, const char *const *argv, int input, int output)
{
	CLEANUP(cleanup_children_free) struct children *children = NULL;
	struct child_exit exit;
	int r = children_new(1, &children);

	if (r == 0)
		r = children_spawn_files(children, (char *const *)argv,
					 &(struct child_files){input, output},
					 clock_now_us() + FIREWALL_COMMAND_LIMIT_US, NULL);
	if (r < 0)
		return fail_to_run(firewall, argv[0], r);
	while (!children_next(children, clock_now_us(), &exit))
		poll(&(struct pollfd){.fd = children_fd(children), .events = POLLIN}, 1, 1000);
	if (exit.code == CLD_EXITED && exit.status == 0)
		return 0;
	return firewall_fail(firewall, -EIO, "%s: %s", strrchr(argv[0], '/') + 1,
			     exit.timed_out   ? "it took too long and was killed"
			     : exit.output[0] ? exit.output
					      : "it failed and does not say why");
}

static int run_change(struct firewall *firewall, enum family family, const char *option,
		      const char *text)
{
	const char *const argv[] = {change_programs[family], "-w", "5", "--noflush", option, NULL};
	CLEANUP(cleanup_close) int input = make_file(text);

	if (input < 0)
		return fail_to_run(firewall, argv[0], input);
	return run(firewall, argv, input, -1);
}

/* Creates the chain and, unless there is one from anywhere, a jump to it. The chains of others are
 * not looked at: rules with `-m set` cannot be listed without CAP_NET_RAW. */
static int prepare_family(struct firewall *firewall, const struct door *door, enum family family)
{
	const char *const argv[] = {list_programs[family], "-w", "5", "-n", "-L",
				    door->chain,	   NULL};
	CLEANUP(cleanup_free) char *listing = NULL, *text = NULL;
	CLEANUP(cleanup_close) int output = make_file("");
	bool has_chain;

	if (output < 0)
		return fail_to_run(firewall, argv[0], output);
	has_chain = run(firewall, argv, -1, output) == 0;
	listing = read_file(output);
	if (has_chain && listing && !strstr(listing, "(0 references)"))
		return 0;
	if (!listing ||
	    asprintf(&text, "*filter\n%s%s%s-I INPUT 1 -j %s\nCOMMIT\n", has_chain ? "" : "-N ",
		     has_chain ? "" : door->chain, has_chain ? "" : "\n", door->chain) < 0) {
		text = NULL;
		return firewall_fail(firewall, -ENOMEM, "out of memory");
	}
	return run_change(firewall, family, NULL, text);
}

static int iptables_prepare(struct firewall *firewall, const struct door *door)
{
	for (enum family family = 0; family < N_FAMILIES; family++) {
		int r = prepare_family(firewall, door, family);

		if (r < 0)
			return r;
	}
	return 0;
}

/* Goes through an opening but for the end, which would make it so. */
static int rehearse(struct firewall *firewall, const struct door *door, enum family family)
{
	static const char *const examples[N_FAMILIES] = {"192.0.2.1", "2001:db8::1"};
	CLEANUP(cleanup_free) char *rules = NULL, *text = NULL;
	struct caller caller = {.user = NULL};
	struct rule *rule;
	int r;

	address_parse(examples[family], &caller.source);
	r = rule_new(door, &caller, &rule);
	if (r == 0) {
		rules = spell_rules(rule, 0);
		rule_free(rule);
	}
	if (!rules || asprintf(&text, "*filter\n:%s - [0:0]\n%sCOMMIT\n", door->chain, rules) < 0) {
		text = NULL;
		return firewall_fail(firewall, -ENOMEM, "out of memory");
	}
	return run_change(firewall, family, "--test", text);
}

static bool iptables_is_whole(const struct rule *rule)
{
	return rule->chain && rule->element && rule->comment && rule->ports;
}

const struct backend backend_iptables = {
	.name = "iptables",
	.expires = true,
	.spell = iptables_spell,
	.prepare = iptables_prepare,
	.check = rehearse,
	.open = iptables_open,
	.close = iptables_close,
	.list = iptables_list,
	.find = iptables_find_rules,
	.is_whole = iptables_is_whole,
};
