//! `pm export` and `pm import`: everything that there is, in one file.

use std::io::{self, IsTerminal, Write};
use std::path::Path;
use std::process::ExitCode;

use anyhow::{Context, Result, anyhow, bail};
use pm_core::adoption::{Adoption, Extent};
use pm_core::archive::{Archive, ArchiveError, FORMAT, MAX_BYTES};
use pm_core::config::Config;
use pm_core::request::Request;
use pm_engine::{EngineError, Options, Seen, is_empty, zone_of};
use pm_store::StoreError;
use pm_store::archive_file;
use pm_store::backups::{self, Shelf};

use super::change;
use crate::cli::{ChangeOptions, Export, Places};
use crate::language::tr;
use crate::output::errors::sentence;
use crate::output::words::{self, caution};
use crate::output::{say, tell};

/// What `-` is called where it is read.
const STDIN: &str = "stdin";

/// How many archives are kept of what imports replaced.
const KEPT: u32 = 10;

/// Writes everything into a file.
pub(crate) fn export(places: &Places, flags: &Export) -> Result<ExitCode> {
    let archive = super::engine(places)?.archive(env!("CARGO_PKG_VERSION"), flags.with_secrets)?;
    let bytes = archive.encode().map_err(|error| {
        let why = why(&error);
        anyhow!(tr!("cannot make an archive: {why}", "无法生成归档：{why}"))
    })?;
    if is_stdio(&flags.file) {
        let mut stdout = io::stdout().lock();
        stdout.write_all(&bytes)?;
        stdout.flush()?;
        return Ok(ExitCode::SUCCESS);
    }
    archive_file::write(&flags.file, &bytes, flags.force)?;
    let (path, content) = (flags.file.display(), content(&archive));
    say!("{}", tr!("{path}: {content}.", "{path}：{content}。"));
    if !flags.with_secrets {
        say!(
            "{}",
            tr!(
                "Tokens, passwords and keys are not in it; `--with-secrets` puts them in.",
                "不含令牌、密码和密钥；要包括它们，请加 `--with-secrets`。"
            )
        );
    }
    Ok(ExitCode::SUCCESS)
}

/// Puts what is in a file in the place of everything.
///
/// # Errors
///
/// When the file is not an archive, or it is refused; nothing has changed.
pub(crate) fn import(
    places: &Places,
    path: &Path,
    yes: bool,
    options: ChangeOptions,
) -> Result<ExitCode> {
    let archive = read(path)?;
    let present = super::config::past(places)?.config;
    let file = named(path);
    let (mut config, left_out) = archive
        .config_for(&present)
        .map_err(|error| unusable(&file, &error))?;
    let pinned = pin_zone(&mut config, &archive);
    let made = archive.made;
    let said = content(&archive);
    let pm = archive.pm.clone();
    let request = Request::Adopt(Box::new(Adoption {
        command: format!("pm import {}", quoted(&path.display().to_string())),
        config,
        books: archive.books,
        extent: Extent::Everything,
    }));
    say!(
        "{}",
        tr!(
            "{file}, made at {made} by pm {pm}: {said}. It replaces all configuration, usage and history of this host.",
            "{file}，由 pm {pm} 于 {made} 生成：{said}。它将替换本机的全部配置、用量和历史。"
        )
    );
    for name in left_out {
        let what = tr!(
            "`{name}` is left out: its secrets are not in the archive, and this host has none for it",
            "略去 `{name}`：归档里没有它的密钥，本机也没有"
        );
        tell!(
            "{}",
            caution(
                &what,
                &tr!(
                    "set it up again here, or take an archive of `pm export --with-secrets`",
                    "请在本机重新设置，或改用 `pm export --with-secrets` 生成的归档"
                )
            )
        );
    }
    if let Some(zone) = pinned {
        say!(
            "{}",
            tr!(
                "Dates go on in the zone {zone}, where it was made: `time_zone` is set to it.",
                "日期仍按生成时的时区 {zone} 计算：`time_zone` 设为该时区。"
            )
        );
    }
    let seen = Seen {
        config: &present,
        state: None,
    };
    if options.dry_run {
        return change::run_on(places, &present, &request, options);
    }
    if !yes {
        require_terminal(path)?;
    }
    let only_look = Options {
        force: options.force,
        dry_run: true,
    };
    let planned = match super::engine(places)?.execute_on(seen, &request, only_look) {
        // Only a change brings that up to date.
        Err(EngineError::Store(StoreError::OlderSchema { .. })) if yes => None,
        planned => Some(planned?),
    };
    if let (Some(planned), false) = (&planned, yes) {
        for line in words::changes(&request, planned) {
            say!("{line}");
        }
        if !confirmed()? {
            say!("{}", tr!("Nothing was changed.", "没有做任何改动。"));
            return Ok(ExitCode::FAILURE);
        }
    }
    if planned.is_none_or(|planned| !planned.changes_nothing()) {
        keep_what_was(places)?;
    }
    change::run_on(places, &present, &request, options)
}

