#include "util/sandbox.h"

#include <ctype.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

#define NEEDS_ROOT "needs root, which the daemon's user is not"
#define NEEDS_POLKIT                                                                               \
	"asks for root's rights, which the daemon's user has not: give them by a rule of polkit, " \
	"or do it from a service that root runs"
#define NEEDS_NETWORK                                                                              \
	"needs the network, to which the daemon's service has no sockets: hand it on to a "        \
	"service of yours, as the project's doc/notify.md does"
#define GAINS_NOTHING                                                                              \
	"gains nothing: the daemon's service has NoNewPrivileges; CAP_NET_ADMIN it has already"

static const struct program_fact {
	const char *names; /* with blanks around each */
	const char *why;
} program_facts[] = {
	{" ufw ufw-docker ", NEEDS_ROOT ": use an ipset, as `knocktail rules ufw` has it"},
	{" firewall-cmd firewall-offline-cmd ",
	 NEEDS_ROOT ": use the backend nft, as `knocktail rules firewalld` has it"},
	{" sudo su doas pkexec runuser run0 setpriv at batch ", GAINS_NOTHING},
	{" systemctl service invoke-rc.d rc-service initctl systemd-run loginctl machinectl ",
	 NEEDS_POLKIT},
	{" shorewall shorewall6 csf apf fwbuilder ferm firehol fail2ban-client pfctl ",
	 NEEDS_ROOT ": use one of knocktail's own backends"},
	{" reboot shutdown poweroff halt mount umount modprobe insmod rmmod chroot useradd userdel "
	 "usermod passwd chpasswd chown docker podman lxc lxc-attach virsh ",
	 NEEDS_ROOT ": do it from a service that root runs"},
	{" sysctl ", NEEDS_ROOT ", and the daemon's service cannot change the kernel's settings"},
	{" curl wget ssh scp sftp rsync autossh nc ncat netcat socat telnet ftp lftp ping ping6 "
	 "fping traceroute dig host nslookup nsupdate wakeonlan etherwake ether-wake wol "
	 "mosquitto_pub mail mailx sendmail ssmtp msmtp swaks knock fwknop nmap hping3 "
	 "ntpdate whois aws gcloud ",
	 NEEDS_NETWORK},
};

#define HIDDEN "is hidden from the daemon's service: put it where others may read it, such as "

static const struct path_fact {
	const char *path;
	const char *why;
} path_facts[] = {
	{"/root", HIDDEN "/usr/local/sbin"},
	{"/home", HIDDEN "/usr/local/sbin"},
	{"/run/user", HIDDEN "/run/knocktail"},
	{"/tmp", "is another one for the daemon's service, which has a /tmp of its own: use "
		 "/run/knocktail, or /usr/local/sbin for programs"},
	{"/var/tmp",
	 "is another one for the daemon's service, which has a /var/tmp of its own: use "
	 "/var/lib/knocktail, or /usr/local/sbin for programs"},
	{"~", HIDDEN "/usr/local/sbin"},
	{"$HOME", HIDDEN "/usr/local/sbin"},
	{"/etc/init.d", NEEDS_POLKIT},
};

/* Programs that run the words behind them, and what of a shell a command stands behind. */
static const char wrappers[] =
	" env nohup nice ionice timeout setsid exec time command xargs then do "
	"else elif if while until ! { stdbuf chrt taskset flock ";

struct command_walk {
	bool expects_program; /* the next word is one, not an argument */
	struct sandbox_finding *found;
};

static bool list_holds(const char *names, const char *word)
{
	size_t length = strlen(word);

	for (const char *at = names; length > 0 && (at = strstr(at, word)); at += length)
		if (at > names && at[-1] == ' ' && at[length] == ' ')
			return true;
	return false;
}

static const char *judge_program(const char *word, bool expects_program)
{
	const char *slash = strrchr(word, '/');

	/* An argument may be a program, too, if it looks like one: /usr/sbin/ufw. */
	if (!expects_program &&
	    (word[0] != '/' || slash - word < 3 || strncmp(slash - 3, "bin", 3) != 0))
		return NULL;
	for (size_t i = 0; i < sizeof program_facts / sizeof program_facts[0]; i++)
		if (list_holds(program_facts[i].names, slash ? slash + 1 : word))
			return program_facts[i].why;
	return NULL;
}

static const char *judge_path(const char *word)
{
	const char *path = strchr(word, '='); /* --file=/root/x */

	path = path && (path[1] == '/' || path[1] == '~') ? path + 1 : word;
	for (size_t i = 0; i < sizeof path_facts / sizeof path_facts[0]; i++) {
		size_t length = strlen(path_facts[i].path);

		if (strncmp(path, path_facts[i].path, length) == 0 &&
		    (path[length] == '/' || path[length] == '\0'))
			return path_facts[i].why;
	}
	return NULL;
}

static void set_finding(struct sandbox_finding *found, const char *word, const char *why)
{
	size_t n = 0;

	for (; word[n] && n < SANDBOX_WORD_MAX - 1; n++)
		found->word[n] = word[n] >= '!' && word[n] <= '~' ? word[n] : '?';
	found->word[n] = '\0';
	found->why = why;
}

/* Takes one word. True: it cannot work. */
static bool walk_word(struct command_walk *walk, const char *word)
{
	const char *why = judge_path(word);

	if (!why)
		why = judge_program(word, walk->expects_program);
	if (why) {
		set_finding(walk->found, word, why);
		return true;
	}
	/* The options, numbers and variables of a wrapper come ahead of its program. */
	if (walk->expects_program && word[0] != '-' && !isdigit((unsigned char)word[0]) &&
	    !strchr(word, '=')) {
		const char *slash = strrchr(word, '/');

		walk->expects_program = list_holds(wrappers, slash ? slash + 1 : word);
	}
	if (strcmp(word, "-c") == 0)
		walk->expects_program = true;
	return false;
}

/* The words of a shell's command: quotes end a word, and a command begins behind each of the
 * others.
 */
static bool walk_text(struct command_walk *walk, const char *text)
{
	static const char between[] = ";|&()`{}\n", quotes[] = " \t'\"<>\\,";

	while (*text) {
		size_t length;
		char word[256];

		if (strchr(between, *text) || strchr(quotes, *text)) {
			walk->expects_program = walk->expects_program || strchr(between, *text);
			text++;
			continue;
		}
		for (length = 0; text[length] && !strchr(between, text[length]) &&
				 !strchr(quotes, text[length]);)
			length++;
		snprintf(word, sizeof word, "%.*s", (int)length, text);
		if (walk_word(walk, word))
			return true;
		text += length;
	}
	return false;
}

bool sandbox_find_in_text(const char *text, struct sandbox_finding *ret)
{
	struct command_walk walk = {.expects_program = true, .found = ret};

	return walk_text(&walk, text);
}

bool sandbox_find_in_command(char *const *argv, struct sandbox_finding *ret)
{
	struct command_walk walk = {.expects_program = true, .found = ret};

	for (char *const *argument = argv; *argument; argument++) {
		bool is_text = argument != argv && strcmp(argument[-1], "-c") == 0;

		if (is_text ? walk_text(&walk, *argument) : walk_word(&walk, *argument))
			return true;
	}
	return false;
}
