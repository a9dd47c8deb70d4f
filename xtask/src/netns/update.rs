//! `pm update`, on a host of its own: a release from a server on the loopback, under traffic.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, ensure};
use pm_update::Version;
use pm_update::digest::Digest;

use super::tests;
use crate::lab::{Family, Lab, check_refusal};
use crate::namespace::run;
use crate::releases::{self, Fault, Programs, Server, programs, target};
use crate::terminal::Terminal;
use crate::traffic::{Flood, Pace, Udp, Way};

tests!["update":
    a_release_replaces_pm_under_traffic_and_takes_its_data_along,
    what_is_not_the_signed_release_for_this_pm_is_refused_whole,
    a_build_without_keys_says_so,
    the_menu_updates_pm_in_both_languages,
    a_download_is_shown_on_a_terminal,
    a_proxy_of_the_environment_is_used_and_its_password_kept,
];

/// A host with a pm that knows where its releases are.
pub(super) struct Host<'a> {
    pub(super) lab: &'a mut Lab,
    pub(super) programs: &'static Programs,
    pub(super) server: Server,
}

impl<'a> Host<'a> {
    /// Installs the old pm, with a service that has been used.
    pub(super) fn new(lab: &'a mut Lab) -> Result<Self> {
        let programs = programs()?;
        fs::create_dir(lab.directory().join("bin"))?;
        lab.use_program(lab.directory().join("bin/pm"));
        fs::copy(&programs.old, lab.pm_path())?;
        fs::create_dir(lab.directory().join("releases"))?;
        let server = Server::start(&lab.vps, &lab.directory().join("releases"))?;
        lab.watch(&["20000"])?;
        lab.ok(&["add", "20000", "--quota", "5GB"])?;
        let host = Self {
            lab,
            programs,
            server,
        };
        host.use_some()?;
        Ok(host)
    }

    /// Lets some traffic pass.
    pub(super) fn use_some(&self) -> Result<()> {
        let udp = Udp::open(self.lab, Family::V4, 20000)?;
        udp.send(Way::In, 15, 900)?;
        udp.send(Way::Out, 25, 700)
    }

    /// Puts a release where pm looks for it.
    pub(super) fn publish(&self, version: &Version, program: &[u8]) -> Result<()> {
        self.publish_for(version, &target(), program)
    }

    pub(super) fn publish_for(
        &self,
        version: &Version,
        target: &str,
        program: &[u8],
    ) -> Result<()> {
        releases::release(
            &self.releases(),
            version,
            target,
            program,
            &self.programs.keys,
        )
    }

    /// Puts the real next release there.
    pub(super) fn publish_new(&self) -> Result<()> {
        self.publish(&self.programs.new_version, &fs::read(&self.programs.new)?)
    }

    pub(super) fn releases(&self) -> PathBuf {
        self.lab.directory().join("releases")
    }

    /// Returns what an update that must succeed prints.
    pub(super) fn update(&self, args: &[&str]) -> Result<String> {
        let url = self.server.url();
        self.lab.ok(&[&["update", "--mirror", &url], args].concat())
    }

    /// Checks that an update fails with these words and leaves everything as it was, to the byte.
    pub(super) fn refused(&self, args: &[&str], words: &[&str]) -> Result<()> {
        self.use_some()?;
        let before = self.everything()?;
        let said = self.fails(args, words)?;
        self.unchanged(&before).context(said)
    }

    /// Checks that an update fails with these words, and returns all it said.
    pub(super) fn fails(&self, args: &[&str], words: &[&str]) -> Result<String> {
        let url = self.server.url();
        let said = self
            .lab
            .refused(&[&["update", "--mirror", &url], args].concat(), words)?;
        ensure!(
            said.contains("hint: "),
            "it does not say what to do: {said}"
        );
        ensure!(
            !said.contains('\r'),
            "it draws where nobody watches: {said:?}"
        );
        Ok(said)
    }

    /// Checks that everything is as it was, and goes on.
    pub(super) fn unchanged(&self, before: &Everything) -> Result<()> {
        let after = self.everything()?;
        ensure!(after == *before, "before: {before:?}; after: {after:?}");
        self.lab.exact(&["20000"])?;
        self.lab.ok(&["monitor"])?;
        self.use_some()?;
        self.lab.exact(&["20000"])?;
        ensure!(self.schema()? == 1, "state.db was migrated");
        Ok(())
    }

    /// Returns what an update may change, and must not where it fails.
    pub(super) fn everything(&self) -> Result<Everything> {
        let mut beside = Vec::new();
        for entry in fs::read_dir(self.lab.directory().join("bin"))? {
            beside.push(entry?.file_name().to_string_lossy().into_owned());
        }
        beside.sort();
        Ok(Everything {
            program: Digest::of_file(self.lab.pm_path())?,
            beside,
            config: fs::read_to_string(self.lab.config_dir().join("config.json"))?,
            point: self.lab.state_dir().join("update/point.json").exists(),
        })
    }

