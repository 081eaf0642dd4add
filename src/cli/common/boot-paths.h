/* Where that is which loads the firewall at each boot: what `rules --install` writes. */
#pragma once

#include <stdbool.h>

#define BOOT_UNIT	    "knocktail-firewall.service"
#define BOOT_UNIT_DIRECTORY "/etc/systemd/system"
#define BOOT_UNIT_PATH	    BOOT_UNIT_DIRECTORY "/" BOOT_UNIT

/* Where the link to the unit is that has it started at boot. */
#define BOOT_LINKS BOOT_UNIT_DIRECTORY "/sysinit.target.wants"

/* What has the unit load its rules again when one of those has started that flush everything, what
 * it has shut included: a file in a directory of each. */
#define BOOT_DROP_IN		 "knocktail-firewall.conf"
#define BOOT_DROP_INS_NFTABLES	 BOOT_UNIT_DIRECTORY "/nftables.service.d"
#define BOOT_DROP_INS_PERSISTENT BOOT_UNIT_DIRECTORY "/netfilter-persistent.service.d"

/* Files of KNOCKTAIL_FIREWALL, a directory: what holds until all is loaded, the ipsets, the rules.
 */
#define BOOT_CLOSED   KNOCKTAIL_FIREWALL "/closed.nft"
#define BOOT_SETS     KNOCKTAIL_FIREWALL "/sets"
#define BOOT_IPTABLES KNOCKTAIL_FIREWALL "/rules.iptables"
#define BOOT_NFT      KNOCKTAIL_FIREWALL "/rules.nft"

/* The table of closed.nft, of the family inet. */
#define BOOT_CLOSED_TABLE "knocktail_closed"

/* Files of ufw's that rules become part of. */
#define UFW_DIRECTORY "/etc/ufw"

/* Whether ufw loads its rules at boot, if its unit is started. */
bool boot_ufw_is_on(void);
