//! Who else is there: chains that translate addresses, names of any bytes.

use pm_core::backend::Netfilter;
use pm_core::ruleset::Installed;
use pm_netlink::nf_tables::*;
use pm_netlink::{Batch, NlmF, Socket};

use crate::support::*;

#[test]
fn a_chain_that_translates_addresses_is_noticed_in_any_table() {
    for (table, has_nat) in [
        (
            "table ip a { chain c { type nat hook prerouting priority -100; }; }",
            true,
        ),
        (
            "table ip6 a { chain c { type nat hook postrouting priority 100; }; }",
            true,
        ),
        (
            "table inet a { chain c { type nat hook output priority 0; }; }",
            true,
        ),
        (
            "table inet port_monitor { chain c { type nat hook input priority 0; }; }",
            true,
        ),
        (
            "table ip nat { chain nat { type filter hook prerouting priority -100; }; }",
            false,
        ),
        ("table ip nat { chain prerouting { counter; }; }", false),
        ("table netdev nat { chain nat { }; }", false),
    ] {
        in_namespace(move |nftables| {
            nft(&format!("{table}\n"));
            assert_eq!(nftables.inspect().unwrap().1.has_nat, has_nat, "{table}");
            converge(nftables, &sample());
            let installed = nftables.inspect().unwrap().1;
            let expected = sample().expected();
            assert_eq!(
                installed,
                Installed {
                    has_nat,
                    ..expected
                }
            );
            nft("flush ruleset\n");
            assert!(!nftables.inspect().unwrap().1.has_nat);
        });
    }
}

/// The kernel takes any bytes for a name, which need not be text.
#[test]
fn names_of_others_keep_nothing_back() {
    in_namespace(|nftables| {
        converge(nftables, &sample());
        let mut batch = Batch::new(None);
        let name = b"\xff\xfe\0";
        batch.push(NFT_MSG_NEWTABLE, NFPROTO_INET, NlmF::CREATE, |a| {
            a.bytes(NFTA_TABLE_NAME, name);
        });
        batch.push(NFT_MSG_NEWCHAIN, NFPROTO_INET, NlmF::CREATE, |a| {
            a.bytes(NFTA_CHAIN_TABLE, name);
            a.bytes(NFTA_CHAIN_NAME, name);
        });
        Socket::open().unwrap().apply(batch).unwrap();
        assert_eq!(nftables.inspect().unwrap().1, sample().expected());
        assert!(nftables.read().unwrap().table.is_some());
    });
}

#[test]
fn there_are_no_flowtables_in_an_empty_namespace() {
    in_namespace(|nftables| {
        converge(nftables, &sample());
        assert_eq!(nftables.flowtables().unwrap(), Vec::<String>::new());
    });
}
