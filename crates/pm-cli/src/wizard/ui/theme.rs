//! How prompts look: dialoguer's themes, with colours where we know that the terminal has them.
//!
//! Keys are read by our own state machines. dialoguer counts characters where a terminal counts
//! columns, so that erasing a Chinese character leaves half of it; it ignores Ctrl-D, and has no
//! line mode.

use std::fmt;

use console::{Style, StyledObject};
use dialoguer::theme::{ColorfulTheme, Theme};

/// Returns the theme of a terminal with colours and signs beyond ASCII.
///
/// dialoguer would ask whether stderr is such a terminal; this speaks on stdout, and it was found
/// out already.
pub(super) fn rich() -> ColorfulTheme {
    let style = || Style::new().force_styling(true);
    let sign = |sign: &str, style: Style| -> StyledObject<String> { style.apply_to(sign.into()) };
    ColorfulTheme {
        // Cyan and yellow, which dialoguer takes, are next to invisible on white.
        defaults_style: style().bold(),
        prompt_style: style().bold(),
        prompt_prefix: sign("?", style().magenta()),
        prompt_suffix: sign("❯", style().green()),
        success_prefix: sign("✔", style().green()),
        success_suffix: sign("·", style().dim()),
        error_prefix: sign("✘", style().red()),
        error_style: style().red(),
        // Bright black, which dialoguer takes, is the background of some terminals.
        hint_style: style().dim(),
        values_style: style().bold(),
        active_item_style: style().bold(),
        inactive_item_style: Style::new(),
        active_item_prefix: sign("❯", style().green()),
        inactive_item_prefix: sign(" ", Style::new()),
        // Its own sign for what is not checked is in few fonts.
        checked_item_prefix: sign("[x]", style().green()),
        unchecked_item_prefix: sign("[ ]", Style::new()),
        picked_item_prefix: sign("❯", style().green()),
        unpicked_item_prefix: sign(" ", Style::new()),
    }
}

/// Returns what stands before something that is typed.
pub(super) fn line(theme: &impl Theme) -> String {
    formatted(|f| theme.format_input_prompt(f, "", None))
}

/// Returns something that can be chosen.
pub(super) fn item(theme: &impl Theme, text: &str, is_at: bool) -> String {
    formatted(|f| theme.format_select_prompt_item(f, text, is_at))
}

/// Returns something that can be ticked. What is pointed at is not only told by its colour.
pub(super) fn tickable(theme: &ColorfulTheme, text: &str, is_ticked: bool, is_at: bool) -> String {
    let ticked = formatted(|f| theme.format_multi_select_prompt_item(f, text, is_ticked, is_at));
    let pointer = match is_at {
        true => &theme.active_item_prefix,
        false => &theme.inactive_item_prefix,
    };
    format!("{pointer} {ticked}")
}

/// Returns a question with its answer, as it stays on the screen.
pub(super) fn answer(theme: &impl Theme, title: &str, answer: &str) -> String {
    formatted(|f| theme.format_input_prompt_selection(f, title, answer))
}

/// Returns what is wrong, line by line.
pub(super) fn error(theme: &ColorfulTheme, lines: &[String]) -> Vec<String> {
    let line = |(index, line): (usize, &String)| match index {
        0 => formatted(|f| theme.format_error(f, line)),
        _ => format!("  {}", theme.error_style.apply_to(line)),
    };
    lines.iter().enumerate().map(line).collect()
}

fn formatted(format: impl Fn(&mut dyn fmt::Write) -> fmt::Result) -> String {
    let mut text = String::new();
    // Writing to a String cannot fail.
    let _ = format(&mut text);
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use dialoguer::theme::SimpleTheme;

    fn without_colours(text: &str) -> String {
        console::strip_ansi_codes(text).into_owned()
    }

    #[test]
    fn everything_has_its_sign_beside_its_colour() {
        let theme = rich();
        assert_eq!(without_colours(&line(&theme)), "❯ ");
        let items = [
            item(&theme, "1. 添加", true),
            item(&theme, "1. 添加", false),
            tickable(&theme, "80", false, false),
            tickable(&theme, "80", true, false),
            tickable(&theme, "80", false, true),
            tickable(&theme, "80", true, true),
            answer(&theme, "配额", "5 GB"),
        ];
        let expected = [
            "❯ 1. 添加",
            "  1. 添加",
            "  [ ] 80",
            "  [x] 80",
            "❯ [ ] 80",
            "❯ [x] 80",
            "✔ 配额 · 5 GB",
        ];
        assert_eq!(items.map(|item| without_colours(&item)), expected);
        let lines = ["not a number,".to_owned(), "not at all".to_owned()];
        let wrong = error(&theme, &lines).join("\n");
        assert_eq!(without_colours(&wrong), "✘ not a number,\n  not at all");
        // Whether stderr is a terminal or not.
        assert!(wrong.contains("\u{1b}[31m"), "{wrong:?}");
        assert_eq!(item(&SimpleTheme, "1. 添加", false), "  1. 添加");
    }
}
