//! What is said where pm was not renewed.

use super::*;
use pm_update::error::Action;
use pm_update::fetch::FetchError;
use pm_update::manifest::{Fault, ManifestError};
use pm_update::offer::NotForThis;
use pm_update::proxy::ProxyRefusal;
use pm_update::signature::{NotAKey, SignatureError};
use pm_update::trial::{Failure, How, Step};
use pm_update::{UpdateError, Version};

fn errors() -> String {
    let url = || "https://example.org/pm-0.2.0".to_owned();
    let from = || "https://example.org".to_owned();
    let (old, new) = (Version::new(0, 1, 0), Version::new(0, 2, 0));
    let target = |name: &str| name.parse().unwrap();
    let trial = |step, how, said: &str| UpdateError::Trial {
        version: Version::new(0, 2, 0),
        is_old_failing: step == Step::Account,
        failure: Box::new(Failure {
            step,
            how,
            said: said.to_owned(),
        }),
    };
    let untrusted = |why| UpdateError::Untrusted { from: from(), why };
    let errors: Vec<UpdateError> = vec![
        UpdateError::NoKeys,
        UpdateError::NoSource,
        UpdateError::Packaged {
            path: "/usr/bin/pm".into(),
        },
        NotAKey("RWQ".to_owned()).into(),
        FetchError::NotAnAddress("ftp://x".to_owned()).into(),
        FetchError::Unreachable {
            url: url(),
            why: "Connection refused (os error 111)".to_owned(),
        }
        .into(),
        FetchError::NotHttp { url: url() }.into(),
        FetchError::NotAProxy {
            variable: "https_proxy",
        }
        .into(),
        FetchError::Proxy {
            url: url(),
            variable: "https_proxy",
            why: ProxyRefusal::Connection,
        }
        .into(),
        FetchError::Proxy {
            url: url(),
            variable: "https_proxy",
            why: ProxyRefusal::Credentials,
        }
        .into(),
        FetchError::TooSlow {
            url: url(),
            seconds: 600,
        }
        .into(),
        FetchError::Refused {
            url: url(),
            status: 404,
        }
        .into(),
        FetchError::Short {
            url: url(),
            got: 3,
            expected: 6_291_456,
        }
        .into(),
        FetchError::TooLong {
            url: url(),
            most: 6_291_456,
        }
        .into(),
        FetchError::Tampered { url: url() }.into(),
        FetchError::Disk(io::Error::from_raw_os_error(122)).into(),
        untrusted(SignatureError::Malformed),
        untrusted(SignatureError::UnknownKey),
        untrusted(SignatureError::Wrong),
        ManifestError::NotARelease.into(),
        ManifestError::Line {
            line: 4,
            fault: Fault::Digest,
        }
        .into(),
        NotForThis::Older {
            offered: old.clone(),
            current: new.clone(),
        }
        .into(),
        NotForThis::StepBetween {
            offered: Version::new(1, 0, 0),
            minimum: new.clone(),
            current: old,
        }
        .into(),
        NotForThis::OtherMachine {
            offered: new,
            wanted: vec![target("x86_64-unknown-linux-musl")],
            there: vec![target("aarch64-unknown-linux-musl")],
        }
        .into(),
        UpdateError::Program {
            action: Action::Make,
            path: "/usr/local/bin/.pm.new".into(),
            why: io::Error::from_raw_os_error(13),
        },
        trial(Step::Version, How::OtherVersion, "pm 9.0.0\n"),
        trial(Step::Account, How::Code(1), "error: schema 2\n"),
        trial(Step::Tick, How::Signal(11), ""),
        trial(Step::Tick, How::Hung(30), ""),
    ];
    all(errors.into_iter().map(anyhow::Error::from))
}

#[test]
fn an_update_that_was_not_made_says_why_and_what_to_do() {
    insta::assert_snapshot!(errors());
}

#[test]
fn an_update_that_was_not_made_says_why_and_what_to_do_zh() {
    insta::assert_snapshot!(in_chinese(errors));
}
