//! `install.sh` in the shells that servers have, against a release on the loopback.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, ensure};

use super::tests;
use super::update::Host;
use crate::dist;
use crate::lab::{Lab, check_refusal};
use crate::namespace::{Output, run};
use crate::terminal::Terminal;
use crate::test::{find, root};

tests!["installer":
    every_shell_installs_a_release_and_renews_it,
    it_asks_at_the_terminal_also_where_it_comes_through_a_pipe,
    what_is_not_signed_is_not_installed,
    without_a_release_it_says_what_to_do,
    in_a_checkout_it_builds,
    shellcheck_finds_nothing,
];

/// Programs that the installer's tests call, and the Debian packages that have them.
///
/// dash and shellcheck are wanted elsewhere, too.
pub(crate) const PROGRAMS: [(&str, &str); 2] = [("busybox", "busybox"), ("openssl", "openssl")];

/// A shell, and the directories in which it finds its programs; none: the host's.
struct Shell {
    words: Vec<String>,
    path: Option<PathBuf>,
}

/// Returns the shells that there are. BusyBox's has BusyBox's programs, as on Alpine, and `openssl`.
fn shells(lab: &Lab) -> Result<Vec<Shell>> {
    let mut shells = Vec::new();
    for name in ["dash", "bash"] {
        if find(name).is_some() {
            shells.push(Shell {
                words: vec![name.to_owned()],
                path: None,
            });
        }
    }
    let busybox = find("busybox").context("there is no busybox")?;
    let applets = lab.directory().join("applets");
    fs::create_dir_all(&applets)?;
    let list = run(Command::new(&busybox).arg("--list"), None)?.success()?;
    for applet in list.lines().filter(|applet| *applet != "busybox") {
        let _ = std::os::unix::fs::symlink(&busybox, applets.join(applet));
    }
    if let Some(openssl) = find("openssl") {
        // Debian's BusyBox brings none of its own.
        let _ = std::os::unix::fs::symlink(openssl, applets.join("openssl"));
    }
    shells.push(Shell {
        words: vec![applets.join("ash").display().to_string()],
        path: Some(applets),
    });
    Ok(shells)
}

impl Shell {
    /// Runs a script in the VPS, with `dir` in the place of /usr/local/bin.
    fn install(&self, lab: &Lab, script: &Path, dir: &Path, args: &[&str]) -> Result<Output> {
        let mut words = self.words.iter();
        // A session of its own, in which there is no terminal to ask at.
        let path = match &self.path {
            Some(path) => path.as_os_str().to_owned(),
            None => std::env::var_os("PATH").unwrap_or_default(),
        };
        let mut command = lab.vps.command("setsid");
        command
            .args(["--wait", "env"])
            .arg(format!("PATH={}", path.to_string_lossy()))
            .arg(words.next().context("no shell")?)
            .args(words)
            .arg(script)
            .args(args)
            .env("LANG", "C.UTF-8")
            .env_remove("LC_ALL")
            .env("PM_INSTALL_DIR", dir)
            .env("PM_CONFIG_DIR", lab.config_dir())
            .env("PM_STATE_DIR", lab.state_dir())
            .env("PM_RUN_DIR", lab.run_dir());
        run(&mut command, None)
    }
}

/// Writes the installer as a release has it, with the keys of the tests.
fn published(host: &Host<'_>) -> Result<PathBuf> {
    let text = fs::read_to_string(root().join("install.sh"))?;
    let text = dist::fill(&text, |name| match name {
        "PM_UPDATE_KEY" => host.programs.keys.pk.to_base64(),
        "PM_UPDATE_NEXT_KEY" => host.programs.next_keys.pk.to_base64(),
        _ => host.server.url(),
    })?;
    let path = host.lab.directory().join("install.sh");
    fs::write(&path, text)?;
    Ok(path)
}

fn names(dir: &Path) -> Result<Vec<String>> {
    let mut names = Vec::new();
    if dir.exists() {
        for entry in fs::read_dir(dir)? {
            names.push(entry?.file_name().to_string_lossy().into_owned());
        }
    }
    names.sort();
    Ok(names)
}

