//! `install.sh` in the shells that servers have, against a release on the loopback.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, ensure};
use pm_update::Version;
use pm_update::digest::Digest;

use super::tests;
use super::update::Host;
use super::update_faults::begin_anew;
use crate::lab::{Lab, check_refusal};
use crate::namespace::{Output, run};
use crate::releases;
use crate::terminal::Terminal;
use crate::test::{find, root};

tests!["installer":
    every_shell_installs_a_release_and_renews_it,
    another_program_is_neither_run_nor_lost,
    nobody_goes_back_without_force,
    every_shell_orders_versions_as_the_standard_says,
    nobody_else_may_write_to_what_is_checked,
    what_cannot_be_written_is_named_and_leaves_nothing,
    what_arrives_cut_off_does_nothing,
    a_key_in_the_environment_is_not_believed_by_a_releases_script,
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
        run(&mut self.command(lab, script, dir, args)?, None)
    }

    /// Returns the command that does so.
    fn command(&self, lab: &Lab, script: &Path, dir: &Path, args: &[&str]) -> Result<Command> {
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
        Ok(command)
    }
}

/// Writes the installer as a release has it, with the keys of the tests.
fn published(host: &Host<'_>) -> Result<PathBuf> {
    let next_key = host.programs.next_keys.pk.to_base64();
    let text = releases::installer(&host.programs.keys, &next_key, &host.server)?;
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
        // With data that the old pm can read.
        if index > 0 {
            begin_anew(&host)?;
        }
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
        ensure!(host.schema()? == 1, "{}: it was migrated before", what());
        let said = shell.install(host.lab, &script, &dir, &["--yes"])?;
        let said = said.success().with_context(what)?;
        ensure!(
            said.contains(&format!("pm {new} is installed")),
            "{}: {said}",
            what()
        );
        ensure!(names(&dir)? == [".pm.old", "pm"], "{:?}", names(&dir)?);
        ensure!(host.schema()? == 2, "{}: state.db was not migrated", what());
        host.lab.use_program(dir.join("pm"));
    }
    Ok(())
}

/// The tool that many of pm's users come from is called pm, stands where pm is installed, and takes a word that it does not
/// know for a wish to see its menu.
///
/// Fault 18 of the tools that pm's users come from: unsigned self-update, here by `pm update`; fault 16: what is somebody
/// else's is deleted.
fn another_program_is_neither_run_nor_lost(lab: &mut Lab) -> Result<()> {
    let host = Host::new(lab)?;
    let script = published(&host)?;
    host.publish(&host.programs.old_version, &fs::read(&host.programs.old)?)?;
    let dir = host.lab.directory().join("installed");
    let log = host.lab.directory().join("calls");
    let menu = format!(
        "#!/bin/sh\n# nft add table inet port_monitor\necho \"$*\" >>'{}'\n",
        log.display()
    );
    let pm = dir.join("pm");
    let kept = dir.join("pm.before-pm");
    for shell in shells(host.lab)? {
        let what = || format!("{:?}", shell.words);
        let _ = fs::remove_dir_all(&dir);
        fs::create_dir(&dir)?;
        fs::write(&pm, &menu)?;
        fs::set_permissions(&pm, fs::Permissions::from_mode(0o755))?;
        let refused = shell.install(host.lab, &script, &dir, &["--yes"])?;
        check_refusal(&refused, &["another program (pm.sh)", "--move-aside"]).with_context(what)?;
        ensure!(names(&dir)? == ["pm"], "{}: {:?}", what(), names(&dir)?);
        ensure!(fs::read_to_string(&pm)? == menu, "{}: replaced", what());

        let said = shell.install(host.lab, &script, &dir, &["--yes", "--move-aside"])?;
        let said = said.success().with_context(what)?;
        ensure!(said.contains("pm.before-pm"), "{}: {said}", what());
        ensure!(
            names(&dir)? == ["pm", "pm.before-pm"],
            "{}: {:?}",
            what(),
            names(&dir)?
        );
        ensure!(fs::read_to_string(&kept)? == menu, "{}: not kept", what());
        ensure!(
            !log.exists(),
            "{}: it was run: {}",
            what(),
            fs::read_to_string(&log)?
        );

        // Once more, where both are there.
        fs::write(&pm, &menu)?;
        let refused = shell.install(host.lab, &script, &dir, &["--yes", "--move-aside"])?;
        check_refusal(&refused, &["is there already"]).with_context(what)?;

        // A program that is compiled, and none of pm's; and a directory.
        fs::remove_file(&kept)?;
        fs::copy("/bin/true", &pm)?;
        let refused = shell.install(host.lab, &script, &dir, &["--yes"])?;
        check_refusal(&refused, &["another program (pm)"]).with_context(what)?;
        fs::remove_file(&pm)?;
        fs::create_dir(&pm)?;
        let refused = shell.install(host.lab, &script, &dir, &["--yes"])?;
        check_refusal(&refused, &["is a directory"]).with_context(what)?;
    }
    // Whoever is asked may say no.
    fs::remove_dir(&pm)?;
    fs::write(&pm, &menu)?;
    for answer in ["n\r", "y\r"] {
        let mut command = host.lab.vps.command("sh");
        command.arg(&script).env("PM_INSTALL_DIR", &dir);
        command.env("LANG", "zh_CN.UTF-8").env_remove("LC_ALL");
        let mut terminal = Terminal::open(command)?;
        terminal.answer("别的程序（pm.sh）", answer)?;
        if answer == "y\r" {
            terminal.answer("安装到", "y\r")?;
        }
        let wanted = answer == "y\r";
        ensure!((terminal.ends()? == 0) == wanted, "{}", terminal.text());
        ensure!(kept.exists() == wanted, "{:?}", names(&dir)?);
    }
    ensure!(!log.exists(), "it was run: {}", fs::read_to_string(&log)?);
    Ok(())
}

