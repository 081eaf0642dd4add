/* What the kernel writes (net/netfilter/nf_log_syslog.c; before 5.13 nf_log_common.c, nf_log_ipv4.c
 * and nf_log_ipv6.c), field by field.
 *
 * MUST: the branches that capture ports admit exactly the kernel's own fields, once and in its
 * order. Nothing there matches "any text", so nothing can be smuggled in.
 * MUST: nothing is captured out of [...]: an ICMP error quotes a packet that its sender made up.
 * MUST: every repetition is bounded or possessive: time is linear in the length of the line.
 *
 * (?| gives the groups of its branches the same numbers, so that they may share their names. */
#include "format/kernel-pattern.h"

/* Every field ends with one blank, of which some writers trim the line's last. */
#define END "(?: |\\z)"

/* What an interface may be called (dev_valid_name()), as far as it is printable ASCII. */
#define NAME "[!-.0-9;-~]"

#define U5	 "[0-9]{1,5}+"
#define U10	 "[0-9]{1,10}+"
#define HEX2	 "[0-9A-Fa-f]{2}"
#define HEX8	 "[0-9a-f]{1,8}+"
#define ANYTHING "[ -~]*+"

/* clang-format off */
#define MAC HEX2 "(?::" HEX2 "){5}"

#define INTERFACES                                                                                 \
	"IN=(?<IN>" NAME "{0,15}+) OUT=" NAME "{0,15}+ "                                           \
	"(?:PHYSIN=" NAME "{1,15}+ )?+"                                                            \
	"(?:PHYSOUT=" NAME "{1,15}+ )?+"

/* All of a link's header, in hex; a SIT tunnel adds its ends. Or the Ethernet header, decoded. */
#define LINK                                                                                       \
	"(?:MAC=(?:" HEX2 "(?::" HEX2 ")*+)?+"                                                     \
	   "(?: TUNNEL=[0-9.]{7,15}+->[0-9.]{7,15}+)?+" END                                        \
	  "|MACSRC=" MAC " MACDST=" MAC " "                                                        \
	   "(?:VPROTO=[0-9a-f]{4} VID=[0-9]{1,4}+ )?+"                                             \
	   "MACPROTO=[0-9a-f]{4}" END ")?+"

/* FRAG is captured only of a later fragment, which has no ports. */
#define FRAGMENT "FRAG:(?:0|(?<FRAG>[1-9][0-9]{0,4}+)) "

#define IPV4                                                                                       \
	"SRC=(?<SRC>[0-9.]{7,15}+) DST=(?<DST>[0-9.]{7,15}+) "                                     \
	"LEN=" U10 " TOS=0x" HEX2 " PREC=0x" HEX2 " TTL=[0-9]{1,3}+ ID=" U5 " "                     \
	"(?:CE )?+(?:DF )?+(?:MF )?+"                                                              \
	"(?:" FRAGMENT ")?+"                                                                       \
	"(?:OPT \\((?:" HEX2 "){4,40}+\\) )?+"

/* One extension header. Without --log-ip-options only a fragment's is seen. */
#define EXTENSION_FRAGMENT FRAGMENT "(?:INCOMPLETE )?+ID:[0-9a-f]{8} "
#define EXTENSION                                                                                  \
	"(?|" EXTENSION_FRAGMENT                                                                   \
	  "|OPT \\( (?:" EXTENSION_FRAGMENT "|AH SPI=0x" HEX8 " )?+\\) )"

#define IPV6                                                                                       \
	"SRC=(?<SRC>[0-9A-Fa-f:]{2,39}+) DST=(?<DST>[0-9A-Fa-f:]{2,39}+) "                         \
	"LEN=" U10 " TC=[0-9]{1,3}+ HOPLIMIT=[0-9]{1,3}+ FLOWLBL=[0-9]{1,7}+" END                   \
	EXTENSION "*+"

#define OWNER_AND_MARK                                                                             \
	"(?:UID=" U10 " GID=" U10 END ")?+"                                                        \
	"(?:MARK=0x" HEX8 END ")?+"

/* AE came with accurate ECN; before, its bit showed in RES. */
#define FLAGS                                                                                      \
	"(?<FLAGS>(?:AE )?+(?:CWR )?+(?:ECE )?+(?:URG )?+(?:ACK )?+"                               \
	         "(?:PSH )?+(?:RST )?+(?:SYN )?+(?:FIN )?+)"

#define PORTS "SPT=(?<SPT>" U5 ") DPT=(?<DPT>" U5 ") "

