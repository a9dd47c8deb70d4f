//! The tools that pm's users come from, as far as they are still there: they are named, and not touched.

use std::fs;
use std::path::{Path, PathBuf};

use crate::cron;
use crate::root::Root;

/// A trace of an older tool.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Trace {
    /// pm.sh's configuration.
    PmSh(PathBuf),
    /// port-traffic-dog's directory.
    Dog(PathBuf),
    /// traffic-dog's directory.
    TrafficDog(PathBuf),
    /// A line in a crontab that calls one of them, or pm by hand.
    CronLine {
        /// The crontab.
        path: PathBuf,
        /// The line.
        line: String,
    },
}

/// Returns every trace that is found.
pub fn traces(root: &Root) -> Vec<Trace> {
    let mut traces = Vec::new();
    let config = PathBuf::from("/etc/port_monitor/config.json");
    if is_pm_shs(&root.text(&config)) {
        traces.push(Trace::PmSh(config));
    }
    for (path, trace) in [
        ("/etc/port-traffic-dog", Trace::Dog as fn(PathBuf) -> Trace),
        ("/etc/port-traffic-stat", Trace::TrafficDog),
    ] {
        if root.has_directory(path) {
            traces.push(trace(path.into()));
        }
    }
    for path in crontabs(root) {
        let text = root.text(&path);
        let lines = text.lines().filter(|line| calls_old_tool(line));
        traces.extend(lines.map(|line| Trace::CronLine {
            path: path.clone(),
            line: line.trim().to_owned(),
        }));
    }
    traces
}

/// Whether a `config.json` is pm.sh's: pm's own has a `schema`, pm.sh's has none, and ports by their numbers.
pub fn is_pm_shs(text: &str) -> bool {
    text.contains("\"ports\"") && !text.contains("\"schema\"")
}

/// Returns the crontabs that there are, each once.
pub fn crontabs(root: &Root) -> Vec<PathBuf> {
    let mut paths: Vec<PathBuf> = ["/etc/crontab", "/etc/crontabs/root", "/var/spool/cron/root"]
        .map(PathBuf::from)
        .into();
    paths.push("/var/spool/cron/crontabs/root".into());
    let directory = PathBuf::from("/etc/cron.d");
    let entries = fs::read_dir(root.join(&directory))
        .into_iter()
        .flatten()
        .flatten();
    let mut found: Vec<_> = entries
        .map(|entry| directory.join(entry.file_name()))
        .collect();
    found.sort();
    paths.extend(
        found
            .into_iter()
            .filter(|path| path != Path::new(cron::FILE)),
    );
    // One may be a link to another, as on Alpine.
    let mut seen = Vec::new();
    paths.retain(|path| {
        let Ok(real) = root.join(path).canonicalize() else {
            return false;
        };
        let is_new = !seen.contains(&real);
        seen.push(real);
        is_new
    });
    paths
}

/// Whether a line of a crontab calls an older tool, or pm's own tick by hand.
fn calls_old_tool(line: &str) -> bool {
    let line = line.trim();
    if line.starts_with('#') || cron::is_ours(line.as_bytes()) {
        return false;
    }
    let words: Vec<&str> = line.split_whitespace().collect();
    let is_pm = |word: &&str| *word == "pm" || word.ends_with("/pm") || word.ends_with("/pm.sh");
    let position = words.iter().position(is_pm);
    let argument = position.and_then(|at| words.get(at + 1));
    let calls_pm = argument.is_some_and(|word| ["--monitor", "monitor", "restore"].contains(word));
    calls_pm || line.contains("port-traffic-dog") || line.contains("traffic-dog")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_calls_of_the_tools_are_named() {
        for line in [
            "* * * * * /usr/local/bin/pm --monitor",
            "* * * * * root pm monitor",
            "@reboot root /usr/local/bin/pm restore",
            "5 0 1 * * /usr/local/bin/port-traffic-dog.sh --reset-port 443",
        ] {
            assert!(calls_old_tool(line), "{line}");
        }
        for line in [
            "# * * * * * /usr/local/bin/pm --monitor",
            "0 4 * * * pm2 save",
            "0 4 * * * npm run monitor",
            "0 4 * * * /opt/apm monitor",
            &cron::line("/usr/local/bin/pm"),
        ] {
            assert!(!calls_old_tool(line), "{line}");
        }
    }

    #[test]
    fn traces_are_found_where_they_are_left() {
        let directory = tempfile::tempdir().unwrap();
        let root = Root::at(directory.path());
        for path in [
            "/etc/port_monitor",
            "/etc/port-traffic-dog",
            "/etc/crontabs",
        ] {
            fs::create_dir_all(root.join(path)).unwrap();
        }
        let config = "/etc/port_monitor/config.json";
        fs::write(root.join(config), r#"{"node_id": "hk", "ports": {}}"#).unwrap();
        let line = "* * * * * /usr/local/bin/pm --monitor";
        fs::write(root.join("/etc/crontabs/root"), format!("a\n{line}\n")).unwrap();
        assert_eq!(
            traces(&root),
            [
                Trace::PmSh(config.into()),
                Trace::Dog("/etc/port-traffic-dog".into()),
                Trace::CronLine {
                    path: "/etc/crontabs/root".into(),
                    line: line.into()
                },
            ]
        );
        fs::write(root.join(config), r#"{"schema": 1, "services": {}}"#).unwrap();
        assert_eq!(traces(&root).len(), 2);
    }
}