fn nobody_goes_back_without_force(lab: &mut Lab) -> Result<()> {
    let without_keys = lab.pm_path().to_owned();
    let host = Host::new(lab)?;
    let script = published(&host)?;
    let (old, new) = (&host.programs.old_version, &host.programs.new_version);
    let dir = host.lab.directory().join("installed");
    fs::create_dir(&dir)?;
    let shells = shells(host.lab)?;
    for shell in &shells {
        // A pm that cannot renew itself: the script alone decides.
        let _ = fs::remove_file(dir.join("pm"));
        fs::copy(&without_keys, dir.join("pm"))?;
        host.publish(&Version::new(0, 0, 9), &fs::read(&host.programs.old)?)?;
        let refused = shell.install(host.lab, &script, &dir, &["--yes"])?;
        check_refusal(&refused, &["is older", "--force"])?;
        ensure!(Digest::of_file(&dir.join("pm"))? == Digest::of_file(&without_keys)?);
        let said = shell.install(host.lab, &script, &dir, &["--yes", "--force"])?;
        said.success()?;
        ensure!(Digest::of_file(&dir.join("pm"))? == Digest::of_file(&host.programs.old)?);
        ensure!(Digest::of_file(&dir.join(".pm.old"))? == Digest::of_file(&without_keys)?);
        // A newer one takes its place without a word.
        fs::remove_file(dir.join("pm"))?;
        fs::copy(&without_keys, dir.join("pm"))?;
        host.publish_new()?;
        let said = shell
            .install(host.lab, &script, &dir, &["--yes"])?
            .success()?;
        ensure!(said.contains(&format!("pm {new} is in")), "{said}");
    }
    // A pm that does not run here is repaired.
    let pm = dir.join("pm");
    let mut damaged = fs::read(&host.programs.old)?;
    // The machine that it is for, in its head. Source: elf(5), `e_machine`.
    damaged[18] ^= 0x55;
    for shell in &shells {
        fs::remove_file(&pm)?;
        fs::write(&pm, &damaged)?;
        fs::set_permissions(&pm, fs::Permissions::from_mode(0o755))?;
        let said = shell
            .install(host.lab, &script, &dir, &["--yes"])?
            .success()?;
        ensure!(said.contains(&format!("pm {new} is in")), "{said}");
        ensure!(names(&dir)? == [".pm.old", "pm"], "{:?}", names(&dir)?);
    }
    // One that can renew itself is not asked, either.
    host.publish(old, &fs::read(&host.programs.old)?)?;
    let refused = shells[0].install(host.lab, &script, &dir, &["--yes"])?;
    check_refusal(&refused, &["is older", "--force"])
}

