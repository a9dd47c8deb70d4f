//! Which proxy the environment wants a download to go through, read as curl reads it, but for `no_proxy`.
//!
//! - `https_proxy` or `HTTPS_PROXY` for https, `http_proxy` for http, else `all_proxy` or `ALL_PROXY`. `HTTP_PROXY` in
//!   capitals is not asked: in a CGI environment whoever sends a request sets it.
//! - `no_proxy` counts for nothing: minreq asks the same variables where it is given no proxy, and cannot be told to go
//!   directly.
//! - Only proxies that are spoken to by HTTP, and take `CONNECT`.
//!
//! A proxy's address may hold a password: it is never shown.
//!
//! Source: curl(1), ENVIRONMENT.

use std::fmt;

/// A proxy to go through.
#[derive(Clone, Eq, PartialEq)]
pub struct Proxy {
    /// `[http://][user[:password]@]host[:port]`; `None`: it is of another kind.
    pub address: Option<String>,
    /// The variable that names it.
    pub variable: &'static str,
}

/// What a proxy says instead of connecting.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum ProxyRefusal {
    /// The name or password is wrong or missing.
    Credentials,
    /// It does not want to, cannot reach the host, or is no proxy.
    Connection,
}

/// Returns the proxy for `url`; `None`: it is to be reached directly.
pub fn of_environment(url: &str) -> Option<Proxy> {
    find(url, |name| std::env::var(name).ok())
}

fn find(url: &str, variable: impl Fn(&str) -> Option<String>) -> Option<Proxy> {
    let set = |name: &str| variable(name).filter(|value| !value.trim().is_empty());
    let (scheme, _) = url.split_once("://")?;
    let names: &[&'static str] = match scheme {
        "https" => &["https_proxy", "HTTPS_PROXY", "all_proxy", "ALL_PROXY"],
        _ => &["http_proxy", "all_proxy", "ALL_PROXY"],
    };
    let (variable, value) = names
        .iter()
        .find_map(|name| set(name).map(|value| (*name, value)))?;
    let value = value.trim().trim_end_matches('/');
    let is_known = match value.split_once("://") {
        Some((scheme, _)) => scheme.eq_ignore_ascii_case("http"),
        None => true,
    };
    // minreq wants the scheme in small letters.
    let address = value.rsplit_once("://").map_or(value, |(_, rest)| rest);
    Some(Proxy {
        address: is_known.then(|| address.to_owned()),
        variable,
    })
}

impl fmt::Debug for Proxy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Proxy")
            .field("variable", &self.variable)
            .finish_non_exhaustive()
    }
}

impl fmt::Display for ProxyRefusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Credentials => "it does not take the name and password that stand there",
            Self::Connection => "it does not connect",
        })
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn found(url: &str, set: &[(&str, &str)]) -> Option<(Option<String>, &'static str)> {
        let variable = |name: &str| {
            let found = set.iter().find(|(set, _)| *set == name);
            found.map(|(_, value)| (*value).to_owned())
        };
        find(url, variable).map(|proxy| (proxy.address, proxy.variable))
    }

    fn through(address: &str, variable: &'static str) -> Option<(Option<String>, &'static str)> {
        Some((Some(address.to_owned()), variable))
    }

    #[test]
    fn each_scheme_has_its_variables() {
        let https = "https://example.org/x";
        let http = "http://example.org/x";
        let set = [("http_proxy", "http://a:1/"), ("https_proxy", "b:2")];
        assert_eq!(found(http, &set), through("a:1", "http_proxy"));
        assert_eq!(found(https, &set), through("b:2", "https_proxy"));
        let set = [("ALL_PROXY", "HTTP://u:p@c:3"), ("https_proxy", " ")];
        assert_eq!(found(http, &set), through("u:p@c:3", "ALL_PROXY"));
        assert_eq!(found(https, &set), through("u:p@c:3", "ALL_PROXY"));
        let set = [("HTTP_PROXY", "a:1"), ("HTTPS_PROXY", "b:2")];
        assert_eq!(found(http, &set), None);
        assert_eq!(found(https, &set), through("b:2", "HTTPS_PROXY"));
        assert_eq!(found(https, &[]), None);
        let set = [("https_proxy", "socks5://a:1")];
        assert_eq!(found(https, &set), Some((None, "https_proxy")));
    }

    #[test]
    fn a_password_is_not_shown() {
        let proxy = Proxy {
            address: Some("u:SECRET@a:1".to_owned()),
            variable: "https_proxy",
        };
        assert!(!format!("{proxy:?}").contains("SECRET"));
    }

    proptest! {
        #[test]
        fn no_environment_makes_it_panic(url in "\\PC{0,40}", value in "\\PC{0,40}") {
            let set = [("all_proxy", value.as_str())];
            let _ = found(&format!("https://{url}"), &set);
            let _ = found(&url, &set);
            let _ = minreq::Proxy::new(&value);
        }
    }
}
