//! The formula by which usage is taken over from a tool that adds up what its counters grow by.

/// Returns the bytes of one direction: what was added up, and what the counter shows on top of
/// where it was looked at last.
///
/// A counter that shows less was made anew since, and all it shows is on top. `None` for one that
/// is gone: nothing is on top.
///
/// # Examples
///
/// ```
/// use pm_legacy::counted_since;
///
/// assert_eq!(counted_since(1_000, 70, Some(90)), 1_020);
/// assert_eq!(counted_since(1_000, 70, Some(30)), 1_030);
/// assert_eq!(counted_since(1_000, 70, None), 1_000);
/// ```
pub fn counted_since(added_up: u64, looked_at: u64, shows: Option<u64>) -> u64 {
    let shows = shows.unwrap_or(looked_at);
    let on_top = shows.checked_sub(looked_at).unwrap_or(shows);
    added_up.saturating_add(on_top)
}
