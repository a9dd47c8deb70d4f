//! The rtnetlink vocabulary: message types, attributes and values of links, routes and traffic
//! control.
//!
//! Integers are in the machine's byte order. neli has nothing of qdiscs' own options, and the
//! rest of it as types that cost more than they give here. Source: the header named above each
//! block.

#![allow(
    missing_docs,
    reason = "the names are the kernel's, and are documented there"
)]

// `include/uapi/linux/rtnetlink.h`, message types
pub const RTM_NEWLINK: u16 = 16;
pub const RTM_GETLINK: u16 = 18;
pub const RTM_NEWROUTE: u16 = 24;
pub const RTM_GETROUTE: u16 = 26;
pub const RTM_NEWQDISC: u16 = 36;
pub const RTM_DELQDISC: u16 = 37;
pub const RTM_GETQDISC: u16 = 38;
pub const RTM_NEWTCLASS: u16 = 40;
pub const RTM_DELTCLASS: u16 = 41;
pub const RTM_GETTCLASS: u16 = 42;
pub const RTM_NEWTFILTER: u16 = 44;
pub const RTM_DELTFILTER: u16 = 45;
pub const RTM_GETTFILTER: u16 = 46;

// `include/linux/socket.h`
pub const AF_UNSPEC: u8 = 0;
pub const AF_INET: u8 = 2;
pub const AF_INET6: u8 = 10;

// `include/uapi/linux/if_link.h`, `include/uapi/linux/if.h`
pub const IFLA_IFNAME: u16 = 3;
pub const IFF_LOOPBACK: u32 = 1 << 3;

// `include/uapi/linux/rtnetlink.h`, rtattr_type_t, rt_class_t, route types
pub const RTA_OIF: u16 = 4;
pub const RTA_MULTIPATH: u16 = 9;
pub const RTN_UNICAST: u8 = 1;

// `include/uapi/linux/rtnetlink.h`, traffic control's attributes
pub const TCA_KIND: u16 = 1;
pub const TCA_OPTIONS: u16 = 2;

// `include/uapi/linux/pkt_sched.h`, handles
pub const TC_H_ROOT: u32 = 0xffff_ffff;
pub const TC_H_MAJ_MASK: u32 = 0xffff_0000;
pub const TC_H_MIN_MASK: u32 = 0x0000_ffff;

// `include/uapi/linux/pkt_sched.h`, HTB and its link layer
pub const TCA_HTB_PARMS: u16 = 1;
pub const TCA_HTB_INIT: u16 = 2;
pub const TCA_HTB_DIRECT_QLEN: u16 = 5;
pub const TCA_HTB_RATE64: u16 = 6;
pub const TCA_HTB_CEIL64: u16 = 7;
pub const TC_HTB_PROTOVER: u32 = 3;
pub const TC_LINKLAYER_ETHERNET: u8 = 1;

// `include/uapi/linux/pkt_sched.h`, fq_codel
pub const TCA_FQ_CODEL_FLOWS: u16 = 5;

// `include/uapi/linux/pkt_sched.h`, cake
pub const TCA_CAKE_BASE_RATE64: u16 = 2;

// `include/uapi/linux/pkt_cls.h`, the fw classifier
pub const TCA_FW_CLASSID: u16 = 1;
pub const TCA_FW_MASK: u16 = 5;

// `include/uapi/linux/if_ether.h`
pub const ETH_P_ALL: u16 = 3;
