use super::*;
use pm_netlink::{Attribute, Batch, NlmF};
use proptest::prelude::*;

fn list(expressions: &[Expr<'_>]) -> Vec<u8> {
    let mut batch = Batch::new(None);
    batch.push(NFT_MSG_NEWRULE, NFPROTO_INET, NlmF::CREATE, |a| {
        a.nest(NFTA_RULE_EXPRESSIONS, |list| {
            expressions.iter().for_each(|e| e.emit(list))
        });
    });
    // The message's and the list attribute's own headers come first.
    batch.message_bytes()[24..].to_vec()
}

fn expression() -> impl Strategy<Value = Expr<'static>> {
    let names = prop_oneof![Just("in_1"), Just("ingress"), Just("q_20000_30000_b")];
    prop_oneof![
        any::<(u32, u32)>().prop_map(|(key, register)| Expr::Meta { key, register }),
        any::<(u32, u32)>().prop_map(|(key, register)| Expr::SetMeta { key, register }),
        any::<(u32, Option<u8>, u32)>().prop_map(|(key, direction, register)| Expr::Ct {
            key,
            direction,
            register
        }),
        any::<(u32, u32, [u8; 4], [u8; 4])>().prop_map(|(from, register, mask, xor)| {
            Expr::Bitwise {
                from,
                register,
                mask,
                xor,
            }
        }),
        any::<(u32, u32, bool)>().prop_map(|(operator, register, long)| Expr::Compare {
            operator,
            register,
            with: if long { &[1, 0, 0, 0] } else { &[6] },
        }),
        any::<[u32; 4]>().prop_map(|[base, offset, length, register]| Expr::Payload {
            base,
            offset,
            length,
            register
        }),
        (names.clone(), any::<u32>()).prop_map(|(set, register)| Expr::Set { set, register }),
        (names.clone(), any::<u32>())
            .prop_map(|(map, register)| Expr::VerdictMap { map, register }),
        (names.clone(), any::<u32>()).prop_map(|(name, kind)| Expr::Object { kind, name }),
        (1..=u32::MAX, any::<[u8; 4]>())
            .prop_map(|(register, value)| Expr::Immediate { register, value }),
        names.prop_map(|chain| Expr::Verdict(Verdict::Goto(chain))),
        Just(Expr::Verdict(Verdict::Accept)),
        Just(Expr::Verdict(Verdict::Drop)),
    ]
}

proptest! {
    #[test]
    fn what_is_emitted_parses_back(wanted in proptest::collection::vec(expression(), 0..8)) {
        let bytes = list(&wanted);
        let back = Expr::parse_list(&Attribute { kind: 4, payload: &bytes }).unwrap();
        prop_assert_eq!(back, wanted);
    }

    #[test]
    fn no_input_panics(
        wanted in proptest::collection::vec(expression(), 1..4),
        noise in proptest::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 0..8),
    ) {
        let mut bytes = list(&wanted);
        for (place, value) in noise {
            let place = place.index(bytes.len());
            bytes[place] = value;
        }
        let _ = Expr::parse_list(&Attribute { kind: 4, payload: &bytes });
    }
}
