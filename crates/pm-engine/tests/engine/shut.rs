//! What cuts a service off while the operator does not.

use pm_core::holder::Holder;
use pm_core::request::{Refusal, Request, Settings, Warning};
use pm_core::ruleset::Direction;
use pm_engine::EngineError;
use time::macros::date;

use crate::backend::Script;
use crate::host::Host;
use crate::requests::{ports, quota, set, some};

/// A host on which 20000 is cut off by its quota, 20001 by its last day, and 20002 by nothing.
fn shut() -> Host {
    let mut host = Host::with(&[
        ("20000", quota(1_000)),
        ("20001", quota(1_000)),
        ("20002", quota(1_000)),
    ]);
    host.send("20000", Direction::In, 1_000);
    let expired = Settings {
        expires: Some(Some(date!(2020 - 01 - 31))),
        ..Settings::default()
    };
    host.request(&set("20001", expired));
    host
}

#[test]
fn a_request_knows_what_cuts_a_service_off() {
    let mut host = shut();
    let mut unblock = |name: &str| {
        let request = Request::Unblock { ports: some(name) };
        host.run_request(&request, Script::default())
    };
    let refusal = |error: EngineError| match error {
        EngineError::Refused(refusal) => refusal,
        other => panic!("{other}"),
    };
    let holder = Holder::Service(ports("20000"));
    let spent = Refusal::Spent {
        ports: ports("20000"),
        holder: holder.clone(),
    };
    assert_eq!(refusal(unblock("20000").failed()), spent);
    let expired = Refusal::Expired(ports("20001"));
    assert_eq!(refusal(unblock("20001").failed()), expired);
    assert_eq!(unblock("20002").done().warnings, []);

    // Whoever is blocked by the operator, too, is unblocked, and told of.
    for name in ["20000", "20001"] {
        host.request(&Request::Block { ports: some(name) });
    }
    let both = Request::Unblock {
        ports: some("20000,20001"),
    };
    let still = [
        Warning::StillSpent {
            ports: ports("20000"),
            holder,
        },
        Warning::StillExpired(ports("20001")),
    ];
    assert_eq!(host.request(&both).warnings, still);
}
