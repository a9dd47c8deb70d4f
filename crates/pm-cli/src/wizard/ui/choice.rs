//! One of several numbered things: its number typed, or arrows, then Enter.

use super::keys::Key;
use crate::wizard::text::tidy;

/// What a key does to a choice.
#[derive(Debug, Eq, PartialEq)]
pub(in crate::wizard) enum Step {
    /// It goes on.
    On,
    /// The entry at this index.
    Picked(usize),
    /// Enter, and nothing was typed or pointed at.
    Empty,
    /// This was typed, and it is no number of an entry.
    Unknown(String),
}

/// A choice that is being made.
#[derive(Debug)]
pub(in crate::wizard) struct Choice {
    numbers: Vec<usize>,
    /// How many entries stand side by side.
    columns: usize,
    at: Option<usize>,
    typed: String,
}

impl Choice {
    /// Returns the choice among entries with these numbers, `columns` in a line.
    pub(in crate::wizard) fn new(numbers: Vec<usize>, columns: usize) -> Self {
        Self {
            numbers,
            columns: columns.max(1),
            at: None,
            typed: String::new(),
        }
    }

    /// Puts so many entries in a line from now on.
    pub(in crate::wizard) fn arrange(&mut self, columns: usize) {
        self.columns = columns.max(1);
    }

    /// Returns the entry that is pointed at.
    pub(in crate::wizard) fn at(&self) -> Option<usize> {
        self.at
    }

    /// Returns what was typed.
    pub(in crate::wizard) fn typed(&self) -> &str {
        &self.typed
    }

    pub(in crate::wizard) fn press(&mut self, key: &Key) -> Step {
        let last = self.numbers.len().saturating_sub(1);
        let columns = self.columns;
        match key {
            Key::Char(c) if self.typed.len() < 20 => self.write(&c.to_string()),
            Key::Paste(text) if text.len() < 20 => self.write(text),
            Key::Backspace => {
                self.typed.pop();
                self.at = self.find(&self.typed);
            }
            Key::Erase => self.point(None),
            Key::Up => self.point(Some(match self.at {
                Some(at) if at >= columns => at - columns,
                // To the last line that reaches as far.
                Some(at) => at + last.saturating_sub(at) / columns * columns,
                None => last,
            })),
            Key::Down => self.point(Some(match self.at {
                Some(at) if at == last => 0,
                Some(at) => (at + columns).min(last),
                None => 0,
            })),
            Key::Left => self.point(Some(match self.at {
                Some(0) | None => last,
                Some(at) => at - 1,
            })),
            Key::Right => self.point(Some(match self.at {
                Some(at) if at < last => at + 1,
                _ => 0,
            })),
            Key::Home => self.point(Some(0)),
            Key::End => self.point(Some(last)),
            Key::Enter => return self.enter(),
            _ => {}
        }
        Step::On
    }

    fn write(&mut self, text: &str) {
        self.typed.push_str(&tidy(text));
        self.at = self.find(&self.typed);
    }

    fn point(&mut self, at: Option<usize>) {
        self.typed.clear();
        self.at = at.filter(|at| *at < self.numbers.len());
    }

    fn enter(&mut self) -> Step {
        let typed = std::mem::take(&mut self.typed);
        match self.at.take() {
            Some(at) => Step::Picked(at),
            None if typed.is_empty() => Step::Empty,
            None => Step::Unknown(typed),
        }
    }

    /// Returns which entry has a number, as it is typed.
    pub(in crate::wizard) fn find(&self, typed: &str) -> Option<usize> {
        let typed = typed.trim_end_matches(['.', ')']);
        let is_number = !typed.is_empty() && typed.bytes().all(|byte| byte.is_ascii_digit());
        let number: usize = is_number.then(|| typed.parse().ok()).flatten()?;
        self.numbers.iter().position(|of| *of == number)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const NUMBERS: [usize; 6] = [1, 2, 3, 10, 11, 0];

    fn after(keys: &[Key]) -> (Choice, Step) {
        let mut choice = Choice::new(NUMBERS.to_vec(), 2);
        let mut step = Step::On;
        for key in keys {
            step = choice.press(key);
        }
        (choice, step)
    }

    fn typed(text: &str) -> Step {
        let mut keys: Vec<Key> = text.chars().map(Key::Char).collect();
        keys.push(Key::Enter);
        after(&keys).1
    }

    #[test]
    fn a_number_is_typed() {
        for (text, step) in [
            ("1", Step::Picked(0)),
            ("10", Step::Picked(3)),
            ("１１", Step::Picked(4)),
            (" 0 ", Step::Picked(5)),
            ("3.", Step::Picked(2)),
            ("01", Step::Picked(0)),
            ("", Step::Empty),
            ("9", Step::Unknown("9".to_owned())),
            ("+1", Step::Unknown("+1".to_owned())),
            ("x", Step::Unknown("x".to_owned())),
        ] {
            assert_eq!(typed(text), step, "{text:?}");
        }
    }

    #[test]
    fn a_wrong_key_is_taken_back() {
        let keys = [Key::Char('9'), Key::Backspace, Key::Char('2'), Key::Enter];
        assert_eq!(after(&keys).1, Step::Picked(1));
        let keys = [Key::Char('9'), Key::Erase, Key::Enter];
        assert_eq!(after(&keys).1, Step::Empty);
    }

    #[test]
    fn arrows_go_through_lines_and_columns() {
        for (keys, at) in [
            (&[Key::Down][..], 0),
            (&[Key::Down, Key::Down], 2),
            (&[Key::Down, Key::Right, Key::Down], 3),
            (&[Key::Up], 5),
            (&[Key::Up, Key::Up], 3),
            (&[Key::Down, Key::Up], 4),
            (&[Key::Right, Key::Right, Key::Up], 5),
            (&[Key::Up, Key::Down], 0),
            (&[Key::End, Key::Right], 0),
            (&[Key::Home, Key::Left], 5),
            (&[Key::Char('2'), Key::Down], 3),
        ] {
            let (mut choice, _) = after(keys);
            assert_eq!(choice.at(), Some(at), "{keys:?}");
            assert_eq!(choice.press(&Key::Enter), Step::Picked(at), "{keys:?}");
        }
    }

    fn any_key() -> impl Strategy<Value = Key> {
        prop_oneof![
            any::<char>().prop_map(Key::Char),
            (0_u8..10).prop_map(|digit| Key::Char((b'0' + digit).into())),
            "\\PC{0,30}".prop_map(Key::Paste),
            prop::sample::select(vec![
                Key::Up,
                Key::Down,
                Key::Left,
                Key::Right,
                Key::Home,
                Key::End,
                Key::Backspace,
                Key::Erase,
                Key::Enter,
                Key::Escape,
                Key::Other,
            ]),
        ]
    }

    proptest! {
        #[test]
        fn only_what_is_there_is_pointed_at(
            keys in prop::collection::vec(any_key(), 0..30), count in 0_usize..8, columns in 0_usize..5
        ) {
            let mut choice = Choice::new((1..=count).collect(), columns);
            for key in keys {
                if let Step::Picked(at) = choice.press(&key) {
                    prop_assert!(at < count);
                }
                prop_assert!(choice.at().is_none_or(|at| at < count));
            }
        }
    }
}
