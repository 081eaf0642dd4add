/* Where the programs are that knocktail runs itself; those of doors are in the configuration. */
#pragma once

#define PROGRAM_IPSET		      "/usr/sbin/ipset"
#define PROGRAM_NFT		      "/usr/sbin/nft"
#define PROGRAM_IPTABLES	      "/usr/sbin/iptables"
#define PROGRAM_IP6TABLES	      "/usr/sbin/ip6tables"
#define PROGRAM_IPTABLES_SAVE	      "/usr/sbin/iptables-save"
#define PROGRAM_IP6TABLES_SAVE	      "/usr/sbin/ip6tables-save"
#define PROGRAM_IPTABLES_NFT_SAVE     "/usr/sbin/iptables-nft-save"
#define PROGRAM_IP6TABLES_NFT_SAVE    "/usr/sbin/ip6tables-nft-save"
#define PROGRAM_IPTABLES_LEGACY_SAVE  "/usr/sbin/iptables-legacy-save"
#define PROGRAM_IP6TABLES_LEGACY_SAVE "/usr/sbin/ip6tables-legacy-save"
#define PROGRAM_IPTABLES_RESTORE      "/usr/sbin/iptables-restore"
#define PROGRAM_IP6TABLES_RESTORE     "/usr/sbin/ip6tables-restore"
#define PROGRAM_SYSTEMCTL	      "/usr/bin/systemctl"
#define PROGRAM_SYSTEMD_ANALYZE	      "/usr/bin/systemd-analyze"
#define PROGRAM_UFW		      "/usr/sbin/ufw"