fn every_shell_installs_a_release_and_renews_it(lab: &mut Lab) -> Result<()> {
    let host = Host::new(lab)?;
    let script = published(&host)?;
    let (old, new) = (&host.programs.old_version, &host.programs.new_version);
    for (index, shell) in shells(host.lab)?.iter().enumerate() {
        let dir = host.lab.directory().join(format!("installed-{index}"));
        let what = || format!("{:?}", shell.words);
        host.publish(old, &fs::read(&host.programs.old)?)?;
        let said = shell.install(host.lab, &script, &dir, &["--yes"])?;
        let said = said.success().with_context(what)?;
        ensure!(
            said.contains(&format!("pm {old} is in")),
            "{}: {said}",
            what()
        );
        ensure!(names(&dir)? == ["pm"], "{}: {:?}", what(), names(&dir)?);
        let said = shell
            .install(host.lab, &script, &dir, &["--yes"])?
            .success()?;
        ensure!(said.contains("installed already"), "{}: {said}", what());
        host.publish_new()?;
        let asked = shell.install(host.lab, &script, &dir, &[])?;
        check_refusal(&asked, &["no terminal", "--yes"]).with_context(what)?;
        // The pm that is there renews itself, the data too.
        if index == 0 {
            let said = shell.install(host.lab, &script, &dir, &["--yes"])?;
            let said = said.success().with_context(what)?;
            ensure!(
                said.contains(&format!("pm {new} is installed")),
                "{}: {said}",
                what()
            );
            ensure!(names(&dir)? == [".pm.old", "pm"], "{:?}", names(&dir)?);
            ensure!(host.schema()? == 2, "state.db was not migrated");
        }
    }
    Ok(())
}

fn it_asks_at_the_terminal_also_where_it_comes_through_a_pipe(lab: &mut Lab) -> Result<()> {
    let host = Host::new(lab)?;
    let script = published(&host)?;
    host.publish(&host.programs.old_version, &fs::read(&host.programs.old)?)?;
    let dir = host.lab.directory().join("installed");
    let script = script.display();
    for (line, answer) in [
        (format!("cat '{script}' | sh"), "n\r"),
        (format!("cat '{script}' | sh"), "y\r"),
        (
            format!("rm -r \"$PM_INSTALL_DIR\"; sh -c \"$(cat '{script}')\""),
            "\r",
        ),
    ] {
        let mut command = host.lab.vps.command("sh");
        command.args(["-c", &line]).env("PM_INSTALL_DIR", &dir);
        command.env("LANG", "zh_CN.UTF-8").env_remove("LC_ALL");
        let mut terminal = Terminal::open(command)?;
        terminal
            .answer("[Y/n]", answer)
            .with_context(|| line.clone())?;
        let wanted = answer != "n\r";
        if wanted {
            terminal.see("已装入").with_context(|| line.clone())?;
        }
        ensure!(
            (terminal.ends()? == 0) == wanted,
            "{line}: {}",
            terminal.text()
        );
        ensure!(
            dir.join("pm").exists() == wanted,
            "{line}: {}",
            terminal.text()
        );
    }
    Ok(())
}

