//! The nftables side of pm: what a ruleset is in netlink messages, and back.
