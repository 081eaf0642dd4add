/* MUST: whatever cannot be loaded, nobody is let in by that. So the unit shuts everything first, by
 * a table that nothing else touches, and takes that away when all is loaded.
 *
 * MUST: it needs nothing of knocktail's: a program that a new library has broken, or that is not
 * installed any more, opens no door. */
#include "cli/rules/boot-unit.h"

#include "cli/common/boot-paths.h"
#include "cli/rules/forward.h"
#include "util/programs.h"

#define LOAD(program) program " -w 5 --noflush " BOOT_IPTABLES

/* A command for iptables and ip6tables, as $i. */
#define BOTH(command)                                                                              \
	"/bin/sh -c 'for i in " PROGRAM_IPTABLES " " PROGRAM_IP6TABLES "; do " command "done'\n"

/* Docker keeps the chain if it is there, and puts the jump to it first. */
static const char make_docker_user[] = BOTH(
	"$$i -w 5 -n -L " DOCKER_USER " >/dev/null 2>&1 || $$i -w 5 -N " DOCKER_USER " || exit; "
	"$$i -w 5 -C FORWARD -j " DOCKER_USER " 2>/dev/null || $$i -w 5 -I FORWARD -j " DOCKER_USER
	" || exit; ");

static const char load_sets[] = PROGRAM_IPSET " -exist -file " BOOT_SETS " restore";
static const char load_nft[] = PROGRAM_NFT " -f " BOOT_NFT;

/* What loads the rules of a variant; ufw and whoever has rules of their own load those themselves.
 */
enum { STEPS_MAX = 4 };
static const char *const steps[N_VARIANTS][STEPS_MAX] = {
	[VARIANT_IPSET] = {load_sets},
	[VARIANT_IPTABLES] = {load_sets, LOAD(PROGRAM_IPTABLES_RESTORE),
			      LOAD(PROGRAM_IP6TABLES_RESTORE)},
	[VARIANT_UFW] = {load_sets},
	[VARIANT_NFT] = {load_nft},
	[VARIANT_FIREWALLD] = {load_nft},
};

/* Sets have to be there before the rules that look them up. */
static const char before_others[] =
	"Before=ufw.service netfilter-persistent.service firewalld.service\n";

/* These flush what is there, at boot and whenever somebody starts, restarts or reloads them. */
static const char after_others[] =
	"After=nftables.service netfilter-persistent.service\n"
	"PartOf=nftables.service netfilter-persistent.service\n"
	"ReloadPropagatedFrom=nftables.service netfilter-persistent.service\n";

#define SHUT_AND_LOAD                                                                              \
	"=-/bin/sh -c '[ -e " BOOT_LINKS "/" BOOT_UNIT " ] || exit 0; " PROGRAM_NFT                \
	" -f " BOOT_CLOSED "; " PROGRAM_SYSTEMCTL " --no-block restart " BOOT_UNIT "'\n"

static const char drop_in[] =
	"# Written by `knocktail rules --install`; --remove takes it away. This unit has flushed\n"
	"# knocktail's rules: nobody is let in until they are loaded again, if they are to be.\n"
	"[Service]\n"
	"ExecStartPost" SHUT_AND_LOAD "ExecReload" SHUT_AND_LOAD;

static const char head[] =
	"; --remove takes it away.\n"
	"[Unit]\n"
	"Description=knocktail: the firewall, before the network\n"
	"Documentation=man:knocktail(1)\n"
	"DefaultDependencies=no\n"
	"Wants=network-pre.target\n"
	"Before=network-pre.target shutdown.target\n"
	"Conflicts=shutdown.target\n"
	"After=local-fs.target systemd-modules-load.service\n"
	"%s"
	"\n"
	"[Service]\n"
	"Type=oneshot\n"
	"RemainAfterExit=yes\n"
	"TimeoutStartSec=60s\n"
	"SyslogIdentifier=knocktail-firewall\n"
	"StandardOutput=journal+console\n"
	"# Shut first; that is taken away when all is loaded, and stays if something is not.\n";

