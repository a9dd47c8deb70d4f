//! `pm config`: pm's own settings, and the check of a configuration file.

use std::process::ExitCode;

use anyhow::{Context, Result, anyhow};
use pm_core::config::{Config, NoBackup};
use pm_core::request::Request;
use pm_engine::Past;
use pm_store::paths::Paths;
use pm_store::state_db::StateDb;
use pm_store::{StoreError, config_file};

use crate::cli::{ChangeOptions, Config as Command, Places};
use crate::language::tr;
use crate::output::{json, say, versions, words};

/// The settings that there are, in the order in which they are shown.
const KEYS: [&str; 4] = ["time_zone", "language", "classifier", "backup"];

/// Runs one of the subcommands of `config`.
pub(crate) fn run(places: &Places, command: Command) -> Result<ExitCode> {
    match command {
        Command::Show(reading) => {
            let config = current(places)?;
            if reading.json {
                say!("{}", config.without_secrets().emit().trim_end());
            } else {
                for key in KEYS {
                    say!("{key} = {}", value(&config, key)?);
                }
            }
        }
        Command::Get { key, reading } => {
            let config = current(places)?;
            let value = value(&config, &key)?;
            say!(
                "{}",
                if reading.json {
                    json::text(&value)?
                } else {
                    value
                }
            );
        }
        Command::Set {
            key,
            value,
            options,
        } => return super::change::run(places, &request(&key, &value)?, options),
        Command::History(reading) => {
            let past = past(places)?;
            if reading.json {
                say!("{}", json::versions(&past)?);
            } else {
                say!("{}", versions::table(&past, None));
            }
        }
        Command::Diff { version, reading } => {
            let mut past = past(places)?;
            let version = version.or_else(|| past.last().map(|last| last.number));
            let then = match version {
                Some(number) => Some((number, past.take(number)?.config?)),
                None => None,
            };
            match then {
                _ if reading.json => say!("{}", json::differences(then.as_ref(), &past.config)?),
                None => say!("{}", versions::none()),
                Some((number, then)) => {
                    for line in versions::since(number, &then, &past.config) {
                        say!("{line}");
                    }
                }
            }
        }
        Command::Restore { version, options } => {
            let mut past = past(places)?;
            let request = match version {
                Some(version) => past.take(version)?.restore()?,
                None if past.stale_config.is_some() => past.undo()?.ok_or_else(nothing_to_undo)?,
                None => return Err(no_version()),
            };
            return super::change::run(places, &request, options);
        }
        Command::Check { file, reading } => {
            let services = match file {
                None => current(places)?.services.len(),
                Some(path) => {
                    let text = std::fs::read_to_string(&path).with_context(|| {
                        tr!(
                            en: "cannot read {}", path.display();
                            zh: "无法读取 {}", path.display()
                        )
                    })?;
                    let config = Config::parse(&text).with_context(|| {
                        tr!(
                            en: "{} cannot be used", path.display();
                            zh: "{} 不能使用", path.display()
                        )
                    })?;
                    config.services.len()
                }
            };
            if reading.json {
                say!("{}", json::checked_config(services)?);
            } else {
                let services = words::services(services);
                say!(
                    "{}",
                    tr!(
                        "The configuration is good: {services}.",
                        "配置没有问题：{services}。"
                    )
                );
            }
        }
    }
    Ok(ExitCode::SUCCESS)
}

/// Puts the latest version back that differs.
pub(crate) fn undo(places: &Places, options: ChangeOptions) -> Result<ExitCode> {
    let past = past(places)?;
    let seen = past.config.clone();
    let request = past.undo()?.ok_or_else(nothing_to_undo)?;
    super::change::run_on(places, &seen, &request, options)
}

fn nothing_to_undo() -> anyhow::Error {
    anyhow!(tr!(
        "there is nothing to undo: no earlier configuration is kept that differs from the present one",
        "没有可撤销的改动：没有保存与当前配置不同的旧版本"
    ))
}

fn no_version() -> anyhow::Error {
    anyhow!(tr!(
        "which version? The configuration can be used; `pm config history` lists what there was before, and `pm undo` \
         takes the last change back",
        "恢复哪个版本？当前配置可用；`pm config history` 列出旧版本，`pm undo` 撤销最近一次改动"
    ))
}

/// Returns the versions that are kept.
pub(crate) fn past(places: &Places) -> Result<Past> {
    Ok(Past::load(&super::paths(places))?)
}

/// Returns the configuration in use. One that is gone, though its usage is there, is an error.
pub(super) fn current(places: &Places) -> Result<Config> {
    let paths = super::paths(places);
    let loaded = match StateDb::open_read_only(&paths) {
        Ok(Some(db)) => config_file::load_with(&paths, &db)?,
        // Usage that cannot be read says nothing about the file.
        Ok(None) | Err(_) => config_file::load(&paths)?,
    };
    Ok(loaded.config)
}

/// Whether there is no configuration of pm's.
pub(super) fn is_none(paths: &Paths) -> bool {
    match config_file::load(paths) {
        Ok(loaded) => loaded.config.services.is_empty() && loaded.config.groups.is_empty(),
        Err(error) => matches!(error, StoreError::ConfigOfPmSh { .. }),
    }
}

/// Returns the request that changes a setting.
///
/// # Errors
///
/// There is no such setting, or it cannot have that value.
pub(crate) fn request(key: &str, value: &str) -> Result<Request> {
    match key {
        "time_zone" if value == "system" => Ok(Request::SetTimeZone(None)),
        "time_zone" => Ok(Request::SetTimeZone(Some(value.parse()?))),
        "language" if value == "system" => Ok(Request::SetLanguage(None)),
        "language" => Ok(Request::SetLanguage(Some(value.parse()?))),
        "classifier" => Ok(Request::SetClassifier(value.parse()?)),
        "backup" if value == "off" => Ok(Request::SetBackup(None)),
        "backup" => Ok(Request::SetBackup(Some(value.parse().map_err(
            |error: NoBackup| {
                tr!(
                    en: "{error}, or `off`";
                    zh: "`{value}` 不是备份计划：请写 `every 1d keep 7`、`every 6h keep 20` 这样的，或 `off`；间隔最长一年，最多 1000 份"
                )
            },
        ).map_err(anyhow::Error::msg)?))),
        _ => Err(unknown(key)),
    }
}

fn value(config: &Config, key: &str) -> Result<String> {
    match key {
        "time_zone" => {
            let zone = config
                .time_zone
                .as_ref()
                .map_or("system", |zone| zone.as_str());
            Ok(zone.to_owned())
        }
        "language" => {
            let language = config.language;
            Ok(language.map_or("system".to_owned(), |language| language.to_string()))
        }
        "classifier" => Ok(config.classifier.to_string()),
        "backup" => {
            let backup = config.backup;
            Ok(backup.map_or("off".to_owned(), |backup| backup.to_string()))
        }
        _ => Err(unknown(key)),
    }
}

fn unknown(key: &str) -> anyhow::Error {
    let keys = KEYS.map(|key| format!("`{key}`"));
    anyhow!(tr!(
        en: "there is no setting `{key}`: there are {}", keys.join(", ");
        zh: "没有 `{key}` 这项设置：有的是 {}", keys.join("、")
    ))
}