    /// Returns the schema of state.db.
    pub(super) fn schema(&self) -> Result<u32> {
        // Source: https://www.sqlite.org/fileformat.html, "user version", at 60.
        let bytes = fs::read(self.lab.state_dir().join("state.db"))?;
        let bytes = bytes.get(60..64).context("state.db is too short")?;
        Ok(u32::from_be_bytes(bytes.try_into()?))
    }

    pub(super) fn version(&self) -> Result<String> {
        Ok(self.lab.ok(&["--version"])?.trim().to_owned())
    }
}

#[derive(Debug, Eq, PartialEq)]
pub(super) struct Everything {
    program: Digest,
    pub(super) beside: Vec<String>,
    config: String,
    pub(super) point: bool,
}

fn a_release_replaces_pm_under_traffic_and_takes_its_data_along(lab: &mut Lab) -> Result<()> {
    let host = Host::new(lab)?;
    host.publish_new()?;
    let (old, new) = (&host.programs.old_version, &host.programs.new_version);
    let said = host.update(&["--check"])?;
    ensure!(said.contains(&new.to_string()), "{said}");
    ensure!(host.version()? == format!("pm {old}"), "--check installs");
    let floods = [
        Flood::start(host.lab, Family::V4, Way::In, 20000, 500, Pace::Windowed)?,
        Flood::start(host.lab, Family::V6, Way::Out, 20000, 800, Pace::Windowed)?,
    ];
    let said = host.update(&[])?;
    for flood in floods {
        flood.stop()?;
    }
    ensure!(said.contains(&format!("pm {new} is installed")), "{said}");
    ensure!(host.version()? == format!("pm {new}"));
    ensure!(host.schema()? == 2, "state.db was not migrated");
    let everything = host.everything()?;
    ensure!(everything.beside == [".pm.old", "pm"], "{everything:?}");
    ensure!(!everything.point, "the point still stands");
    let kept = host.lab.directory().join("bin/.pm.old");
    ensure!(Digest::of_file(&kept)? == Digest::of_file(&host.programs.old)?);
    host.lab.exact(&["20000"])?;
    host.lab.ok(&["monitor"])?;
    host.use_some()?;
    host.lab.exact(&["20000"])?;
    let said = host.update(&[])?;
    ensure!(said.contains("is the newest release"), "{said}");
    // The same once more, by force; the next key is believed as well.
    releases::release(
        &host.releases(),
        new,
        &target(),
        &fs::read(&host.programs.new)?,
        &host.programs.next_keys,
    )?;
    host.update(&["--force"])?;
    host.lab.exact(&["20000"])
}

fn what_is_not_the_signed_release_for_this_pm_is_refused_whole(lab: &mut Lab) -> Result<()> {
    let host = Host::new(lab)?;
    let programs = host.programs;
    let new = fs::read(&programs.new)?;
    host.publish_new()?;
    for (fault, words) in [
        (
            Fault::Truncated,
            &["broke off", "run `pm update` again"][..],
        ),
        (Fault::Tampered, &["not what the signed release says"]),
        (Fault::Longer, &["is longer than"]),
        (Fault::Missing, &["answered 404", "--mirror"]),
        (Fault::Silent, &["does not speak HTTP", "--mirror"]),
        (Fault::Garbled, &["does not speak HTTP", "--mirror"]),
    ] {
        host.server.fails(fault);
        host.refused(&[], words).context(format!("{fault:?}"))?;
    }
    host.server.fails(Fault::None);

    let manifest = host.releases().join("pm-release.txt");
    let signature = host.releases().join("pm-release.txt.minisig");
    let signed = fs::read_to_string(&manifest)?;
    fs::write(
        &manifest,
        signed.replacen("minimum 0.1.0", "minimum 0.0.1", 1),
    )?;
    host.refused(&[], &["not to be trusted", "does not fit"])?;
    fs::write(&manifest, &signed)?;
    fs::write(&signature, "not a signature")?;
    host.refused(&[], &["not to be trusted", "no signature of minisign"])?;
    fs::remove_file(&signature)?;
    host.refused(&[], &["answered 404"])?;
    let stranger = minisign::KeyPair::generate_unencrypted_keypair()?;
    releases::release(
        &host.releases(),
        &programs.new_version,
        &target(),
        &new,
        &stranger,
    )?;
    host.refused(&["--force"], &["not to be trusted", "does not know"])?;

    let older = Version::new(0, 0, 9);
    host.publish(&older, &new)?;
    host.refused(&[], &["older than this pm", "--force"])?;
    host.publish_for(&programs.new_version, "riscv64gc-unknown-linux-musl", &new)?;
    host.refused(&["--force"], &["not there for this machine", "riscv64gc"])?;
    let said = host
        .lab
        .refused(&["update", "--mirror", "ftp://x"], &["no address"])?;
    ensure!(said.contains("http"), "{said}");
    // Nobody listens there.
    host.lab.refused(
        &["update", "--mirror", "http://127.0.0.1:9"],
        &["cannot download", "--mirror"],
    )?;
    host.lab
        .refused(&["update"], &["address of its releases", "PM_MIRROR"])?;
    let before = host.everything()?;
    host.unchanged(&before)
}

