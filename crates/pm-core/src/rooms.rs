//! One value for each of the rooms that a service has.

use crate::ruleset::Variant;

/// At most one value a [`Variant`]: a map that needs no memory of its own.
///
/// # Examples
///
/// ```
/// use pm_core::rooms::Rooms;
/// use pm_core::ruleset::Variant;
///
/// let rooms = Rooms::from_iter([(Variant::B, "upstairs")]);
/// assert_eq!(rooms.get(Variant::B), Some(&"upstairs"));
/// assert_eq!(rooms.get(Variant::A), None);
/// ```
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Rooms<T> {
    a: Option<T>,
    b: Option<T>,
}

impl<T> Rooms<T> {
    /// Returns the value of a room that is there.
    pub fn get(&self, variant: Variant) -> Option<&T> {
        match variant {
            Variant::A => self.a.as_ref(),
            Variant::B => self.b.as_ref(),
        }
    }

    /// Returns the place of a room's value.
    pub fn slot(&mut self, variant: Variant) -> &mut Option<T> {
        match variant {
            Variant::A => &mut self.a,
            Variant::B => &mut self.b,
        }
    }

    /// Whether there is no room.
    pub fn is_empty(&self) -> bool {
        self.a.is_none() && self.b.is_none()
    }

    /// Returns the rooms that are there, A first.
    pub fn iter(&self) -> impl Iterator<Item = (Variant, &T)> {
        let values = [(Variant::A, &self.a), (Variant::B, &self.b)];
        values
            .into_iter()
            .filter_map(|(variant, value)| Some((variant, value.as_ref()?)))
    }

    /// Returns the rooms that are there, A first.
    pub fn iter_mut(&mut self) -> impl Iterator<Item = (Variant, &mut T)> {
        let values = [(Variant::A, &mut self.a), (Variant::B, &mut self.b)];
        values
            .into_iter()
            .filter_map(|(variant, value)| Some((variant, value.as_mut()?)))
    }
}

impl<T> Default for Rooms<T> {
    fn default() -> Self {
        Self { a: None, b: None }
    }
}

impl<T> FromIterator<(Variant, T)> for Rooms<T> {
    fn from_iter<I: IntoIterator<Item = (Variant, T)>>(values: I) -> Self {
        let mut rooms = Self::default();
        for (variant, value) in values {
            *rooms.slot(variant) = Some(value);
        }
        rooms
    }
}
