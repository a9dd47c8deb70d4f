//! Looking up many keys of a map in their order.

use std::collections::{BTreeMap, btree_map};
use std::iter::Peekable;

/// A map in which keys are looked up. Those that are asked for in ascending order take one walk
/// through the map together, where a look-up for each would search it anew; any order is right.
pub(crate) struct InOrder<'a, K, V> {
    map: &'a BTreeMap<K, V>,
    ahead: Peekable<btree_map::Iter<'a, K, V>>,
    passed: Option<&'a K>,
}

impl<'a, K: Ord, V> InOrder<'a, K, V> {
    /// Begins at the first key.
    pub(crate) fn new(map: &'a BTreeMap<K, V>) -> Self {
        Self {
            map,
            ahead: map.iter().peekable(),
            passed: None,
        }
    }

    /// Returns what `key` leads to.
    pub(crate) fn get(&mut self, key: &K) -> Option<&'a V> {
        if self.passed.is_some_and(|passed| key <= passed) {
            return self.map.get(key);
        }
        while let Some((passed, _)) = self.ahead.next_if(|&(found, _)| found < key) {
            self.passed = Some(passed);
        }
        let (found, value) = *self.ahead.peek()?;
        (found == key).then_some(value)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::collection::{btree_map, vec};
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn keys_are_found_in_any_order(
            map in btree_map(0_u8..20, any::<u32>(), 0..20),
            mut keys in vec(0_u8..20, 0..30),
            ascending in any::<bool>(),
        ) {
            if ascending {
                keys.sort_unstable();
            }
            let mut in_order = InOrder::new(&map);
            for key in keys {
                prop_assert_eq!(in_order.get(&key), map.get(&key), "{}", key);
            }
        }
    }
}
