//! The log of a host without a journal: a file of lines, each with its instant, and some older ones.

use std::fs::{self, File, OpenOptions};
use std::io::{self, ErrorKind, Read, Seek, SeekFrom, Write};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use time::OffsetDateTime;
use time::macros::format_description;

use crate::files::{self, gone_is_fine};
use crate::paths::Paths;

/// How large the file becomes before it is renamed.
const MAX_BYTES: u64 = 1 << 20;

/// How many renamed ones are kept.
const KEPT: u32 = 3;

/// The log in a directory.
#[derive(Clone, Debug)]
pub struct LogFile {
    directory: PathBuf,
}

/// A place in the log, for whoever waits for more of it.
#[derive(Debug)]
pub struct Tail {
    log: LogFile,
    file: Option<File>,
    /// What of a line has been written so far.
    partial: String,
}

impl Default for LogFile {
    fn default() -> Self {
        Self::in_directory(Paths::LOG_DIR)
    }
}

impl LogFile {
    /// Returns the one in `directory`, which need not exist.
    pub fn in_directory(directory: impl Into<PathBuf>) -> Self {
        Self {
            directory: directory.into(),
        }
    }

    /// Returns the file that is written to.
    pub fn path(&self) -> PathBuf {
        self.directory.join("pm.log")
    }

    fn older(&self, number: u32) -> PathBuf {
        self.directory.join(format!("pm.log.{number}"))
    }

    /// Adds the lines of `text`, with `now` before each.
    ///
    /// Two processes may do so at once: each line stays whole, and at worst a file is renamed a line late.
    ///
    /// # Errors
    ///
    /// As the system says.
    pub fn append(&self, now: OffsetDateTime, text: &str) -> io::Result<()> {
        let format = format_description!("[year]-[month]-[day]T[hour]:[minute]:[second]Z");
        let now = now.to_offset(time::UtcOffset::UTC).format(&format);
        let now = now.map_err(io::Error::other)?;
        let lines: String = text.lines().map(|line| format!("{now} {line}\n")).collect();
        files::create_private_dir(&self.directory).map_err(io::Error::other)?;
        self.make_room()?;
        let mut file = OpenOptions::new()
            .append(true)
            .create(true)
            .mode(0o600)
            .open(self.path())?;
        file.write_all(lines.as_bytes())
    }

    fn make_room(&self) -> io::Result<()> {
        match fs::metadata(self.path()) {
            Ok(found) if found.len() >= MAX_BYTES => {}
            _ => return Ok(()),
        }
        for number in (1..KEPT).rev() {
            gone_is_fine(fs::rename(self.older(number), self.older(number + 1)))?;
        }
        gone_is_fine(fs::rename(self.path(), self.older(1)))
    }

    /// Returns the last `most` lines, the oldest first, and the place after them.
    ///
    /// # Errors
    ///
    /// As the system says; a log that was never written to is empty.
    pub fn last(&self, most: usize) -> io::Result<(Vec<String>, Tail)> {
        let mut tail = Tail {
            log: self.clone(),
            file: None,
            partial: String::new(),
        };
        let mut lines = tail.more()?;
        for number in 1..=KEPT {
            if lines.len() >= most {
                break;
            }
            let mut older = read_lines(&self.older(number))?;
            older.append(&mut lines);
            lines = older;
        }
        lines.drain(..lines.len().saturating_sub(most));
        Ok((lines, tail))
    }
}

impl Tail {
    /// Returns the lines that were added since the last call, also where the file was renamed meanwhile.
    ///
    /// # Errors
    ///
    /// As the system says.
    pub fn more(&mut self) -> io::Result<Vec<String>> {
        let mut text = std::mem::take(&mut self.partial);
        if let Some(file) = &mut self.file {
            read_on(file, &mut text)?;
        }
        if !self.is_current()? {
            match File::open(self.log.path()) {
                Ok(mut file) => {
                    read_on(&mut file, &mut text)?;
                    self.file = Some(file);
                }
                Err(error) if error.kind() == ErrorKind::NotFound => {}
                Err(error) => return Err(error),
            }
        }
        let whole = text.rfind('\n').map_or(0, |end| end + 1);
        self.partial = text.split_off(whole);
        Ok(text.lines().map(str::to_owned).collect())
    }

