//! Secrets come from files or from standard input, never from the command line, which everybody on the host
//! can read.

use std::error::Error;
use std::fs::File;
use std::io::{self, BufRead, IsTerminal, Read, Write};
use std::path::Path;
use std::str::FromStr;

use anyhow::{Context, Result};
use console::Term;

use crate::language::tr;

/// The most that is read of a file or a line, in bytes: more than any secret has.
const MOST: u64 = 64 << 10;

/// Where the secrets of one command come from.
pub(crate) struct Secrets {
    input: Input,
}

enum Input {
    /// Somebody is asked; what he types is not shown.
    Terminal(Term),
    /// A line for each.
    Lines(Box<dyn BufRead>),
}

impl Secrets {
    /// Returns those of this process.
    pub(crate) fn of_process() -> Self {
        let input = if io::stdin().is_terminal() {
            Input::Terminal(Term::stderr())
        } else {
            Input::Lines(Box::new(io::stdin().lock()))
        };
        Self { input }
    }

    /// Returns those that come from `lines`.
    #[cfg(test)]
    pub(super) fn from_lines(lines: impl BufRead + 'static) -> Self {
        let input = Input::Lines(Box::new(lines));
        Self { input }
    }

    /// Reads what stands in a file; `-` is the next line of standard input. `what` names it.
    ///
    /// # Errors
    ///
    /// It cannot be read, or is none; what was read is not repeated.
    pub(super) fn read<T>(&mut self, path: &Path, what: &str) -> Result<T>
    where
        T: FromStr<Err: Error + Send + Sync + 'static>,
    {
        let (bytes, place) = if path == Path::new("-") {
            let place = tr!("standard input", "标准输入");
            (self.next(what), place)
        } else {
            let path_shown = path.display();
            (of_file(path), tr!("{path_shown}", " {path_shown} "))
        };
        let bytes = bytes.with_context(|| {
            tr!(
                "cannot read the {what} from {place}",
                "无法从{place}读取{what}"
            )
        })?;
        let unusable = || {
            tr!(
                "the {what} from {place} cannot be used",
                "{place}里的{what}不能使用"
            )
            .trim_start()
            .to_owned()
        };
        let text = String::from_utf8(bytes)
            .map_err(|_| anyhow::anyhow!(tr!("it is not UTF-8", "它不是 UTF-8")))
            .with_context(unusable)?;
        // What ends a file or a line is no part of it.
        let text = text.trim_end_matches(['\n', '\r']);
        text.parse().with_context(unusable)
    }

    fn next(&mut self, what: &str) -> io::Result<Vec<u8>> {
        match &mut self.input {
            Input::Terminal(term) => {
                let prompt = tr!("{what} (it is not shown): ", "{what}（输入时不显示）：");
                term.write_all(prompt.as_bytes())?;
                Ok(term.read_secure_line()?.into_bytes())
            }
            Input::Lines(lines) => {
                let mut line = Vec::new();
                lines.take(MOST).read_until(b'\n', &mut line)?;
                Ok(line)
            }
        }
    }
}

fn of_file(path: &Path) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    File::open(path)?.take(MOST).read_to_end(&mut bytes)?;
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;
    use pm_core::secret::Secret;

    #[test]
    fn each_dash_takes_a_line_and_a_file_is_taken_whole() {
        let mut secrets = Secrets::from_lines(io::Cursor::new("one\r\ntwo\nthree"));
        let mut next = || secrets.read::<Secret>(Path::new("-"), "secret");
        for wanted in ["one", "two", "three"] {
            assert_eq!(next().unwrap().expose(), wanted);
        }
        assert!(format!("{:#}", next().unwrap_err()).contains("empty"));
        let missing = secrets.read::<Secret>(Path::new("/nowhere/t"), "token");
        let missing = format!("{:#}", missing.unwrap_err());
        assert!(missing.starts_with("cannot read the token from /nowhere/t: "));
    }

    /// Fault 17 of the scripts pm replaces: secrets where others read them.
    #[test]
    fn what_is_refused_is_not_repeated() {
        for bytes in [
            &b"planted \xff"[..],
            b"planted\x07",
            b" planted",
            &[b'p'; 9_000],
        ] {
            let mut secrets = Secrets::from_lines(io::Cursor::new(bytes.to_vec()));
            let refused = secrets.read::<Secret>(Path::new("-"), "token");
            let said = format!("{:#} {0:?}", refused.unwrap_err());
            assert!(!said.contains("planted") && !said.contains("ppp"), "{said}");
        }
    }
}