/* The policies are for a machine that has lost nft. */
static const char tail[] =
	"ExecStopPost=/bin/sh -c '[ \"$$SERVICE_RESULT\" != success ] || exit 0; "
	"if " PROGRAM_NFT " list table inet " BOOT_CLOSED_TABLE " >/dev/null 2>&1 || "
	"{ " PROGRAM_IPTABLES " -w 5 -P INPUT DROP && " PROGRAM_IP6TABLES " -w 5 -P INPUT DROP; }; "
	"then echo \"<2>the firewall cannot be loaded: nobody is let in until that is mended; "
	"see journalctl -u knocktail-firewall\"; "
	"else echo \"<0>the firewall cannot be loaded, nor the machine be shut: EVERYBODY is let in\"; "
	"fi'\n"
	"\n"
	"[Install]\n"
	"WantedBy=sysinit.target\n";

/* Each once. */
static void put_jumps(const struct config *config, const char *key, FILE *file)
{
	if (forward_any_docker(config))
		fprintf(file, "%s=%s", key, make_docker_user);
	for (const struct forward_jump *jump = forward_jumps; jump->to; jump++)
		if (jump->is_needed(config))
			fprintf(file,
				"%s=" BOTH("$$i -w 5 -t %s -C %s -j %s 2>/dev/null || "
					   "$$i -w 5 -t %s -%c %s -j %s || exit; "),
				key, jump->table, jump->from, jump->to, jump->table,
				jump->is_first ? 'I' : 'A', jump->from, jump->to);
}

static void put_steps(enum variant variant, const struct config *config, const char *key,
		      FILE *file)
{
	fprintf(file, "%s=" PROGRAM_NFT " -f " BOOT_CLOSED "\n", key);
	for (unsigned i = 0; i < STEPS_MAX && steps[variant][i]; i++)
		fprintf(file, "%s=%s\n", key, steps[variant][i]);
	if (variant == VARIANT_IPTABLES)
		put_jumps(config, key, file);
	fprintf(file, "%s=" PROGRAM_NFT " delete table inet " BOOT_CLOSED_TABLE "\n", key);
}

bool boot_unit_has_rules(enum variant variant)
{
	return steps[variant][0] != load_sets || steps[variant][1];
}

static void put_command(enum variant variant, const struct plan *plan, FILE *file)
{
	const struct port_set *open = &plan->open;
	char text[PORT_RANGE_TEXT_MAX];

	fprintf(file, "# Written by `knocktail rules %s --install", variant_names[variant]);
	for (unsigned i = 0; i < open->n_ranges; i++)
		fprintf(file, "%s%s", i == 0 ? " --open " : ",",
			port_range_format(&open->ranges[i], text));
	if (plan->nflog_group > 0)
		fprintf(file, " --nflog %u", plan->nflog_group);
	fputc('`', file);
}

void boot_unit_print(enum variant variant, const struct plan *plan, FILE *file)
{
	put_command(variant, plan, file);
	fprintf(file, head, boot_unit_has_rules(variant) ? after_others : before_others);
	put_steps(variant, plan->config, "ExecStart", file);
	put_steps(variant, plan->config, "ExecReload", file);
	fputs(tail, file);
}

void boot_drop_in_print(FILE *file)
{
	fputs(drop_in, file);
}

/* Docker sends on what it publishes ahead of INPUT. */
static const char closed_forward[] =
	"\tchain forward {\n"
	"\t\ttype filter hook forward priority filter - 20; policy accept;\n"
	"\t\tct state established,related accept\n"
	"\t\tct status dnat ct direction original drop\n"
	"\t}\n";

void boot_closed_print(const struct plan *plan, FILE *file)
{
	fputs("# What holds while knocktail-firewall.service loads the rest, and if it cannot.\n"
	      "add table inet " BOOT_CLOSED_TABLE "\n"
	      "delete table inet " BOOT_CLOSED_TABLE "\n"
	      "table inet " BOOT_CLOSED_TABLE " {\n"
	      "\tchain input {\n"
	      "\t\ttype filter hook input priority filter - 10; policy drop;\n"
	      "\t\tct state established,related accept\n"
	      "\t\tiif \"lo\" accept\n"
	      "\t\t# Without these there is no IPv6, not even from here.\n"
	      "\t\ticmpv6 type { nd-neighbor-solicit, nd-neighbor-advert, nd-router-advert } "
	      "accept\n"
	      "\t}\n",
	      file);
	fputs(forward_any_docker(plan->config) ? closed_forward : "", file);
	fputs("}\n", file);
}
