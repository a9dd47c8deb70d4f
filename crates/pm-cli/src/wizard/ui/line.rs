//! A line that is being typed.

use unicode_width::{UnicodeWidthChar, UnicodeWidthStr};

use super::keys::Key;

/// A line, and where its cursor is.
#[derive(Debug, Default)]
pub(in crate::wizard) struct Line {
    chars: Vec<char>,
    at: usize,
    /// Was not taken as it is: the next character begins anew, any other key edits it.
    is_refused: bool,
}

impl Line {
    /// Does what a key asks for; returns whether it is one that edits.
    pub(in crate::wizard) fn press(&mut self, key: &Key) -> bool {
        if std::mem::take(&mut self.is_refused) && matches!(key, Key::Char(_) | Key::Paste(_)) {
            self.clear();
        }
        match key {
            Key::Char(c) => self.insert(*c),
            // A list that was copied from somewhere stands on several lines.
            Key::Paste(text) => text
                .trim()
                .replace("\r\n", "\n")
                .chars()
                .map(|c| if c.is_control() { ' ' } else { c })
                .for_each(|c| self.insert(c)),
            Key::Backspace if self.at > 0 => {
                self.at -= 1;
                self.chars.remove(self.at);
            }
            Key::Delete if self.at < self.chars.len() => {
                self.chars.remove(self.at);
            }
            Key::Left => self.at = self.at.saturating_sub(1),
            Key::Right => self.at = (self.at + 1).min(self.chars.len()),
            Key::Home => self.at = 0,
            Key::End => self.at = self.chars.len(),
            Key::Erase => self.clear(),
            Key::Backspace | Key::Delete => {}
            _ => return false,
        }
        true
    }

    fn insert(&mut self, c: char) {
        self.chars.insert(self.at, c);
        self.at += 1;
    }

    /// Keeps what was typed, for whoever wants to edit it.
    pub(in crate::wizard) fn refuse(&mut self) {
        self.is_refused = !self.is_empty();
        self.at = self.chars.len();
    }

    pub(in crate::wizard) fn is_refused(&self) -> bool {
        self.is_refused
    }

    pub(in crate::wizard) fn clear(&mut self) {
        self.chars.clear();
        self.at = 0;
        self.is_refused = false;
    }

    /// Returns a line that shows only how long it is.
    pub(in crate::wizard) fn masked(&self) -> Self {
        Self {
            chars: vec!['*'; self.chars.len()],
            ..*self
        }
    }

    pub(in crate::wizard) fn is_empty(&self) -> bool {
        self.chars.is_empty()
    }

    pub(in crate::wizard) fn text(&self) -> String {
        self.chars.iter().collect()
    }

    /// Returns the part around the cursor that fits `width` columns, and the column of the cursor in it.
    pub(in crate::wizard) fn window(&self, width: usize) -> (String, usize) {
        let wide = |c: &char| c.width().unwrap_or(0);
        let mut begin = self.at;
        let mut before = 0;
        // One column is the cursor's.
        while begin > 0 && before + wide(&self.chars[begin - 1]) < width {
            begin -= 1;
            before += wide(&self.chars[begin]);
        }
        let mut shown: String = self.chars[begin..self.at].iter().collect();
        for c in &self.chars[self.at..] {
            if shown.width() + wide(c) > width {
                break;
            }
            shown.push(*c);
        }
        (shown, before)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn typed(text: &str) -> Line {
        let mut line = Line::default();
        for c in text.chars() {
            line.press(&Key::Char(c));
        }
        line
    }

    #[test]
    fn a_masked_line_shows_only_how_long_it_is() {
        let mut line = typed("planted-密");
        line.press(&Key::Left);
        assert_eq!(line.masked().window(20), ("*********".to_owned(), 8));
        assert_eq!(line.text(), "planted-密");
    }

    #[test]
    fn a_line_is_edited_in_the_middle() {
        let mut line = typed("租户x甲");
        for key in [
            Key::Left,
            Key::Backspace,
            Key::Char('一'),
            Key::End,
            Key::Char('!'),
        ] {
            assert!(line.press(&key));
        }
        assert_eq!(line.text(), "租户一甲!");
        line.press(&Key::Home);
        line.press(&Key::Delete);
        line.press(&Key::Backspace);
        assert_eq!(line.text(), "户一甲!");
        assert!(!line.press(&Key::Enter));
        line.press(&Key::Erase);
        assert!(line.is_empty());
    }

    #[test]
    fn what_was_refused_is_edited_or_typed_anew() {
        let after = |keys: &[Key]| {
            let mut line = typed("80x");
            line.refuse();
            for key in keys {
                line.press(key);
            }
            line.text()
        };
        assert_eq!(after(&[]), "80x");
        assert_eq!(after(&[Key::Backspace]), "80");
        assert_eq!(after(&[Key::Left, Key::Char('0')]), "800x");
        assert_eq!(after(&[Key::Char('4'), Key::Char('3')]), "43");
        assert_eq!(after(&[Key::Paste("443".to_owned())]), "443");
    }

    #[test]
    fn a_pasted_list_becomes_one_line() {
        let mut line = Line::default();
        line.press(&Key::Paste("\n80\r\n443\t8080\r".to_owned()));
        assert_eq!(line.text(), "80 443 8080");
    }

    #[test]
    fn a_long_line_shows_where_the_cursor_is() {
        let mut line = typed("租户一二三四");
        assert_eq!(line.window(80), ("租户一二三四".to_owned(), 12));
        assert_eq!(line.window(6), ("三四".to_owned(), 4));
        line.press(&Key::Home);
        assert_eq!(line.window(5), ("租户".to_owned(), 0));
    }

    proptest! {
        #[test]
        fn a_window_fits_and_holds_the_cursor(text in "\\PC{0,40}", left in 0_usize..40, width in 1_usize..30) {
            let mut line = typed(&text);
            for _ in 0..left {
                line.press(&Key::Left);
            }
            let (shown, cursor) = line.window(width);
            prop_assert!(shown.width() <= width.max(2) + 1, "{:?}", shown);
            prop_assert!(cursor < width, "{} in {}", cursor, width);
        }
    }
}