fn what_is_not_signed_is_not_installed(lab: &mut Lab) -> Result<()> {
    let host = Host::new(lab)?;
    let script = published(&host)?;
    let dir = host.lab.directory().join("installed");
    let manifest = host.releases().join("pm-release.txt");
    let signature = host.releases().join("pm-release.txt.minisig");
    for shell in shells(host.lab)? {
        let refused = |words: &[&str]| -> Result<()> {
            let output = shell.install(host.lab, &script, &dir, &["--yes"])?;
            check_refusal(&output, words).with_context(|| format!("{:?}", shell.words))?;
            ensure!(
                names(&dir)?.is_empty(),
                "something is left: {:?}",
                names(&dir)?
            );
            Ok(())
        };
        host.publish_new()?;
        let program = fs::read(&host.programs.new)?;
        let name = format!(
            "pm-{}-{}",
            host.programs.new_version,
            crate::releases::target()
        );
        for changed in [
            &program[..program.len() / 2],
            &[&program[..], b"x"].concat()[..],
        ] {
            fs::write(host.releases().join(&name), changed)?;
            refused(&["signed release says"]).or_else(|_| refused(&["is longer than"]))?;
        }
        let mut tampered = program.clone();
        tampered[program.len() / 2] ^= 1;
        fs::write(host.releases().join(&name), tampered)?;
        refused(&["is not what the signed release says"])?;
        host.publish_new()?;
        let (text, signed) = (
            fs::read_to_string(&manifest)?,
            fs::read_to_string(&signature)?,
        );
        fs::write(
            &manifest,
            text.replacen("minimum 0.1.0", "minimum 0.0.1", 1),
        )?;
        refused(&["not to be trusted"])?;
        fs::write(&manifest, &text)?;
        // The comment is signed too, and so is which key it was.
        fs::write(
            &signature,
            signed.replacen("trusted comment: file", "trusted comment: life", 1),
        )?;
        refused(&["not to be trusted"])?;
        let stranger = minisign::KeyPair::generate_unencrypted_keypair()?;
        crate::releases::release(
            &host.releases(),
            &host.programs.new_version,
            &crate::releases::target(),
            &program,
            &stranger,
        )?;
        refused(&["not to be trusted"])?;
        host.publish_for(
            &host.programs.new_version,
            "riscv64gc-unknown-linux-musl",
            &program,
        )?;
        refused(&["not there for this machine"])?;
        fs::remove_file(&signature)?;
        refused(&["cannot download", "--mirror"])?;
    }
    Ok(())
}

fn without_a_release_it_says_what_to_do(lab: &mut Lab) -> Result<()> {
    // Outside of its checkout there is nothing to build.
    let script = lab.directory().join("install.sh");
    fs::copy(root().join("install.sh"), &script)?;
    let dir = lab.directory().join("installed");
    for shell in shells(lab)? {
        let output = shell.install(lab, &script, &dir, &["--yes"])?;
        check_refusal(&output, &["no release to install", "PM_RELEASE_URL"])?;
        ensure!(names(&dir)?.is_empty());
    }
    Ok(())
}

/// The checkout is of a program that is built sooner than pm.
fn in_a_checkout_it_builds(lab: &mut Lab) -> Result<()> {
    let checkout = lab.directory().join("a checkout");
    for (path, text) in [
        (
            "Cargo.toml",
            "[workspace]\nmembers = [\"crates/pm-cli\"]\nresolver = \"3\"\n",
        ),
        (
            "crates/pm-cli/Cargo.toml",
            "[package]\nname = \"pm-cli\"\nversion = \"4.7.11\"\nedition = \"2024\"\n\n[[bin]]\nname = \"pm\"\npath = \"main.rs\"\n",
        ),
        (
            "crates/pm-cli/main.rs",
            "fn main() {\n    println!(\"pm {}\", env!(\"CARGO_PKG_VERSION\"));\n}\n",
        ),
    ] {
        let path = checkout.join(path);
        fs::create_dir_all(path.parent().context("no parent")?)?;
        fs::write(path, text)?;
    }
    let script = checkout.join("install.sh");
    fs::copy(root().join("install.sh"), &script)?;
    let dir = lab.directory().join("installed");
    for shell in shells(lab)?
        .into_iter()
        .filter(|shell| shell.path.is_none())
    {
        let output = shell.install(lab, &script, &dir, &["--yes"])?;
        ensure!(output.code == Some(0), "{output:?}");
        ensure!(output.stdout.contains("pm 4.7.11 is in"), "{output:?}");
        ensure!(
            names(&dir)?.contains(&"pm".to_owned()),
            "{:?}",
            names(&dir)?
        );
    }
    Ok(())
}

fn shellcheck_finds_nothing(_: &mut Lab) -> Result<()> {
    let mut shellcheck = Command::new("shellcheck");
    shellcheck
        .current_dir(root())
        .args(["--shell", "sh", "install.sh"])
        .args(["postinst", "prerm", "postrm"].map(|name| format!("xtask/src/dist/deb/{name}")));
    let output = run(&mut shellcheck, None)?;
    ensure!(output.code == Some(0), "{}", output.stdout);
    Ok(())
}