/// Keeps what an import replaces, as far as it can be read.
fn keep_what_was(places: &Places) -> Result<()> {
    let paths = super::paths(places);
    if is_empty(&paths).unwrap_or(false) {
        return Ok(());
    }
    let archive = match super::engine(places)?.archive(env!("CARGO_PKG_VERSION"), true) {
        Ok(archive) => archive,
        // An import is what mends it; the file itself is kept as a version.
        Err(error) => {
            let why = sentence(&error);
            let what = tr!(
                "what is replaced cannot be kept as an archive: {why}",
                "被替换的内容无法存为归档：{why}"
            );
            tell!(
                "{}",
                caution(
                    &what,
                    &tr!(
                        "config.json is kept as a version",
                        "config.json 会存为一个版本"
                    )
                )
            );
            return Ok(());
        }
    };
    let bytes = archive.encode().map_err(|error| anyhow!(why(&error)))?;
    let path = backups::add(&paths, Shelf::BeforeImport, archive.made, &bytes, KEPT)?;
    let path = path.display();
    say!(
        "{}",
        tr!(
            "What was there is kept: `pm import {path}` brings it back.",
            "原有内容已保存：`pm import {path}` 可以恢复。"
        )
    );
    Ok(())
}

fn read(file: &Path) -> Result<Archive> {
    let bytes = if is_stdio(file) {
        archive_file::read_all(io::stdin().lock(), Path::new(STDIN), MAX_BYTES)?
    } else {
        archive_file::read(file, MAX_BYTES)?
    };
    Archive::decode(&bytes).map_err(|error| unusable(&named(file), &error))
}

/// Lets dates be those of the zone in which periods were counted so far. Returns the zone where
/// this host has another.
fn pin_zone(config: &mut Config, archive: &Archive) -> Option<String> {
    let zone = archive.zone.as_ref()?;
    if zone_of(config).name() == zone {
        return None;
    }
    config.time_zone = zone.parse().ok();
    config.time_zone.as_ref().map(|_| zone.clone())
}

fn content(archive: &Archive) -> String {
    let services = words::services(archive.books.services.len());
    let (periods, days) = (archive.books.closed.len(), archive.books.days.len());
    tr!(
        "the usage of {services}, {periods} closed periods, {days} daily totals",
        "{services}的用量，已结束的周期 {periods} 个，每日用量 {days} 条"
    )
}

/// Returns what a file is called where people read of it.
pub(super) fn named(file: &Path) -> String {
    match is_stdio(file) {
        true => STDIN.to_owned(),
        false => file.display().to_string(),
    }
}

pub(super) fn is_stdio(file: &Path) -> bool {
    file == Path::new("-")
}

fn require_terminal(file: &Path) -> Result<()> {
    if is_stdio(file) || !io::stdin().is_terminal() {
        bail!(tr!(
            "there is no terminal to ask on: say `--yes`, or look with `--dry-run`",
            "没有终端可以询问：请加 `--yes`，或用 `--dry-run` 先看看"
        ));
    }
    Ok(())
}

fn confirmed() -> Result<bool> {
    let question = tr!("Go on? [y/N] ", "继续吗？[y/N] ");
    let mut stderr = io::stderr().lock();
    stderr.write_all(question.as_bytes())?;
    stderr.flush()?;
    let mut answer = String::new();
    io::stdin().read_line(&mut answer)?;
    Ok(matches!(
        answer.trim().to_lowercase().as_str(),
        "y" | "yes" | "是"
    ))
}

/// Returns a file's name as one word of a POSIX shell.
pub(super) fn quoted(file: &str) -> String {
    let is_plain = |c: char| c.is_ascii_alphanumeric() || "/._-".contains(c);
    match file.chars().all(is_plain) {
        true => file.to_owned(),
        false => format!("'{}'", file.replace('\'', r"'\''")),
    }
}

fn unusable(file: &str, error: &ArchiveError) -> anyhow::Error {
    let why = why(error);
    anyhow!(tr!(
        "cannot import {file}: {why}; nothing was changed",
        "无法导入 {file}：{why}；没有做任何改动"
    ))
}

pub(crate) fn why(error: &ArchiveError) -> String {
    match error {
        ArchiveError::NotOne => tr!("it is not an archive of pm's", "它不是 pm 的归档"),
        ArchiveError::Newer(format) => tr!(
            "it has format {format}, and this pm reads up to {FORMAT}: update pm",
            "它的格式是 {format}，这个 pm 只能读到 {FORMAT}：请更新 pm"
        ),
        ArchiveError::TooLarge => {
            let most = MAX_BYTES >> 20;
            tr!("it has more than {most} MiB", "它超过 {most} MiB")
        }
        ArchiveError::Truncated { found, wanted } => tr!(
            "it is damaged: {found} of {wanted} bytes are there",
            "它已损坏：应有 {wanted} 字节，只有 {found} 字节"
        ),
        ArchiveError::Damaged => tr!(
            "it is damaged: its checksum does not fit",
            "它已损坏：校验和不符"
        ),
        ArchiveError::Invalid { line, reason } => {
            tr!("line {line}: {reason}", "第 {line} 行：{reason}")
        }
        ArchiveError::Stranger(who) => tr!(
            "it has the usage of {who}, which is not in its configuration",
            "它有 {who} 的用量，配置里却没有"
        ),
        ArchiveError::Config(error) => {
            let why = sentence(error);
            tr!(
                "its configuration cannot be used: {why}",
                "其中的配置不能使用：{why}"
            )
        }
    }
}

/// Reads a text from a file or stdin.
pub(super) fn text(file: &Path, most: usize) -> Result<String> {
    let bytes = match is_stdio(file) {
        true => archive_file::read_all(io::stdin().lock(), Path::new(STDIN), most)?,
        false => archive_file::read(file, most)?,
    };
    let file = named(file);
    String::from_utf8(bytes).with_context(|| tr!("cannot read {file}", "无法读取 {file}"))
}
