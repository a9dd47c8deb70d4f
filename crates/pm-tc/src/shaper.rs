//! What pm's rules ask of traffic control.

use std::collections::{BTreeMap, BTreeSet};

use pm_core::backend::{Shaper, ShapingError};
use pm_core::units::BitRate;

use crate::Classifier;
use crate::backend::TrafficControl;
use crate::error::Error;
use crate::host::HostQdisc;
use crate::installed::{Installed, Root};
use crate::plan::{Request, Shape, plan, withdraw};

impl Shaper for TrafficControl {
    fn uplinks(&mut self) -> Result<BTreeSet<String>, ShapingError> {
        let interfaces = self.default_route_interfaces()?;
        Ok(interfaces.into_iter().map(|one| one.name).collect())
    }

    fn probe(
        &mut self,
        interfaces: &BTreeSet<String>,
        classifier: Classifier,
    ) -> Result<(), ShapingError> {
        self.kernel()?;
        if !classifier.is_priority() {
            self.require_fw()?;
        }
        for name in interfaces {
            self.read(name)?;
        }
        Ok(())
    }

    fn host_root(&mut self, interface: &str) -> Result<Option<String>, ShapingError> {
        match self.read(interface)?.root {
            Root::Host(host) => Ok(Some(emit(&host)?)),
            Root::Ours(_) => Ok(None),
        }
    }

    fn shape(
        &mut self,
        interface: &str,
        classes: &BTreeMap<u16, BitRate>,
        classifier: Classifier,
        host: &str,
    ) -> Result<Vec<String>, ShapingError> {
        let kernel = self.kernel()?;
        let shape = Shape::new(classes.clone(), classifier).map_err(other)?;
        let found = self.read(interface)?;
        let requests = plan(&found, &shape, parse(host)?.as_ref(), &kernel);
        Ok(self.apply(&found.interface, &requests)?)
    }

    fn stands(
        &mut self,
        interface: &str,
        classes: &BTreeMap<u16, BitRate>,
        classifier: Classifier,
    ) -> Result<bool, ShapingError> {
        let kernel = self.kernel()?;
        let shape = Shape::new(classes.clone(), classifier).map_err(other)?;
        let found = match self.read(interface) {
            Err(Error::NoSuchInterface(_) | Error::ForeignQdisc { .. }) => return Ok(false),
            found => found?,
        };
        let requests = plan(&found, &shape, None, &kernel);
        let removes = |request: &Request| {
            matches!(
                request,
                Request::DeleteClass { .. } | Request::DeleteFilter { .. }
            )
        };
        Ok(requests.iter().all(removes))
    }

    fn withdraw(&mut self, interface: &str, host: &str) -> Result<(), ShapingError> {
        let found: Installed = match self.read(interface) {
            // What somebody put in the place of pm's tree stays.
            Err(Error::NoSuchInterface(_) | Error::ForeignQdisc { .. }) => return Ok(()),
            found => found?,
        };
        let requests = withdraw(&found, parse(host)?.as_ref());
        self.apply(&found.interface, &requests)?;
        Ok(())
    }
}

fn emit(host: &HostQdisc) -> Result<String, ShapingError> {
    serde_json::to_string(host).map_err(other)
}

/// Reads what [`emit`] wrote; nothing is no record.
fn parse(host: &str) -> Result<Option<HostQdisc>, ShapingError> {
    if host.is_empty() {
        return Ok(None);
    }
    serde_json::from_str(host).map(Some).map_err(other)
}

fn other(error: impl std::error::Error + Send + Sync + 'static) -> ShapingError {
    ShapingError::Kernel(Box::new(error))
}

impl From<Error> for ShapingError {
    fn from(error: Error) -> Self {
        match error {
            Error::Unsupported(source) => Self::Unsupported(Box::new(source)),
            Error::NoFwClassifier(source) => Self::NoFwClassifier(Box::new(source)),
            Error::Permission(source) => Self::Permission(Box::new(source)),
            Error::ForeignQdisc { interface, kind } => Self::ForeignQdisc { interface, kind },
            other => Self::Kernel(Box::new(other)),
        }
    }
}