fn every_shell_orders_versions_as_the_standard_says(lab: &mut Lab) -> Result<()> {
    let text = fs::read_to_string(root().join("install.sh"))?;
    let (functions, _) = text.rsplit_once("\nmain ").context("no last line")?;
    // Source: Semantic Versioning 2.0.0, section 11.
    let order = [
        "0.9.10",
        "1.0.0-alpha",
        "1.0.0-alpha.1",
        "1.0.0-alpha.beta",
        "1.0.0-beta",
        "1.0.0-beta.2",
        "1.0.0-beta.11",
        "1.0.0-rc.1",
        "1.0.0",
        "1.0.2",
        "1.0.10",
        "1.10.0",
        "11.0.0",
    ];
    let list = order.join(" ");
    let script = lab.directory().join("order.sh");
    let loops = format!(
        "for a in {list}; do for b in {list} 1.0.0+x; do if older $a $b; then echo \"$a $b\"; fi; done; done"
    );
    fs::write(&script, format!("{functions}\n{loops}\n"))?;
    let mut expected = String::new();
    for (index, a) in order.iter().enumerate() {
        for b in &order[index + 1..] {
            expected.push_str(&format!("{a} {b}\n"));
        }
        // What follows a `+` counts for nothing.
        if index < 8 {
            expected.push_str(&format!("{a} 1.0.0+x\n"));
        }
    }
    for shell in shells(lab)? {
        let said = shell
            .install(lab, &script, lab.directory(), &[])?
            .success()?;
        ensure!(said == expected, "{:?}: {said}", shell.words);
    }
    Ok(())
}

fn nobody_else_may_write_to_what_is_checked(lab: &mut Lab) -> Result<()> {
    let host = Host::new(lab)?;
    let script = published(&host)?;
    host.publish(&host.programs.old_version, &fs::read(&host.programs.old)?)?;
    let watch = host.lab.directory().join("watch");
    fs::create_dir(&watch)?;
    let sha256sum = find("sha256sum").context("there is no sha256sum")?;
    let log = host.lab.directory().join("modes");
    let text = format!(
        "#!/bin/sh\nstat -c %a \"$PM_INSTALL_DIR\"/.pm.install.* >>'{}'\nexec '{}' \"$@\"\n",
        log.display(),
        sha256sum.display()
    );
    let stand_in = watch.join("sha256sum");
    fs::write(&stand_in, text)?;
    fs::set_permissions(&stand_in, fs::Permissions::from_mode(0o755))?;
    for umask in ["000", "077"] {
        let dir = host.lab.directory().join(format!("deep-{umask}/installed"));
        let mut command = host.lab.vps.command("sh");
        command
            .args([
                "-c",
                "umask $1; PATH=$2:$PATH exec sh \"$3\" --yes",
                "sh",
                umask,
            ])
            .args([&watch, &script])
            .env("PM_INSTALL_DIR", &dir);
        run(&mut command, None)?.success()?;
        let mode = |path: &Path| anyhow::Ok(fs::metadata(path)?.permissions().mode() & 0o777);
        let parent = dir.parent().context("no parent")?;
        for path in [&dir.join("pm"), &dir, parent] {
            ensure!(
                mode(path)? == 0o755,
                "{umask}: {}: {:o}",
                path.display(),
                mode(path)?
            );
        }
    }
    let modes = fs::read_to_string(&log)?;
    ensure!(modes == "644\n644\n", "while it was checked: {modes}");
    Ok(())
}

