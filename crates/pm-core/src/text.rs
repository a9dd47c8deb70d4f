//! Texts of others, as they may be shown.

/// Returns a text on one line: without control characters, and without those that turn the
/// direction of what follows them.
///
/// # Examples
///
/// ```
/// use pm_core::text::one_line;
///
/// assert_eq!(one_line(" a\tb\n\u{202e}c "), "a b c");
/// ```
pub fn one_line(text: &str) -> String {
    let visible: String = text
        .chars()
        .map(|char| if is_hidden(char) { ' ' } else { char })
        .collect();
    visible.split_whitespace().collect::<Vec<_>>().join(" ")
}

fn is_hidden(char: char) -> bool {
    let is_bidi = matches!(
        char,
        '\u{61c}' | '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}'
    );
    char.is_control() || is_bidi
}
