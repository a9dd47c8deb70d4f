//! The Debian package: the program, its man pages and completions.
//!
//! It is an `ar` archive of two compressed `tar` archives, made here without Debian's tools, so that
//! it can be made anywhere. Times and owners are fixed: the same source gives the same package.
//!
//! Source: deb(5), deb-control(5).

use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result};
use flate2::Compression;
use flate2::write::GzEncoder;
use pm_update::Version;

use crate::test::{self, root};

/// What the package is called.
const PACKAGE: &str = "port-monitor";

/// A file of the package.
struct Member {
    path: String,
    mode: u32,
    bytes: Vec<u8>,
}

/// What `dpkg` runs beside unpacking. Source: Debian Policy Manual, chapter 6.
const SCRIPTS: [(&str, &str); 3] = [
    ("postinst", include_str!("deb/postinst")),
    ("prerm", include_str!("deb/prerm")),
    ("postrm", include_str!("deb/postrm")),
];

/// Writes the package of `program` for `target` into `out`. Returns its name.
///
/// # Errors
///
/// When it cannot be read or written.
pub(crate) fn write(
    out: &Path,
    version: &Version,
    target: &str,
    program: &Path,
) -> Result<PathBuf> {
    let architecture = if target.starts_with("aarch64") {
        "arm64"
    } else {
        "amd64"
    };
    // Debian orders `~` before nothing, as Semantic Versioning does what follows a `-`.
    let debian_version = version.to_string().replacen('-', "~", 1);
    let time = commit_time();
    let members = members(program)?;
    let kibibytes = members
        .iter()
        .map(|member| member.bytes.len().div_ceil(1024))
        .sum::<usize>();
    // A static program needs nothing; the other what it was linked with, which is this host's.
    let depends = if target.ends_with("musl") {
        String::new()
    } else {
        "Depends: libc6\n".to_owned()
    };
    let control = format!(
        "Package: {PACKAGE}\n\
         Version: {debian_version}\n\
         Architecture: {architecture}\n\
         Maintainer: pm <pm@localhost>\n\
         Installed-Size: {kibibytes}\n\
         {depends}\
         Section: net\n\
         Priority: optional\n\
         Description: per-port traffic manager\n \
         pm counts what every TCP/UDP port of a server uses, cuts it off at its quota and limits its\n \
         speed. After installing, `pm setup` puts it to work.\n"
    );
    let mut controls = vec![Member {
        path: "control".to_owned(),
        mode: 0o644,
        bytes: control.into_bytes(),
    }];
    for (name, script) in SCRIPTS {
        controls.push(Member {
            path: name.to_owned(),
            mode: 0o755,
            bytes: script.into(),
        });
    }
    let path = out.join(format!("{PACKAGE}_{debian_version}_{architecture}.deb"));
    let file =
        fs::File::create(&path).with_context(|| format!("cannot make {}", path.display()))?;
    let mut archive = ar::Builder::new(file);
    for (name, bytes) in [
        ("debian-binary", b"2.0\n".to_vec()),
        ("control.tar.gz", tar_gz(&controls, time)?),
        ("data.tar.gz", tar_gz(&members, time)?),
    ] {
        let mut header = ar::Header::new(name.as_bytes().to_vec(), bytes.len() as u64);
        header.set_mtime(time);
        header.set_mode(0o100_644);
        archive.append(&header, &*bytes)?;
    }
    Ok(path)
}

fn members(program: &Path) -> Result<Vec<Member>> {
    let mut members = vec![
        Member {
            path: "usr/bin/pm".to_owned(),
            mode: 0o755,
            bytes: fs::read(program)?,
        },
        Member {
            path: format!("usr/share/doc/{PACKAGE}/copyright"),
            mode: 0o644,
            bytes: fs::read(root().join("LICENSE"))?,
        },
        Member {
            path: format!("usr/share/doc/{PACKAGE}/changelog.gz"),
            mode: 0o644,
            bytes: gz(&fs::read(root().join("CHANGELOG.md"))?)?,
        },
    ];
    let scratch = root().join("target/dist-pages");
    let _ = fs::remove_dir_all(&scratch);
    test::write_man_pages(&scratch)?;
    for section in ["man1", "zh_CN/man1"] {
        for entry in fs::read_dir(scratch.join(section))? {
            let entry = entry?;
            let name = entry.file_name().to_string_lossy().into_owned();
            members.push(Member {
                path: format!("usr/share/man/{section}/{name}.gz"),
                mode: 0o644,
                bytes: gz(&fs::read(entry.path())?)?,
            });
        }
    }
    for (shell, path) in [
        ("bash", "usr/share/bash-completion/completions/pm"),
        ("zsh", "usr/share/zsh/vendor-completions/_pm"),
        ("fish", "usr/share/fish/vendor_completions.d/pm.fish"),
    ] {
        members.push(Member {
            path: path.to_owned(),
            mode: 0o644,
            bytes: test::pm_prints(&["completions", shell])?,
        });
    }
    members.sort_by(|a, b| a.path.cmp(&b.path));
    Ok(members)
}

/// Returns an archive of files and the directories that they are in.
fn tar_gz(members: &[Member], time: u64) -> Result<Vec<u8>> {
    let mut archive = tar::Builder::new(Vec::new());
    let mut made = std::collections::BTreeSet::new();
    for member in members {
        let mut parents: Vec<&Path> = Path::new(&member.path).ancestors().skip(1).collect();
        parents.reverse();
        for parent in parents {
            if !parent.as_os_str().is_empty() && made.insert(parent.to_owned()) {
                let mut header = header(0o755, 0, time);
                header.set_entry_type(tar::EntryType::Directory);
                let path = format!("./{}/", parent.display());
                archive.append_data(&mut header, path, std::io::empty())?;
            }
        }
        let mut header = header(member.mode, member.bytes.len() as u64, time);
        let path = format!("./{}", member.path);
        archive.append_data(&mut header, path, &*member.bytes)?;
    }
    gz(&archive.into_inner()?)
}

fn header(mode: u32, size: u64, time: u64) -> tar::Header {
    let mut header = tar::Header::new_gnu();
    header.set_mode(mode);
    header.set_size(size);
    header.set_mtime(time);
    header.set_uid(0);
    header.set_gid(0);
    header
}

fn gz(bytes: &[u8]) -> Result<Vec<u8>> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::best());
    encoder.write_all(bytes)?;
    Ok(encoder.finish()?)
}

/// Returns when the source was committed, in seconds since 1970; 0 outside of git.
///
/// Source: <https://reproducible-builds.org/specs/source-date-epoch/>
fn commit_time() -> u64 {
    let given = std::env::var("SOURCE_DATE_EPOCH")
        .ok()
        .and_then(|text| text.parse().ok());
    given.unwrap_or_else(|| {
        let output = Command::new("git")
            .current_dir(root())
            .args(["log", "-1", "--format=%ct"])
            .output();
        let text = output.map(|output| String::from_utf8_lossy(&output.stdout).trim().to_owned());
        text.ok()
            .and_then(|text| text.parse().ok())
            .unwrap_or_default()
    })
}
