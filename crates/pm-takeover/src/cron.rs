//! Which lines of a crontab are a tool's: those that do nothing but call it.

use pm_legacy::Tool;

/// Whether a line calls `tool`, and does nothing else. In the crontabs of the system, a user comes `with_user` before
/// the command.
///
/// # Examples
///
/// ```
/// use pm_legacy::Tool;
/// use pm_takeover::cron::is_of;
///
/// assert!(is_of(Tool::PmSh, b"* * * * * /usr/local/bin/pm --monitor", false));
/// assert!(!is_of(Tool::PmSh, b"* * * * * /usr/local/bin/pm2 --monitor", false));
/// ```
pub fn is_of(tool: Tool, line: &[u8], with_user: bool) -> bool {
    let Ok(line) = str::from_utf8(line) else {
        return false;
    };
    let line = line.trim();
    if line.starts_with('#') || pm_setup::cron::is_ours(line.as_bytes()) {
        return false;
    }
    let mut words = line.split_whitespace();
    let fields = if line.starts_with('@') { 1 } else { 5 };
    let skipped = words.by_ref().take(fields + usize::from(with_user)).count();
    let words: Vec<&str> = words.collect();
    skipped == fields + usize::from(with_user) && calls_only(tool, &words)
}

/// Whether a command is `[sleep N &&] PROGRAM ARGUMENTS [redirections] [# a note]`.
fn calls_only(tool: Tool, command: &[&str]) -> bool {
    let command = match command {
        ["sleep", seconds, "&&", rest @ ..] if seconds.parse::<u32>().is_ok() => rest,
        all => all,
    };
    let command = match (tool, command) {
        (Tool::Dog, ["bash" | "sh" | "/bin/bash" | "/bin/sh", rest @ ..]) => rest,
        (_, all) => all,
    };
    let Some((program, rest)) = command.split_first() else {
        return false;
    };
    let is_it = match tool {
        // That is the one place that it installs itself to.
        Tool::PmSh => *program == "/usr/local/bin/pm" && rest.first() == Some(&"--monitor"),
        Tool::Dog => {
            program.rsplit('/').next() == Some("port-traffic-dog.sh")
                && rest.first().is_some_and(|word| word.starts_with("--"))
        }
        Tool::TrafficDog => *program == "/usr/local/bin/port-traffic-stat",
    };
    let note = rest.iter().position(|word| word.starts_with('#'));
    let arguments = &rest[..note.unwrap_or(rest.len())];
    is_it && arguments.iter().all(|word| is_harmless(word))
}

/// Whether a word is an argument or a redirection, and nothing after which another command comes.
fn is_harmless(word: &str) -> bool {
    let is_redirection = [">", ">>", "2>", "2>&1", "&>"].contains(&word)
        || word.starts_with(">/dev/null")
        || word.starts_with("2>/dev/null")
        || word.starts_with("&>/dev/null");
    is_redirection || !word.contains(['&', '|', ';', '`', '$', '(', '<', '>'])
}

/// Returns the lines that name `tool`, or call what may be it, and are not [its](is_of).
pub fn strange(tool: Tool, text: &[u8], with_user: bool) -> Vec<String> {
    let lines = text.split(|&byte| byte == b'\n').filter(|line| {
        let is_note = line.trim_ascii_start().starts_with(b"#");
        !is_note && !is_of(tool, line, with_user) && !pm_setup::cron::is_ours(line)
    });
    let lines = lines.map(|line| String::from_utf8_lossy(line).trim().to_owned());
    lines.filter(|line| names(tool, line)).collect()
}

fn names(tool: Tool, line: &str) -> bool {
    match tool {
        Tool::PmSh => {
            let is_pm =
                |word: &str| ["pm", "pm.sh"].contains(&word.rsplit('/').next().unwrap_or(word));
            let words: Vec<&str> = line.split([' ', '\t', ';', '&', '|', '(', ')']).collect();
            let words: Vec<&str> = words.into_iter().filter(|word| !word.is_empty()).collect();
            words
                .windows(2)
                .any(|pair| is_pm(pair[0]) && pair[1] == "--monitor")
        }
        Tool::Dog => line.contains("port-traffic-dog"),
        Tool::TrafficDog => line.contains("port-traffic-stat"),
    }
}

/// Returns the text without the lines of `tool`, and those lines with their numbers, from 0.
pub fn without(tool: Tool, text: &[u8], with_user: bool) -> (Vec<u8>, Vec<(usize, Vec<u8>)>) {
    let (mut left, mut taken) = (Vec::new(), Vec::new());
    for (number, line) in text.split_inclusive(|&byte| byte == b'\n').enumerate() {
        if is_of(tool, line, with_user) {
            taken.push((number, line.to_owned()));
        } else {
            left.extend_from_slice(line);
        }
    }
    (left, taken)
}

/// Returns the text with lines put back where they were; one that is there again is not put in twice.
pub fn with(text: &[u8], taken: &[(usize, Vec<u8>)]) -> Vec<u8> {
    let mut lines: Vec<Vec<u8>> = text
        .split_inclusive(|&byte| byte == b'\n')
        .map(<[u8]>::to_vec)
        .collect();
    for (number, line) in taken {
        let same = |other: &Vec<u8>| other.trim_ascii_end() == line.trim_ascii_end();
        if lines.iter().any(same) {
            continue;
        }
        let place = (*number).min(lines.len());
        if let Some(before) = place.checked_sub(1).and_then(|at| lines.get_mut(at))
            && !before.ends_with(b"\n")
        {
            before.push(b'\n');
        }
        let mut line = line.clone();
        if place < lines.len() && !line.ends_with(b"\n") {
            line.push(b'\n');
        }
        lines.insert(place, line);
    }
    lines.concat()
}

