//! Words for a shell.

/// Returns a path as one word of a shell's.
pub(crate) fn quoted(path: &str) -> String {
    let is_plain = |c: char| c.is_ascii_alphanumeric() || "/._-+".contains(c);
    if path.chars().all(is_plain) {
        path.to_owned()
    } else {
        format!("'{}'", path.replace('\'', "'\\''"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_odd_path_is_one_word() {
        assert_eq!(quoted("/usr/local/bin/pm"), "/usr/local/bin/pm");
        assert_eq!(quoted("/opt/it's/pm"), "'/opt/it'\\''s/pm'");
    }
}
