/* Where that is which loads the firewall at each boot: what `rules --install` writes. */
#pragma once

#define BOOT_UNIT	    "knocktail-firewall.service"
#define BOOT_UNIT_DIRECTORY "/etc/systemd/system"
#define BOOT_UNIT_PATH	    BOOT_UNIT_DIRECTORY "/" BOOT_UNIT

/* Where links to the unit are, so that it is started at boot; and when nftables flushes everything,
 * what this unit has shut included. */
#define BOOT_LINKS     BOOT_UNIT_DIRECTORY "/sysinit.target.wants"
#define BOOT_LINKS_NFT BOOT_UNIT_DIRECTORY "/nftables.service.wants"

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
