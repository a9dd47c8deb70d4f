//! Interfaces with a default route.

use pm_tc::TrafficControl;

use crate::support::*;

fn names(control: &mut TrafficControl) -> Vec<String> {
    let all = control.default_route_interfaces().unwrap();
    let mut names: Vec<_> = all.into_iter().map(|interface| interface.name).collect();
    names.sort();
    names
}

#[test]
fn default_routes_of_either_family_lead_to_interfaces() {
    in_namespace(|control| {
        ip("link set lo up");
        assert_eq!(names(control), [""; 0]);
        ip("address add 198.51.100.1/24 dev near");
        ip("address add 203.0.113.1/24 dev far");
        ip("-6 address add 2001:db8::1/64 dev one nodad");
        // None of these is a default route that leads anywhere.
        ip("route add 192.0.2.0/24 via 198.51.100.2");
        ip("route add unreachable default metric 9");
        ip("-6 route add unreachable default metric 9");
        assert_eq!(names(control), [""; 0]);
        ip("route add default via 198.51.100.2");
        assert_eq!(names(control), ["near"]);
        ip("-6 route add default via 2001:db8::2");
        assert_eq!(names(control), ["near", "one"]);
        ip("route replace default nexthop via 198.51.100.2 nexthop via 203.0.113.2");
        assert_eq!(names(control), ["far", "near", "one"]);
        ip("-6 route del default via 2001:db8::2");
        assert_eq!(names(control), ["far", "near"]);
        // One provider's addresses may have a table of their own.
        ip("route replace default via 198.51.100.2");
        ip("route add default via 203.0.113.2 table 77");
        assert_eq!(names(control), ["far", "near"]);
        ip("route del default table 77");
        assert_eq!(names(control), ["near"]);
        ip("nexthop add id 1 via 198.51.100.2 dev near");
        ip("nexthop add id 2 via 203.0.113.2 dev far");
        ip("nexthop add id 3 group 1/2");
        ip("route replace default nhid 2");
        assert_eq!(names(control), ["far"]);
        ip("route replace default nhid 3");
        assert_eq!(names(control), ["far", "near"]);
    });
}
