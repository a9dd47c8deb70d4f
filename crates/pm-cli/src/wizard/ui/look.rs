//! How things look: in colour or not, with signs beyond ASCII or not.

use console::Style;
use unicode_width::{UnicodeWidthChar, UnicodeWidthStr};

use crate::output::wrap;

/// What the terminal can show.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(in crate::wizard) struct Look {
    /// Colours, signs beyond ASCII, a cursor that moves. Otherwise nothing but lines.
    pub(in crate::wizard) rich: bool,
}

/// What a text is to say by its colour.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub(in crate::wizard) enum Paint {
    #[default]
    Plain,
    Bold,
    Dim,
    Good,
    Warn,
    Bad,
}

impl Look {
    /// Returns how to show things to this environment; `environment` looks a variable up.
    pub(in crate::wizard) fn of(environment: impl Fn(&str) -> Option<String>) -> Self {
        let set = |name: &str| environment(name).filter(|value| !value.is_empty());
        let utf8 = crate::language::is_utf8(&environment);
        let moves = set("TERM").is_some_and(|term| term != "dumb");
        // An empty NO_COLOR counts as none (no-color.org).
        Self {
            rich: utf8 && moves && set("NO_COLOR").is_none(),
        }
    }

    pub(in crate::wizard) fn paint(self, text: &str, paint: Paint) -> String {
        let style = Style::new().force_styling(self.rich);
        let style = match paint {
            Paint::Plain => return text.to_owned(),
            Paint::Bold => style.bold(),
            Paint::Dim => style.dim(),
            Paint::Good => style.green(),
            // Yellow is next to invisible on white.
            Paint::Warn => style.magenta(),
            Paint::Bad => style.red(),
        };
        style.apply_to(text).to_string()
    }

    /// Returns `rich`, or `ascii` where that cannot be shown.
    pub(in crate::wizard) fn sign(self, rich: &'static str, ascii: &'static str) -> &'static str {
        if self.rich { rich } else { ascii }
    }
}

/// Returns a text as lines of at most `width` columns, whatever that breaks.
pub(in crate::wizard) fn wrap(text: &str, width: usize) -> Vec<String> {
    let width = width.max(2);
    let lines = text.lines().flat_map(|line| wrap::wrap(line, width));
    lines.flat_map(|line| broken(line, width)).collect()
}

/// Returns a line that cannot end anywhere else in as many as it takes.
fn broken(line: String, width: usize) -> Vec<String> {
    if line.width() <= width {
        return vec![line];
    }
    let mut lines = vec![String::new()];
    let mut room = width;
    for c in line.chars() {
        let taken = c.width().unwrap_or(0);
        if taken > room {
            lines.push(String::new());
            room = width;
        }
        room -= taken;
        lines.last_mut().into_iter().for_each(|line| line.push(c));
    }
    lines
}

/// The same of one line, whose first spaces all its lines begin with.
pub(in crate::wizard) fn wrap_indented(line: &str, width: usize) -> Vec<String> {
    let text = line.trim_start_matches(' ');
    let indent = &line[..line.len() - text.len()];
    let lines = wrap(text, width.saturating_sub(indent.len()));
    match lines.is_empty() {
        true => vec![String::new()],
        false => lines.iter().map(|line| format!("{indent}{line}")).collect(),
    }
}

/// Returns a text that takes exactly `width` columns, cut short or filled up.
pub(in crate::wizard) fn fit(text: &str, width: usize, look: Look) -> String {
    let cut = console::truncate_str(text, width, look.sign("…", "~")).into_owned();
    let fill = width.saturating_sub(cut.width());
    cut + &" ".repeat(fill)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn only_a_terminal_that_can_is_painted() {
        let look = |set: &[(&str, &str)]| {
            let found = |name: &str| {
                let found = set.iter().find(|(key, _)| *key == name);
                found.map(|(_, value)| (*value).to_owned())
            };
            Look::of(found).rich
        };
        let (term, lang) = (("TERM", "xterm"), ("LANG", "zh_CN.UTF-8"));
        assert!(look(&[term, lang]));
        assert!(look(&[term, lang, ("NO_COLOR", "")]));
        assert!(look(&[term, ("LANG", "C"), ("LC_ALL", "C.utf8")]));
        assert!(!look(&[term, lang, ("NO_COLOR", "1")]));
        assert!(!look(&[term, lang, ("LC_ALL", "C")]));
        assert!(!look(&[("TERM", "dumb"), lang]));
        assert!(!look(&[lang]));
        assert!(!look(&[term]));
    }

    #[test]
    fn lines_end_where_a_reader_expects() {
        assert_eq!(wrap("one two three", 8), ["one two", "three"]);
        assert_eq!(
            wrap("配额用尽，立即阻断。", 8),
            ["配额用", "尽，立即", "阻断。"]
        );
        assert_eq!(wrap("(用 `pm list`)", 12), ["(用 `pm", "list`)"]);
        assert_eq!(wrap("看`pm列表`的(说明)", 10), ["看`pm列表`", "的(说明)"]);
        assert_eq!(wrap("aaaaaaaaaa", 4), ["aaaa", "aaaa", "aa"]);
        assert_eq!(wrap("", 4), [""; 0]);
        assert_eq!(
            wrap_indented("  one two three", 9),
            ["  one two", "  three"]
        );
        assert_eq!(wrap_indented("", 9), [""]);
    }

    proptest! {
        #[test]
        fn a_wrapped_text_fits_and_loses_nothing(text in "[a-z 租户，]{0,60}", width in 4_usize..40) {
            let lines = wrap(&text, width);
            for line in &lines {
                prop_assert!(line.width() <= width, "{:?} in {}", line, width);
            }
            let letters = |text: &str| text.chars().filter(|c| *c != ' ').collect::<String>();
            prop_assert_eq!(letters(&lines.concat()), letters(&text));
        }

        #[test]
        fn a_fitted_text_takes_its_columns(text in "[a-z 租户🐙]{0,20}", width in 1_usize..30) {
            for rich in [false, true] {
                prop_assert_eq!(fit(&text, width, Look { rich }).width(), width);
            }
        }
    }
}