#[cfg(test)]
mod tests {
    use super::*;

    const DOG: &str = "/usr/local/bin/port-traffic-dog.sh";

    /// Fault 16 of the tools that pm's users come from: uninstall deletes foreign cron lines (everything that contains
    /// "pm").
    #[test]
    fn only_lines_that_do_nothing_but_call_the_tool_are_its() {
        for line in [
            "* * * * * /usr/local/bin/pm --monitor",
            "*/1 * * * * /usr/local/bin/pm --monitor >/dev/null 2>&1",
            "* * * * * /usr/local/bin/pm --monitor > /dev/null 2>&1 # minute",
        ] {
            assert!(is_of(Tool::PmSh, line.as_bytes(), false), "{line}");
            assert!(!is_of(Tool::Dog, line.as_bytes(), false), "{line}");
        }
        for line in [
            "# * * * * * /usr/local/bin/pm --monitor",
            "* * * * * /usr/local/bin/pm2 --monitor",
            "* * * * * /usr/local/bin/pm monitor",
            "* * * * * /opt/pm --monitor",
            "* * * * * /usr/local/bin/pm --monitor; /opt/backup",
            "* * * * * /usr/local/bin/pm --monitor && reboot",
            "0 4 * * * npm run pm --monitor",
            "PM=/usr/local/bin/pm --monitor",
            &pm_setup::cron::line("/usr/local/bin/pm"),
        ] {
            assert!(!is_of(Tool::PmSh, line.as_bytes(), false), "{line}");
        }
        assert!(is_of(
            Tool::PmSh,
            b"* * * * * root /usr/local/bin/pm --monitor",
            true
        ));
        for line in [
            &format!(
                "* * * * * {DOG} --snapshot-traffic >/dev/null 2>&1  # port-traffic-dog traffic snapshot"
            ),
            &format!("@reboot sleep 15 && {DOG} --restore-runtime >/dev/null 2>&1"),
            &format!("5 0 2 * * {DOG} --reset-port 443 >/dev/null 2>&1  # 端口流量狗自动重置"),
            "*/5 * * * * bash /root/port-traffic-dog.sh --send-status >/dev/null 2>&1",
        ] {
            assert!(is_of(Tool::Dog, line.as_bytes(), false), "{line}");
        }
        for line in [
            "0 1 * * * tar cf /root/b.tar /etc/port-traffic-dog",
            "0 1 * * * cat /usr/local/bin/port-traffic-dog.sh",
            "0 1 * * * /usr/local/bin/port-traffic-dog.sh --reset-port 443; /opt/mine",
        ] {
            assert!(!is_of(Tool::Dog, line.as_bytes(), false), "{line}");
        }
    }

    #[test]
    fn lines_of_another_spelling_are_named_and_others_are_not() {
        for line in [
            "* * * * * /opt/pm --monitor",
            "* * * * * /usr/local/bin/pm --monitor; /opt/backup",
            "*/2 * * * * bash /root/pm.sh --monitor",
            "* * * * * cd / && pm --monitor",
        ] {
            assert_eq!(strange(Tool::PmSh, line.as_bytes(), false), [line]);
        }
        for line in [
            "* * * * * /usr/local/bin/pm --monitor",
            "# * * * * * /opt/pm --monitor",
            "* * * * * /usr/local/bin/pm2 --monitor",
            "* * * * * /usr/local/bin/pm monitor",
            &pm_setup::cron::line("/usr/local/bin/pm"),
        ] {
            let found = strange(Tool::PmSh, line.as_bytes(), false);
            assert!(found.is_empty(), "{line}");
        }
        let line = "0 1 * * * tar cf /root/b.tar /etc/port-traffic-dog";
        assert_eq!(strange(Tool::Dog, line.as_bytes(), false), [line]);
        assert!(strange(Tool::TrafficDog, line.as_bytes(), false).is_empty());
    }

    #[test]
    fn lines_come_back_where_they_were_and_once() {
        let text = b"# \xc1\xf7\n* * * * * /usr/local/bin/pm --monitor\n0 4 * * * npm run pm\n";
        let (left, taken) = without(Tool::PmSh, text, false);
        assert_eq!(left, b"# \xc1\xf7\n0 4 * * * npm run pm\n");
        assert_eq!(with(&left, &taken), text);
        assert_eq!(with(text, &taken), text);
        assert_eq!(
            with(b"", &taken),
            b"* * * * * /usr/local/bin/pm --monitor\n"
        );
    }

    #[test]
    fn a_last_line_without_an_end_stays_one() {
        let text = b"a\n* * * * * /usr/local/bin/pm --monitor";
        let (left, taken) = without(Tool::PmSh, text, false);
        assert_eq!(left, b"a\n");
        assert_eq!(with(&left, &taken), text);
        assert_eq!(
            with(b"b", &taken),
            b"b\n* * * * * /usr/local/bin/pm --monitor"
        );
    }
}
