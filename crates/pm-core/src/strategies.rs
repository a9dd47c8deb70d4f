//! Random values for property tests.

use proptest::prelude::*;

use crate::port::PortRange;

/// Any port or range.
pub fn port_range() -> impl Strategy<Value = PortRange> {
    (1u16.., 1u16..).prop_map(|(a, b)| {
        PortRange::new(a.min(b), a.max(b)).unwrap_or_else(|_| unreachable!("ordered and above 0"))
    })
}