fn a_build_without_keys_says_so(lab: &mut Lab) -> Result<()> {
    lab.refused(&["update"], &["no source of updates", "install.sh"])?;
    Ok(())
}

fn the_menu_updates_pm_in_both_languages(lab: &mut Lab) -> Result<()> {
    let host = Host::new(lab)?;
    host.publish_new()?;
    let (old, new) = (&host.programs.old_version, &host.programs.new_version);
    let open = |language: &str| -> Result<Terminal> {
        let mut command = host.lab.pm_command(&["--lang", language]);
        command.env("TERM", "xterm-256color").env_remove("NO_COLOR");
        command.env("PM_MIRROR", host.server.url());
        Terminal::open(command)
    };
    let mut wizard = open("zh")?;
    wizard.answer("请选择", "6\r")?;
    wizard.answer(&format!("有新版本 pm {new}，当前是 {old}"), "n\r")?;
    wizard.answer("按任意键", "\r")?;
    wizard.answer("请选择", "0\r")?;
    ensure!(wizard.ends()? == 0);
    ensure!(
        host.version()? == format!("pm {old}"),
        "it was installed all the same"
    );
    let mut wizard = open("en")?;
    wizard.answer("What next?", "6\r")?;
    wizard.answer(&format!("pm {new} is there, and this is {old}"), "\r")?;
    wizard.see(&format!("pm {new} is installed"))?;
    wizard.see("still the old one")?;
    wizard.answer("Any key", "\r")?;
    wizard.answer("What next?", "0\r")?;
    ensure!(wizard.ends()? == 0);
    let mut wizard = open("zh")?;
    wizard.answer("请选择", "6\r")?;
    wizard.see(&format!("pm {new} 已是最新版本"))?;
    wizard.answer("按任意键", "\r")?;
    wizard.answer("请选择", "0\r")?;
    ensure!(wizard.ends()? == 0);
    host.lab.exact(&["20000"])
}

fn a_download_is_shown_on_a_terminal(lab: &mut Lab) -> Result<()> {
    let host = Host::new(lab)?;
    host.publish_new()?;
    let mut terminal = Terminal::pm(host.lab, &["update", "--mirror", &host.server.url()])?;
    let new = &host.programs.new_version;
    terminal.see("looking for a release")?;
    terminal.see(&format!("Downloading pm {new}"))?;
    terminal.see("MB")?;
    terminal.see(&format!("trying pm {new}"))?;
    terminal.see("is installed")?;
    ensure!(terminal.ends()? == 0);
    Ok(())
}

fn a_proxy_of_the_environment_is_used_and_its_password_kept(lab: &mut Lab) -> Result<()> {
    let host = Host::new(lab)?;
    host.publish_new()?;
    // Nobody knows that name but the proxy.
    let args = ["update", "--mirror", "http://releases.invalid"];
    host.lab.refused(&args, &["cannot download"])?;
    let through = |proxy: &str, args: &[&str]| {
        let mut command = host.lab.pm_command(args);
        command.env("http_proxy", proxy);
        run(&mut command, None)
    };
    let with_password = host.server.url().replacen("//", "//somebody:SECRET@", 1);
    let said = through(&with_password, &[&args[..], &["--check"]].concat())?.success()?;
    ensure!(
        said.contains(&host.programs.new_version.to_string()),
        "{said}"
    );
    for (proxy, words) in [
        (
            "socks5://somebody:SECRET@127.0.0.1:9",
            &["http_proxy", "http://HOST:PORT", "hint: "][..],
        ),
        // Nobody listens there.
        (
            "somebody:SECRET@127.0.0.1:9",
            &["through the proxy that http_proxy names", "hint: "],
        ),
    ] {
        let refused = through(proxy, &args)?;
        check_refusal(&refused, words)?;
        ensure!(!format!("{refused:?}").contains("SECRET"), "{refused:?}");
    }
    through(&with_password, &args)?.success()?;
    ensure!(host.version()? == format!("pm {}", host.programs.new_version));
    host.lab.exact(&["20000"])
}

/// Returns a shell script as the bytes of a program.
pub(super) fn script(text: &str) -> Vec<u8> {
    format!("#!/bin/sh\n{text}\n").into_bytes()
}

/// Quotes a path for a shell.
pub(super) fn quoted(path: &Path) -> String {
    format!("'{}'", path.display())
}
