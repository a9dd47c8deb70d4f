//! Roots of older tools.

use pm_tc::other::OtherClass;

use crate::support::{in_namespace, listing, tc};

/// Faults 12 and 16 of the tools that pm's users come from: the host's own qdisc is replaced and never comes back, and
/// foreign qdiscs are deleted.
#[test]
fn a_root_of_an_older_tool_goes_and_no_other_does() {
    in_namespace(|control| {
        let before = listing("one");
        tc("qdisc add dev one root handle 1: htb default fffe");
        tc("class add dev one parent 1: classid 1:fffe htb rate 1000mbit quantum 1514");
        tc("class add dev one parent 1: classid 1:2766 htb rate 20mbit quantum 1514");
        tc("qdisc add dev near root handle 2: htb default fffe");
        tc("qdisc add dev far root handle 1: pfifo limit 7");
        tc("qdisc add dev many root handle 1: htb default 30");
        tc("class add dev many parent 1: classid 1:1 htb rate 1000mbit quantum 1514");
        tc(
            "class add dev many parent 1:1 classid 1:11bb htb rate 100mbit ceil 200mbit quantum 1514",
        );
        let others = ["near", "far", "many"].map(listing);

        let roots = control.other_roots().unwrap();
        let names: Vec<_> = roots
            .iter()
            .map(|root| (&*root.interface, root.default))
            .collect();
        assert_eq!(names, [("one", 0xfffe), ("many", 0x30)]);
        let class = |parent, rate, ceil| OtherClass { parent, rate, ceil };
        assert_eq!(roots[0].classes[&0x2766], class(0, 2_500_000, 2_500_000));
        assert_eq!(roots[0].classes.len(), 2);
        assert_eq!(roots[1].classes[&0x11bb], class(1, 12_500_000, 25_000_000));

        control.delete_other(&roots[0]).unwrap();
        control.delete_other(&roots[0]).unwrap();
        assert_eq!(listing("one"), before);
        assert_eq!(["near", "far", "many"].map(listing), others);
    });
}

#[test]
fn a_root_that_somebody_has_changed_since_stays() {
    in_namespace(|control| {
        tc("qdisc add dev one root handle 1: htb default fffe");
        let roots = control.other_roots().unwrap();
        tc("class add dev one parent 1: classid 1:7 htb rate 1mbit");
        let changed = listing("one");
        control.delete_other(&roots[0]).unwrap();
        assert_eq!(listing("one"), changed);
    });
}
