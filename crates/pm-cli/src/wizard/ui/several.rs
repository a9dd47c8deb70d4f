//! Any number of things: ticked with arrows and space, or typed.

use std::collections::BTreeSet;

use super::keys::Key;
use super::line::Line;

/// How far a page goes.
const PAGE: usize = 10;

/// What a key does to it.
#[derive(Debug, Eq, PartialEq)]
pub(in crate::wizard) enum Step {
    /// It goes on.
    On,
    /// These were ticked, and this was typed.
    Done(BTreeSet<usize>, String),
}

/// A choice of several that is being made.
#[derive(Debug)]
pub(in crate::wizard) struct Several {
    count: usize,
    at: usize,
    ticked: BTreeSet<usize>,
    line: Line,
    /// Only one, and it needs no tick.
    is_single: bool,
}

impl Several {
    fn new(count: usize) -> Self {
        Self {
            count,
            at: 0,
            ticked: BTreeSet::new(),
            line: Line::default(),
            is_single: false,
        }
    }

    /// Returns a choice among `count` things, some of which are ticked already.
    pub(in crate::wizard) fn ticked(count: usize, ticked: BTreeSet<usize>) -> Self {
        Self {
            ticked,
            ..Self::new(count)
        }
    }

    /// Returns the choice of one.
    pub(in crate::wizard) fn one_of(count: usize) -> Self {
        Self {
            is_single: true,
            ..Self::new(count)
        }
    }

    pub(in crate::wizard) fn is_single(&self) -> bool {
        self.is_single
    }

    /// Goes on where it was, with what was typed refused.
    pub(in crate::wizard) fn resume(&mut self, ticked: BTreeSet<usize>) {
        self.ticked = ticked;
        self.line.refuse();
    }

    pub(in crate::wizard) fn at(&self) -> usize {
        self.at
    }

    pub(in crate::wizard) fn is_ticked(&self, index: usize) -> bool {
        self.ticked.contains(&index)
    }

    pub(in crate::wizard) fn line(&self) -> &Line {
        &self.line
    }

    pub(in crate::wizard) fn press(&mut self, key: &Key) -> Step {
        let last = self.count.saturating_sub(1);
        // Whoever goes on among the things has given up what he typed.
        if self.line.is_refused() && is_of_things(key) {
            self.line.clear();
        }
        match key {
            Key::Up => self.at = self.at.checked_sub(1).unwrap_or(last),
            Key::Down if self.at < last => self.at += 1,
            Key::Down => self.at = 0,
            Key::PageUp => self.at = self.at.saturating_sub(PAGE),
            Key::PageDown => self.at = (self.at + PAGE).min(last),
            // In what is typed, a space separates.
            Key::Char(' ' | '\u{3000}') if self.line.is_empty() => {
                if !self.is_single {
                    self.tick();
                }
            }
            Key::Enter if self.is_single && self.line.is_empty() && self.at < self.count => {
                return Step::Done([self.at].into(), String::new());
            }
            Key::Enter => return Step::Done(std::mem::take(&mut self.ticked), self.line.text()),
            key => {
                self.line.press(key);
            }
        }
        Step::On
    }

    fn tick(&mut self) {
        if self.at < self.count && !self.ticked.remove(&self.at) {
            self.ticked.insert(self.at);
        }
    }
}

/// Whether a key points or ticks, where nothing is typed.
fn is_of_things(key: &Key) -> bool {
    let keys = [Key::Up, Key::Down, Key::PageUp, Key::PageDown];
    keys.contains(key) || matches!(key, Key::Char(' ' | '\u{3000}'))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn after(count: usize, keys: &[Key]) -> Step {
        let mut several = Several::new(count);
        let mut step = Step::On;
        for key in keys {
            step = several.press(key);
        }
        step
    }

    #[test]
    fn what_was_refused_stays_until_something_else_is_done() {
        let after = |keys: &[Key]| {
            let mut several = Several::new(3);
            several.press(&Key::Paste("80x".to_owned()));
            several.press(&Key::Enter);
            several.resume([2].into());
            keys.iter().map(|key| several.press(key)).last().unwrap()
        };
        let done = |ticked: &[usize], typed: &str| {
            Step::Done(ticked.iter().copied().collect(), typed.to_owned())
        };
        assert_eq!(after(&[Key::Backspace, Key::Enter]), done(&[2], "80"));
        assert_eq!(after(&[Key::Char('9'), Key::Enter]), done(&[2], "9"));
        assert_eq!(after(&[Key::Char(' '), Key::Enter]), done(&[0, 2], ""));
        assert_eq!(after(&[Key::Up, Key::Enter]), done(&[2], ""));
    }

    #[test]
    fn things_are_ticked_and_typed() {
        let space = Key::Char(' ');
        let ticked = [
            space.clone(),
            Key::Down,
            Key::Down,
            space.clone(),
            Key::Enter,
        ];
        assert_eq!(after(3, &ticked), Step::Done([0, 2].into(), String::new()));
        let undone = [
            space.clone(),
            space.clone(),
            Key::Up,
            space.clone(),
            Key::Enter,
        ];
        assert_eq!(after(3, &undone), Step::Done([2].into(), String::new()));
        let paged = [
            Key::PageDown,
            space.clone(),
            Key::PageUp,
            Key::Down,
            space.clone(),
            Key::Enter,
        ];
        assert_eq!(after(30, &paged), Step::Done([1, 10].into(), String::new()));
        assert_eq!(after(3, &paged), Step::Done([1, 2].into(), String::new()));
        let one = |keys: &[Key]| {
            let mut several = Several::one_of(3);
            keys.iter().map(|key| several.press(key)).last().unwrap()
        };
        let pointed = [space.clone(), Key::Down, Key::Enter];
        assert_eq!(one(&pointed), Step::Done([1].into(), String::new()));
        let typed = [Key::Char('3'), Key::Enter];
        assert_eq!(one(&typed), Step::Done([].into(), "3".to_owned()));
        let typed = [Key::Char('8'), space.clone(), Key::Char('9'), Key::Enter];
        assert_eq!(after(3, &typed), Step::Done([].into(), "8 9".to_owned()));
        assert_eq!(
            after(0, &[space, Key::Down, Key::Enter]),
            Step::Done([].into(), String::new())
        );
    }
}