#define TCP                                                                                        \
	"PROTO=(?<PROTO>TCP) " PORTS                                                               \
	"(?:SEQ=" U10 " ACK=" U10 " )?+"                                                           \
	"WINDOW=" U5 " RES=0x[0-9a-f]{2} " FLAGS "URGP=" U5 END                                    \
	"(?:OPT \\((?<OPT>(?:[0-9A-Fa-f]{8}){1,10}+)\\)" END ")?+"                                 \
	OWNER_AND_MARK

#define UDP "PROTO=(?<PROTO>UDP) " PORTS "(?<FLAGS>)LEN=" U5 END OWNER_AND_MARK

/* Packets without ports, or without any of ours: classed loosely, since nothing is read of them. */
#define PORTLESS                                                                                   \
	"(?:(?(<FRAG>)PROTO=(?:TCP|UDP)" END OWNER_AND_MARK "|(*FAIL))"                            \
	  "|PROTO=(?:TCP|UDP) INCOMPLETE \\[" U10 " bytes\\]" END                                  \
	  "|PROTO=(?:ICMP|ICMPv6|UDPLITE|AH|ESP|[0-9]{1,3}+)(?: " ANYTHING "|\\z)"                 \
	  "|Unknown Ext Hdr [0-9]{1,3}+"                                                           \
	  "|(?:FRAG:)?+TRUNCATED ?+"                                                               \
	  "|OPT \\( (?:AH |ESP )?+(?:INCOMPLETE \\[" U10 " bytes\\] |SPI=0x" HEX8 " )?+\\)"        \
	  "|" OWNER_AND_MARK ")"

#define NOT_IP "(?:ARP HTYPE=" ANYTHING "|TRUNCATED)?+"

#define KERNEL                                                                                     \
	INTERFACES LINK                                                                            \
	"(?:(?|" IPV4 "|" IPV6 ")"                                                                 \
	   "(?:(?(<FRAG>)(*FAIL)|(?|" TCP "|" UDP "))\\z|" PORTLESS "\\z)"                         \
	  "|" NOT_IP "\\z)"

/* What ulogd writes of the same (2.0, util/printpkt.c), with the same groups in the same order. */
#define ULOGD_IPV4                                                                                 \
	"SRC=(?<SRC>[0-9.]{7,15}+) DST=(?<DST>[0-9.]{7,15}+) "                                     \
	"LEN=" U5 " TOS=" HEX2 " PREC=0x" HEX2 " TTL=[0-9]{1,3}+ ID=" U5 " "                        \
	"(?:CE )?+(?:DF )?+(?:MF )?+"                                                              \
	"(?:" FRAGMENT ")?+"

#define ULOGD_IPV6                                                                                 \
	"SRC=(?<SRC>[0-9A-Fa-f:]{2,39}+) DST=(?<DST>[0-9A-Fa-f:]{2,39}+) "                         \
	"LEN=" U5 " TC=[0-9]{1,3}+ HOPLIMIT=[0-9]{1,3}+ FLOWLBL=[0-9]{1,7}+ "                       \
	"(?:FRAG: (?:0|(?<FRAG>[1-9][0-9]{0,4}+)) ID: [0-9a-f]{8} )?+"

#define ULOGD_TCP                                                                                  \
	"PROTO=(?<PROTO>TCP) " PORTS "SEQ=" U10 " ACK=" U10 " WINDOW=" U5 " " FLAGS "URGP=" U5 END

#define ULOGD_UDP "PROTO=(?<PROTO>UDP) " PORTS "(?<FLAGS>)LEN=" U5 END

#define ULOGD_END "(?:UID=" U10 END ")?+(?:GID=" U10 END ")?+(?:MARK=(?:0x)?+" HEX8 END ")?+\\z"

#define ULOGD_PORTLESS                                                                             \
	"(?:(?(<FRAG>)PROTO=(?:TCP|UDP) " ANYTHING "|(*FAIL))"                                     \
	  "|PROTO=(?:TCP|UDP) INCOMPLETE"                                                          \
	  "|PROTO=(?:ICMP|ICMPv6|SCTP|ESP|AH|[0-9]{1,3}+) " ANYTHING ")?+"

#define ULOGD                                                                                      \
	"IN=(?<IN>" NAME "{0,15}+) OUT=" NAME "{0,15}+ MAC=(?:" HEX2 "(?::" HEX2 ")*+)?+ "         \
	"(?|" ULOGD_IPV4 "|" ULOGD_IPV6 ")"                                                        \
	"(?:(?(<FRAG>)(*FAIL)|(?|" ULOGD_TCP "|" ULOGD_UDP "))" ULOGD_END                          \
	  "|" ULOGD_PORTLESS ULOGD_END ")"

const char kernel_pattern[] = KERNEL;
const char relayed_pattern[] = "(?|" KERNEL "|" ULOGD ")";
/* clang-format on */