fn what_cannot_be_written_is_named_and_leaves_nothing(lab: &mut Lab) -> Result<()> {
    let host = Host::new(lab)?;
    let script = published(&host)?;
    host.publish(&host.programs.old_version, &fs::read(&host.programs.old)?)?;
    let small = host.lab.directory().join("small");
    fs::create_dir(&small)?;
    host.lab.mount_small(&small, "1m")?;
    let file = host.lab.directory().join("file");
    fs::write(&file, "")?;
    for shell in shells(host.lab)? {
        let what = || format!("{:?}", shell.words);
        let refused = shell.install(host.lab, &script, &small, &["--yes"])?;
        check_refusal(&refused, &["cannot write to", "df", "hint: "]).with_context(what)?;
        ensure!(
            names(&small)?.is_empty(),
            "{}: {:?}",
            what(),
            names(&small)?
        );
        let refused = shell.install(host.lab, &script, &file.join("bin"), &["--yes"])?;
        check_refusal(&refused, &["cannot write to", "Not a directory", "hint: "])
            .with_context(what)?;
        let secret = "http://somebody:SECRET@127.0.0.1/";
        for args in [["--mirror", secret], ["--mirror", "ftp://127.0.0.1"]] {
            let refused = shell.install(host.lab, &script, &small, &args)?;
            check_refusal(&refused, &["address"]).with_context(what)?;
            ensure!(!format!("{refused:?}").contains("SECRET"), "{refused:?}");
        }
    }
    Ok(())
}

fn what_arrives_cut_off_does_nothing(lab: &mut Lab) -> Result<()> {
    let host = Host::new(lab)?;
    let script = published(&host)?;
    host.publish(&host.programs.old_version, &fs::read(&host.programs.old)?)?;
    let text = fs::read_to_string(&script)?;
    let dir = host.lab.directory().join("installed");
    let lines: Vec<&str> = text.split_inclusive('\n').collect();
    for shell in shells(host.lab)? {
        for kept in [
            lines.len() - 1,
            lines.len() - 5,
            lines.len() - 30,
            lines.len() / 2,
        ] {
            fs::write(&script, lines[..kept].concat())?;
            shell.install(host.lab, &script, &dir, &["--yes"])?;
            ensure!(
                !dir.exists(),
                "{kept} of {} lines install something",
                lines.len()
            );
        }
    }
    Ok(())
}

fn a_key_in_the_environment_is_not_believed_by_a_releases_script(lab: &mut Lab) -> Result<()> {
    let host = Host::new(lab)?;
    let script = host.lab.directory().join("install.sh");
    fs::write(
        &script,
        releases::installer(&host.programs.keys, "", &host.server)?,
    )?;
    let stranger = minisign::KeyPair::generate_unencrypted_keypair()?;
    releases::release(
        &host.releases(),
        &host.programs.old_version,
        &releases::target(),
        &fs::read(&host.programs.old)?,
        &stranger,
    )?;
    let dir = host.lab.directory().join("installed");
    for shell in shells(host.lab)? {
        let mut command = shell.command(host.lab, &script, &dir, &["--yes"])?;
        for name in ["PM_UPDATE_KEY", "PM_UPDATE_NEXT_KEY"] {
            command.env(name, stranger.pk.to_base64());
        }
        check_refusal(&run(&mut command, None)?, &["not to be trusted"])?;
        ensure!(!dir.exists(), "it was installed");
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
        let keyless = ["--yes", "--mirror", "http://127.0.0.1:1"];
        let output = shell.install(lab, &script, &dir, &keyless)?;
        check_refusal(&output, &["no key here", "PM_UPDATE_KEY"])?;
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
        // A place for what is built, as seen from where the script is called.
        let mut command = shell.command(lab, &script, &dir, &["--yes"])?;
        command
            .current_dir(lab.directory())
            .env("CARGO_TARGET_DIR", "elsewhere");
        let output = run(&mut command, None)?;
        ensure!(output.code == Some(0), "{output:?}");
        ensure!(output.stdout.contains("pm 4.7.11 is in"), "{output:?}");
        ensure!(
            !checkout.join("elsewhere").exists(),
            "built in the checkout"
        );
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
