//! How a rule gives a packet its class.
//!
//! ```text
//! meta priority set 706d:10
//! meta mark set meta mark & 0x0000ffff | 0x00100000
//! ```
//!
//! Both are set in the output and forward chains at filter + 20, so a mark of pm's comes after
//! the routing decision that somebody's mark may have been for.

use pm_core::ruleset::Class;
use pm_netlink::nf_tables::*;

use crate::expr::Expr;

const REGISTER: u32 = NFT_REG_1;

/// Returns the expressions that set `class`.
pub(crate) fn expressions(class: Class) -> Vec<Expr<'static>> {
    let register = REGISTER;
    match class {
        Class::Priority(priority) => vec![
            Expr::Immediate {
                register,
                value: priority.to_ne_bytes(),
            },
            Expr::SetMeta {
                key: NFT_META_PRIORITY,
                register,
            },
        ],
        Class::Mark { mark, mask } => vec![
            Expr::Meta {
                key: NFT_META_MARK,
                register,
            },
            Expr::Bitwise {
                from: register,
                register,
                mask: (!mask).to_ne_bytes(),
                xor: mark.to_ne_bytes(),
            },
            Expr::SetMeta {
                key: NFT_META_MARK,
                register,
            },
        ],
    }
}

/// Returns the class that these expressions set; `None` where they are not as pm writes them.
pub(crate) fn parse(expressions: &[Expr<'_>]) -> Option<Class> {
    let class = match expressions {
        [Expr::Immediate { value, .. }, Expr::SetMeta { .. }] => {
            Class::Priority(u32::from_ne_bytes(*value))
        }
        [_, Expr::Bitwise { mask, xor, .. }, _] => Class::Mark {
            mark: u32::from_ne_bytes(*xor),
            mask: !u32::from_ne_bytes(*mask),
        },
        _ => return None,
    };
    // A mark beyond its mask would flip bits that are not pm's.
    let is_within = match class {
        Class::Priority(_) => true,
        Class::Mark { mark, mask } => mark & !mask == 0,
    };
    (is_within && self::expressions(class) == expressions).then_some(class)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mark_beyond_its_mask_is_nothing_of_pms() {
        let mark = |mark| Class::Mark {
            mark,
            mask: 1 << 20,
        };
        for (class, read) in [
            (
                Class::Priority(0x706d_ffff),
                Some(Class::Priority(0x706d_ffff)),
            ),
            (mark(1 << 20), Some(mark(1 << 20))),
            (mark(1 << 21), None),
        ] {
            assert_eq!(parse(&expressions(class)), read);
        }
    }

    #[test]
    fn another_property_is_no_class() {
        let mut rule = expressions(Class::Priority(7));
        rule[1] = Expr::SetMeta {
            key: NFT_META_MARK,
            register: REGISTER,
        };
        assert_eq!(parse(&rule), None);
        assert_eq!(parse(&rule[..1]), None);
    }
}
