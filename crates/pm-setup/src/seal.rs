//! The line by which pm knows a file that it wrote, and whether somebody has edited it since.
//!
//! The seal is a checksum of everything else in the file. It guards against accidents, not against an attacker: who
//! can write to these files is root.

/// What the line says before the seal.
const BEFORE: &str = "Written by `pm setup` (seal ";
/// What it says after it.
const AFTER: &str = "): it renews this file, and `pm uninstall` removes it.";

/// How far down the line may be: below `#!/bin/sh` or `#compdef pm`, which must come first.
const FIRST_LINES: usize = 3;

/// Whose a file is.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Author {
    /// pm wrote all of it.
    Pm,
    /// pm wrote it, and somebody has edited it.
    Edited,
    /// Somebody else.
    Other,
}

/// Returns `head`, the seal's line behind `comment`, then `body`.
///
/// # Examples
///
/// ```
/// use pm_setup::seal::{Author, author, sealed};
///
/// let text = sealed("#!/bin/sh\n", "#", "echo hello\n");
/// assert_eq!(author(&text), Author::Pm);
/// assert_eq!(author(&text.replace("hello", "bye")), Author::Edited);
/// assert_eq!(author("#!/bin/sh\necho hello\n"), Author::Other);
/// ```
pub fn sealed(head: &str, comment: &str, body: &str) -> String {
    let seal = checksum(&[head, comment, body]);
    format!("{head}{comment} {BEFORE}{seal:016x}{AFTER}\n{body}")
}

/// Returns whose `text` is.
pub fn author(text: &str) -> Author {
    let mut head = 0;
    for line in text.split_inclusive('\n').take(FIRST_LINES) {
        if let Some((comment, seal)) = parse(line) {
            let body = &text[head + line.len()..];
            let is_whole = seal == Some(checksum(&[&text[..head], comment, body]));
            return if is_whole { Author::Pm } else { Author::Edited };
        }
        head += line.len();
    }
    Author::Other
}

/// Returns what stands before the seal in its line, and the seal, unless that is not one any more.
fn parse(line: &str) -> Option<(&str, Option<u64>)> {
    let (comment, rest) = line.split_once(BEFORE)?;
    let seal = rest
        .trim_end_matches('\n')
        .strip_suffix(AFTER)
        .filter(|seal| seal.len() == 16)
        .and_then(|seal| u64::from_str_radix(seal, 16).ok());
    Some((comment.trim_end_matches(' '), seal))
}

/// FNV-1a, with a byte between the parts that no text has.
fn checksum(parts: &[&str]) -> u64 {
    let bytes = parts.iter().flat_map(|part| part.bytes().chain([0xff]));
    bytes.fold(0xcbf2_9ce4_8422_2325, |hash, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_edit_anywhere_is_seen() {
        let text = sealed("#!/bin/sh\n", "#", "one\ntwo\n");
        assert_eq!(author(&text), Author::Pm);
        for edited in [
            text.replace("one", "One"),
            text.replace("#!/bin/sh", "#!/bin/bash"),
            format!("{text}\n"),
            text.replace("seal ", "seal 0"),
            text.replace("renews", "keeps"),
        ] {
            assert_eq!(author(&edited), Author::Edited, "{edited}");
        }
    }

    #[test]
    fn a_file_that_only_speaks_of_pm_is_somebody_elses() {
        for text in [
            "",
            "# pm setup\n",
            "\n\n\n# Written by `pm setup` (seal 0)\n",
        ] {
            assert_eq!(author(text), Author::Other, "{text}");
        }
    }

    #[test]
    fn the_comment_of_a_man_page_is_one() {
        let text = sealed("", ".\\\"", ".TH pm 1\n");
        assert!(text.starts_with(".\\\" Written by"));
        assert_eq!(author(&text), Author::Pm);
    }
}
