//! What cron is told, where there is no systemd.
//!
//! Programs are named by their whole path: cron's own `PATH` may be short, or none.

use crate::seal::sealed;
use crate::shell::quoted;

/// The file for a cron that reads `/etc/cron.d`. Names with a dot would be ignored there.
pub const FILE: &str = "/etc/cron.d/port_monitor";

/// How a line of pm's in root's crontab ends; the shell that runs it takes it for a comment. A line belongs to pm if
/// it ends in exactly this, and is left alone otherwise, whatever it says of pm.
pub const END_OF_LINE: &str = " # written by `pm setup`, removed by `pm uninstall`";

/// Returns the file for `/etc/cron.d`. `at_boot`: nothing else calls pm then.
pub fn file(pm: &str, at_boot: bool) -> String {
    let pm = escaped(pm);
    let mut body = format!("* * * * * root {pm} monitor --log-to-file\n");
    if at_boot {
        body.push_str(&format!("@reboot root {pm} restore --boot --log-to-file\n"));
    }
    sealed("", "#", &body)
}

/// Returns the line for root's crontab, without an end of line.
pub fn line(pm: &str) -> String {
    let pm = escaped(pm);
    format!("* * * * * {pm} monitor --log-to-file{END_OF_LINE}")
}

/// Returns the crontab `text` with `line` as pm's only line in it, or with none. Everything else stays to the byte, in
/// whatever encoding it is.
///
/// # Examples
///
/// ```
/// use pm_setup::cron::{END_OF_LINE, with};
///
/// let theirs = b"0 4 * * * /usr/local/bin/pm --monitor\n";
/// let ours = format!("* * * * * /usr/local/bin/pm monitor{END_OF_LINE}");
/// let both = with(theirs, Some(&ours));
/// assert!(both.starts_with(theirs) && both.ends_with(b"\n"));
/// assert_eq!(with(&both, None), theirs);
/// ```
pub fn with(text: &[u8], line: Option<&str>) -> Vec<u8> {
    let mut result = Vec::new();
    let mut line = line;
    for existing in text.split_inclusive(|&byte| byte == b'\n') {
        if !is_ours(existing) {
            result.extend_from_slice(existing);
        } else if let Some(line) = line.take() {
            // In its old place, so that a renewal moves nothing.
            add(&mut result, line);
        }
    }
    if let Some(line) = line {
        add(&mut result, line);
    }
    result
}

/// Returns the crontab `text` without pm's line. `was_unended`: its last line had no end before pm's came after it,
/// and gets none, unless somebody has written more since.
///
/// # Examples
///
/// ```
/// use pm_setup::cron::{END_OF_LINE, with, without};
///
/// let ours = format!("* * * * * /usr/local/bin/pm monitor{END_OF_LINE}");
/// assert_eq!(without(&with(b"@daily a", Some(&ours)), true), b"@daily a");
/// ```
pub fn without(text: &[u8], was_unended: bool) -> Vec<u8> {
    let last = text.split_inclusive(|&byte| byte == b'\n').next_back();
    let mut left = with(text, None);
    if was_unended && last.is_some_and(is_ours) && left.last() == Some(&b'\n') {
        left.pop();
    }
    left
}

/// Whether the last line of a crontab has no end.
pub(crate) fn is_unended(text: &[u8]) -> bool {
    text.last().is_some_and(|&byte| byte != b'\n')
}

fn add(text: &mut Vec<u8>, line: &str) {
    if is_unended(text) {
        text.push(b'\n');
    }
    text.extend_from_slice(line.as_bytes());
    text.push(b'\n');
}

/// Whether a line of a crontab is pm's, also where somebody has edited the file on Windows since.
pub fn is_ours(line: &[u8]) -> bool {
    let line = line.strip_suffix(b"\n").unwrap_or(line);
    let line = line.strip_suffix(b"\r").unwrap_or(line);
    line.ends_with(END_OF_LINE.as_bytes())
}

/// Returns a path as cron and its shell take it: a per cent sign would be the end of the line.
///
/// Source: crontab(5).
pub(crate) fn escaped(path: &str) -> String {
    quoted(path).replace('%', "\\%")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn edited(text: &str, line: Option<&str>) -> String {
        String::from_utf8(with(text.as_bytes(), line)).unwrap()
    }

    /// Fault 16 of the tools that pm's users come from: uninstall deletes every line with "pm" in it.
    #[test]
    fn foreign_lines_stay_whatever_they_say() {
        let foreign = "# pm setup\n* * * * * /usr/local/bin/pm --monitor\n\
                       5 4 * * * npm run pm # written by `pm setup`\n@daily pm2 save";
        let ours = line("/usr/local/bin/pm");
        let both = edited(foreign, Some(&ours));
        assert_eq!(both, format!("{foreign}\n{ours}\n"));
        assert_eq!(without(both.as_bytes(), true), foreign.as_bytes());
    }

    #[test]
    fn a_line_that_had_no_end_gets_none_unless_another_came_after_it() {
        let ours = line("/usr/local/bin/pm");
        for foreign in ["", "a", "a\n", "a\nb", "\n", "a\r\nb\r\n"] {
            let both = with(foreign.as_bytes(), Some(&ours));
            let left = without(&both, is_unended(foreign.as_bytes()));
            assert_eq!(left, foreign.as_bytes(), "{foreign:?}");
        }
        let more = [&with(b"a", Some(&ours)), &b"b\n"[..]].concat();
        assert_eq!(without(&more, true), b"a\nb\n");
    }

    #[test]
    fn a_line_with_an_end_of_windows_is_still_the_same() {
        let ours = line("/usr/local/bin/pm");
        let text = format!("a\r\n{ours}\r\n");
        assert_eq!(edited(&text, None), "a\r\n");
        assert_eq!(edited(&text, Some(&ours)), format!("a\r\n{ours}\n"));
    }

    #[test]
    fn a_comment_in_another_encoding_stays_to_the_byte() {
        // "流量" in GBK.
        let foreign = b"# \xc1\xf7\xc1\xbf\n0 4 * * * /opt/backup\n";
        let both = with(foreign, Some(&line("/usr/local/bin/pm")));
        assert!(both.starts_with(foreign));
        assert_eq!(with(&both, None), foreign);
    }

    #[test]
    fn a_renewed_line_stays_where_it_was_and_alone() {
        let old = line("/usr/bin/pm");
        let new = line("/usr/local/bin/pm");
        let text = format!("a\n{old}\nb\n{old}\n");
        assert_eq!(edited(&text, Some(&new)), format!("a\n{new}\nb\n"));
        assert_eq!(edited(&format!("{new}\n"), Some(&new)), format!("{new}\n"));
    }

    #[test]
    fn an_odd_path_is_one_word() {
        assert_eq!(escaped("/usr/local/bin/pm"), "/usr/local/bin/pm");
        assert_eq!(escaped("/opt/a b/100%/pm"), "'/opt/a b/100\\%/pm'");
    }

    #[test]
    fn the_file_says_what_to_call_and_when() {
        insta::assert_snapshot!(file("/usr/local/bin/pm", true));
    }
}
