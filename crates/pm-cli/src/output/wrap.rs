//! Text in lines of a terminal.

use unicode_width::{UnicodeWidthChar, UnicodeWidthStr};

/// Returns the lines of a text, each at most `width` columns where the text can be broken: at a
/// space, and beside a Chinese character, unless that is in square brackets or in code, or
/// punctuation that ends something would begin a line.
pub(crate) fn wrap(text: &str, width: usize) -> Vec<String> {
    let mut lines = Vec::new();
    for paragraph in text.split('\n') {
        let mut line = String::new();
        for piece in pieces(paragraph) {
            if !line.is_empty() && line.width() + piece.trim_end().width() > width {
                lines.push(line.trim_end().to_owned());
                line.clear();
            }
            if !line.is_empty() || !piece.trim().is_empty() {
                line.push_str(piece);
            }
        }
        lines.push(line.trim_end().to_owned());
    }
    lines
}

/// Returns the rows and columns of stdout's terminal; `None`: it is none.
pub(crate) fn terminal() -> Option<(u16, u16)> {
    let terminal = console::Term::stdout();
    terminal.size_checked().filter(|_| terminal.is_term())
}

/// Returns a line in lines of stdout's terminal, those after the first further in: as far as it is
/// itself, or `indent` columns.
pub(crate) fn hanging(line: &str, indent: usize) -> String {
    match terminal() {
        Some((_, columns)) => hung(line, columns.into(), indent),
        None => line.to_owned(),
    }
}

fn hung(line: &str, width: usize, indent: usize) -> String {
    let text = line.trim_start_matches(' ');
    let own = line.len() - text.len();
    let indent = if own > 0 { own } else { indent };
    // Where nothing is left for the text, the terminal may break it as it likes.
    if line.width() <= width || width < 2 * indent {
        return line.to_owned();
    }
    let lines = wrap(text, width - indent);
    let spaces = " ".repeat(indent);
    let first = " ".repeat(own);
    first + &lines.join(&format!("\n{spaces}"))
}

/// Returns the parts of a text that stay together, each with the spaces behind it.
fn pieces(text: &str) -> Vec<&str> {
    let mut pieces = Vec::new();
    let mut start = 0;
    let mut chars = text.char_indices().peekable();
    let (mut is_in_brackets, mut is_in_code) = (false, false);
    while let Some((_, c)) = chars.next() {
        is_in_brackets = (is_in_brackets || c == '[') && c != ']';
        is_in_code ^= c == '`';
        let Some(&(end, next)) = chars.peek() else {
            break;
        };
        let wide = |c: char| c.width() == Some(2);
        let is_break = match (c, next) {
            (_, ' ') => false,
            (' ', _) => true,
            _ if is_in_brackets || is_in_code => false,
            (c, next) => (wide(c) || wide(next)) && !opens(c) && !closes(next),
        };
        if is_break && let Some(piece) = text.get(start..end) {
            pieces.push(piece);
            start = end;
        }
    }
    pieces.extend(text.get(start..));
    pieces
}

fn opens(c: char) -> bool {
    "（「《“[(".contains(c)
}

fn closes(c: char) -> bool {
    "，。；：、！？）」》”…]),.;:".contains(c)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn chinese_is_broken_between_characters_and_english_between_words() {
        assert_eq!(wrap("one two three", 8), ["one two", "three"]);
        assert_eq!(wrap("统计端口流量", 8), ["统计端口", "流量"]);
        assert_eq!(wrap("统计端口，流量", 8), ["统计端", "口，流量"]);
        assert_eq!(wrap("用 `pm list` 显示", 10), ["用 `pm", "list` 显示"]);
        assert_eq!(
            wrap("写成：`名称`（组名）", 8),
            ["写成：", "`名称`", "（组名）"]
        );
        assert_eq!(wrap("大小 [默认：无]", 10), ["大小", "[默认：无]"]);
        assert_eq!(wrap("unbreakable", 4), ["unbreakable"]);
        assert_eq!(wrap("a\n\nb", 4), ["a", "", "b"]);
        assert_eq!(wrap("", 4), [""]);
    }

    #[test]
    fn a_line_hangs_where_it_begins() {
        assert_eq!(
            hung("失败 限速：没有接口", 18, 5),
            "失败 限速：没\n     有接口"
        );
        assert_eq!(hung("  why: one two", 9, 5), "  why:\n  one two");
        assert_eq!(hung("ok", 9, 5), "ok");
    }

    proptest! {
        #[test]
        fn nothing_is_lost_but_spaces(text in "[a-c端口，。（） ]{0,40}", width in 4_usize..20) {
            let lines = wrap(&text, width);
            let letters = |text: &str| text.replace(' ', "");
            prop_assert_eq!(letters(&lines.concat()), letters(&text));
            for line in &lines {
                let whole = pieces(line).len() == 1;
                prop_assert!(line.width() <= width || whole, "{}", line);
            }
        }
    }
}