    /// Whether the open file is still the one that is written to.
    fn is_current(&self) -> io::Result<bool> {
        let Some(file) = &self.file else {
            return Ok(false);
        };
        let open = file.metadata()?;
        match fs::metadata(self.log.path()) {
            Ok(found) => Ok((found.dev(), found.ino()) == (open.dev(), open.ino())),
            // It was just renamed: what comes next will be in a new one.
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(true),
            Err(error) => Err(error),
        }
    }
}

fn read_on(file: &mut File, text: &mut String) -> io::Result<()> {
    // Somebody emptied it.
    if file.metadata()?.len() < file.stream_position()? {
        file.seek(SeekFrom::Start(0))?;
    }
    let mut bytes = Vec::new();
    file.read_to_end(&mut bytes)?;
    text.push_str(&String::from_utf8_lossy(&bytes));
    Ok(())
}

/// Reads a file's lines; what is no text in them is replaced, as in the file that is written to.
fn read_lines(path: &Path) -> io::Result<Vec<String>> {
    match fs::read(path) {
        Ok(bytes) => Ok(String::from_utf8_lossy(&bytes)
            .lines()
            .map(str::to_owned)
            .collect()),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(Vec::new()),
        Err(error) => Err(error),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use time::macros::datetime;

    const NOW: OffsetDateTime = datetime!(2026-11-22 15:04:05 +8);

    #[test]
    fn each_line_has_its_instant_and_is_private() {
        let directory = tempfile::tempdir().unwrap();
        let log = LogFile::in_directory(directory.path().join("pm"));
        assert!(log.last(10).unwrap().0.is_empty());
        log.append(NOW, "one\ntwo").unwrap();
        log.append(NOW, "three").unwrap();
        let (lines, _) = log.last(2).unwrap();
        assert_eq!(
            lines,
            ["2026-11-22T07:04:05Z two", "2026-11-22T07:04:05Z three"]
        );
        assert_eq!(fs::metadata(log.path()).unwrap().mode() & 0o777, 0o600);
    }

    #[test]
    fn the_log_stays_small_and_is_read_over_its_seams() {
        let directory = tempfile::tempdir().unwrap();
        let log = LogFile::in_directory(directory.path());
        let (_, mut tail) = log.last(0).unwrap();
        let line = "x".repeat(1 << 16);
        let mut followed = 0;
        for _ in 0..100 {
            log.append(NOW, &line).unwrap();
            followed += tail.more().unwrap().len();
        }
        assert_eq!(followed, 100);
        let size: u64 = fs::read_dir(directory.path())
            .unwrap()
            .map(|entry| entry.unwrap().metadata().unwrap().len())
            .sum();
        let most = u64::from(KEPT + 1) * (MAX_BYTES + (1 << 17));
        assert!(size <= most, "{size} bytes");
        assert_eq!(log.last(40).unwrap().0.len(), 40);
    }

    #[test]
    fn what_is_no_text_hides_no_other_line() {
        let directory = tempfile::tempdir().unwrap();
        let log = LogFile::in_directory(directory.path());
        for path in [log.path(), log.older(1)] {
            fs::write(path, b"a\n\xff\nb\n").unwrap();
        }
        let (lines, _) = log.last(10).unwrap();
        assert_eq!(lines, ["a", "\u{fffd}", "b", "a", "\u{fffd}", "b"]);
    }

    #[test]
    fn half_a_line_waits_for_the_other_half() {
        let directory = tempfile::tempdir().unwrap();
        let log = LogFile::in_directory(directory.path());
        let (_, mut tail) = log.last(0).unwrap();
        fs::write(log.path(), "a\nb").unwrap();
        assert_eq!(tail.more().unwrap(), ["a"]);
        let mut file = OpenOptions::new().append(true).open(log.path()).unwrap();
        file.write_all(b"c\n").unwrap();
        assert_eq!(tail.more().unwrap(), ["bc"]);
    }
}
