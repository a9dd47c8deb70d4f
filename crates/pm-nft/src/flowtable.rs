//! Flowtables: connections in them pass the forward hook by.
//!
//! Source: `include/uapi/linux/netfilter/nf_tables.h`, `enum nft_flowtable_attributes`.

use pm_netlink::nf_tables::*;
use pm_netlink::{Malformed, Reply};

/// Returns family, table and name, as nft would ask for it.
pub(crate) fn describe(reply: &Reply<'_>) -> Result<Option<String>, Malformed> {
    let (mut table, mut name) = (String::new(), String::new());
    for attribute in reply.attributes() {
        let attribute = attribute?;
        // What others call theirs need not be UTF-8.
        let text = || attribute.str().unwrap_or("?").to_owned();
        match attribute.kind {
            NFTA_FLOWTABLE_TABLE => table = text(),
            NFTA_FLOWTABLE_NAME => name = text(),
            _ => {}
        }
    }
    let family = match reply.family {
        NFPROTO_IPV4 => "ip",
        NFPROTO_IPV6 => "ip6",
        // There are no others.
        _ => "inet",
    };
    Ok((reply.kind == NFT_MSG_NEWFLOWTABLE).then(|| format!("{family} {table} {name}")))
}

#[cfg(test)]
mod tests {
    use super::*;
    use pm_netlink::{Batch, NlmF, replies};

    #[test]
    fn a_flowtable_is_told_by_family_table_and_name() {
        let mut batch = Batch::new(None);
        for kind in [NFT_MSG_NEWFLOWTABLE, NFT_MSG_NEWCHAIN] {
            batch.push(kind, NFPROTO_IPV4, NlmF::empty(), |a| {
                a.string(NFTA_FLOWTABLE_TABLE, "firewall");
                a.string(NFTA_FLOWTABLE_NAME, "fast");
            });
        }
        let found: Vec<_> = replies(batch.message_bytes())
            .map(|reply| describe(&reply.unwrap()).unwrap())
            .collect();
        assert_eq!(found, [Some("ip firewall fast".to_owned()), None]);
    }
}
