//! The configurations that there were, as far as their versions are kept.

use std::path::PathBuf;

use pm_core::calendar::{Timestamp, Zone};
use pm_core::config::Config;
use pm_core::request::Request;
use pm_store::paths::Paths;
use pm_store::state_db::StateDb;
use pm_store::{StoreError, config_file};

use crate::{EngineError, clock};

/// The present configuration and the versions that are kept.
#[derive(Debug)]
pub struct Past {
    /// The present one, or the last good one where that cannot be used.
    pub config: Config,
    /// Why the present one cannot be used.
    pub stale_config: Option<StoreError>,
    /// The zone whose dates count.
    pub zone: Zone,
    /// What was replaced, the latest first.
    pub versions: Vec<PastVersion>,
    /// Where that is.
    pub dir: PathBuf,
}

/// A configuration that was replaced.
#[derive(Debug)]
pub struct PastVersion {
    /// The number under which it is kept.
    pub number: u64,
    /// The revision that it says it is, where it says so.
    pub revision: Option<u64>,
    /// When it was replaced, as far as that is known.
    pub replaced: Option<Timestamp>,
    /// What it says, or why that cannot be used.
    pub config: Result<Config, StoreError>,
}

impl Past {
    /// Returns what was replaced, as far as it is kept. Writes nothing, and waits for nobody.
    ///
    /// # Errors
    ///
    /// When the present configuration or the list of versions cannot be read.
    pub fn load(paths: &Paths) -> Result<Self, EngineError> {
        let (loaded, stale_config) = match StateDb::open_read_only(paths) {
            Ok(Some(db)) => config_file::load_or_last_good(paths, &db)?,
            // Usage that cannot be read says nothing about the file.
            Ok(None) | Err(_) => (config_file::load(paths)?, None),
        };
        let config = loaded.config;
        let versions = config_file::versions(paths)?.into_iter();
        let versions = versions.map(|version| PastVersion {
            number: version.number,
            revision: version.revision,
            replaced: version.replaced,
            config: config_file::load_version(paths, version.number),
        });
        Ok(Self {
            zone: clock::zone(&config),
            versions: versions.collect(),
            config,
            stale_config,
            dir: paths.versions_dir(),
        })
    }

    /// Returns the request that takes the last change back; `None`: there is none.
    ///
    /// A present configuration that cannot be used is itself the change to take back.
    ///
    /// # Errors
    ///
    /// The version from before that change cannot be used: to go further back is not for an undo.
    pub fn undo(mut self) -> Result<Option<Request>, EngineError> {
        if self.stale_config.is_some() {
            return Ok(Some(Request::Restore {
                version: None,
                config: Box::new(self.config),
            }));
        }
        let last = self.last().map(|last| last.number);
        last.map(|number| self.take(number)?.restore()).transpose()
    }

    /// Returns the latest version that is not as the present configuration; `None`: there is
    /// nothing to undo.
    ///
    /// A change that was rolled back has left a version, too, and it is as the present one.
    pub fn last(&self) -> Option<&PastVersion> {
        let differs = |version: &&PastVersion| match &version.config {
            Ok(config) => !config.asks_the_same(&self.config),
            Err(_) => true,
        };
        self.versions.iter().find(differs)
    }

    /// Returns the versions to which one can go back, the latest first: those that can be used and
    /// are not as the present one.
    pub fn restorable(&self) -> impl Iterator<Item = &PastVersion> {
        self.versions.iter().filter(|version| {
            let config = version.config.as_ref();
            config.is_ok_and(|config| !config.asks_the_same(&self.config))
        })
    }

    /// Takes a version out.
    ///
    /// # Errors
    ///
    /// `NoSuchVersion`.
    pub fn take(&mut self, number: u64) -> Result<PastVersion, EngineError> {
        let mut versions = self.versions.iter();
        match versions.position(|version| version.number == number) {
            Some(index) => Ok(self.versions.remove(index)),
            None => {
                let dir = self.dir.clone();
                Err(StoreError::NoSuchVersion { number, dir }.into())
            }
        }
    }

    /// Returns the configuration that replaced a version: the one of the next, or the present one.
    ///
    /// `None`: it cannot be used.
    pub fn successor(&self, number: u64) -> Option<&Config> {
        let later = self.versions.iter().rev();
        match later.into_iter().find(|version| version.number > number) {
            Some(version) => version.config.as_ref().ok(),
            None => Some(&self.config),
        }
    }
}

impl PastVersion {
    /// Returns the request that puts it back.
    ///
    /// # Errors
    ///
    /// Why it cannot be used.
    pub fn restore(self) -> Result<Request, EngineError> {
        Ok(Request::Restore {
            version: Some(self.number),
            config: Box::new(self.config?),
        })
    }
}
