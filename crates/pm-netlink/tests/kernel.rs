//! The transport against the running kernel, each test in a network namespace of its own.

#![allow(
    clippy::expect_used,
    clippy::panic,
    clippy::unwrap_used,
    reason = "a test"
)]

use nix::sched::{CloneFlags, unshare};
use pm_netlink::nf_tables::*;
use pm_netlink::rtnetlink::*;
use pm_netlink::{Batch, Errno, Error, NlmF, Request, RouteMessage, RouteSocket, Socket};

/// Runs `test` in a new network namespace, which goes with the thread.
fn in_namespace(test: impl FnOnce(&mut Socket) + Send + 'static) {
    let thread = std::thread::spawn(|| {
        if unshare(CloneFlags::CLONE_NEWNET).is_err() {
            println!("skipped: needs root");
            return;
        }
        test(&mut Socket::open().unwrap());
    });
    thread.join().unwrap();
}

fn table(batch: &mut Batch) {
    batch.push(NFT_MSG_NEWTABLE, NFPROTO_INET, NlmF::CREATE, |a| {
        a.string(NFTA_TABLE_NAME, "t");
        a.be32(NFTA_TABLE_FLAGS, 0);
    });
}

fn counter(batch: &mut Batch, table: &str, name: &str) {
    batch.push(NFT_MSG_NEWOBJ, NFPROTO_INET, NlmF::CREATE, |a| {
        a.string(NFTA_OBJ_TABLE, table);
        a.string(NFTA_OBJ_NAME, name);
        a.be32(NFTA_OBJ_TYPE, NFT_OBJECT_COUNTER);
        a.nest(NFTA_OBJ_DATA, |data| data.be64(NFTA_COUNTER_BYTES, 7));
    });
}

fn count_counters(socket: &mut Socket) -> usize {
    let request = Request::new(NFT_MSG_GETOBJ, NFPROTO_INET, |a| {
        a.string(NFTA_OBJ_TABLE, "t")
    });
    socket
        .dump(&request, |count: &mut usize, reply| {
            for attribute in reply.attributes() {
                *count += usize::from(attribute?.kind == NFTA_OBJ_NAME);
            }
            Ok(())
        })
        .unwrap()
}

#[test]
fn a_batch_applies_and_raises_the_generation_by_one() {
    in_namespace(|socket| {
        let before = socket.generation().unwrap();
        let mut batch = Batch::new(Some(before));
        table(&mut batch);
        for n in 0..20_000 {
            counter(&mut batch, "t", &format!("c_{n}"));
        }
        socket.apply(batch).unwrap();
        assert_eq!(socket.generation().unwrap(), before + 1);
        assert_eq!(count_counters(socket), 20_000);
    });
}

#[test]
fn every_refusal_is_reported_and_nothing_is_applied() {
    in_namespace(|socket| {
        let mut batch = Batch::new(None);
        table(&mut batch);
        counter(&mut batch, "missing", "a");
        counter(&mut batch, "t", "b");
        counter(&mut batch, "missing", "c");
        let Err(Error::Rejected(rejections)) = socket.apply(batch) else {
            panic!("not refused");
        };
        let found: Vec<_> = rejections.iter().map(|r| (r.index, r.errno)).collect();
        assert_eq!(found, [(Some(1), Errno::ENOENT), (Some(3), Errno::ENOENT)]);
        assert!(rejections[0].offset.is_some(), "{rejections:?}");
        assert_eq!(count_counters(socket), 0);
    });
}

#[test]
fn refusals_beyond_the_receive_buffer_leave_the_socket_usable() {
    in_namespace(|socket| {
        let mut batch = Batch::new(None);
        for n in 0..40_000 {
            counter(&mut batch, "missing", &format!("c_{n}"));
        }
        assert!(matches!(socket.apply(batch), Err(Error::Rejected(_))));
        let mut batch = Batch::new(Some(socket.generation().unwrap()));
        table(&mut batch);
        socket.apply(batch).unwrap();
    });
}

#[test]
fn a_batch_pinned_to_an_old_generation_is_refused() {
    in_namespace(|socket| {
        let old = socket.generation().unwrap();
        let mut batch = Batch::new(Some(old));
        table(&mut batch);
        socket.apply(batch).unwrap();
        let mut batch = Batch::new(Some(old));
        counter(&mut batch, "t", "late");
        assert!(matches!(socket.apply(batch), Err(Error::GenerationChanged)));
        assert_eq!(count_counters(socket), 0);
    });
}

#[test]
fn a_missing_object_is_told_from_other_errors() {
    in_namespace(|socket| {
        let request = Request::new(NFT_MSG_GETTABLE, NFPROTO_INET, |a| {
            a.string(NFTA_TABLE_NAME, "t")
        });
        assert!(matches!(
            socket.get(&request, |_| Ok(())),
            Err(Error::NotFound)
        ));
        let request = Request::new(NFT_MSG_GETTABLE, NFPROTO_INET, |_| {});
        assert!(matches!(
            socket.get(&request, |_| Ok(())),
            Err(Error::Rejected(_) | Error::SubsystemMissing)
        ));
    });
}

#[test]
fn an_error_of_the_reader_does_not_poison_the_next_call() {
    in_namespace(|socket| {
        let mut batch = Batch::new(None);
        table(&mut batch);
        for n in 0..2_000 {
            counter(&mut batch, "t", &format!("c_{n}"));
        }
        socket.apply(batch).unwrap();
        let request = Request::new(NFT_MSG_GETOBJ, NFPROTO_INET, |_| {});
        let stopped = socket.dump(&request, |(): &mut (), _| {
            Err(pm_netlink::Malformed("stop"))
        });
        assert!(matches!(stopped, Err(Error::Malformed(_))));
        assert_eq!(count_counters(socket), 2_000);
    });
}

#[test]
fn namespaces_have_cookies_of_their_own() {
    in_namespace(|socket| {
        let ours = socket.netns_cookie().unwrap();
        in_namespace(move |socket| {
            let theirs = socket.netns_cookie().unwrap();
            assert!(ours.is_none() || ours != theirs);
        });
    });
}

#[test]
fn a_batch_too_large_for_the_socket_is_not_sent() {
    in_namespace(|socket| {
        let mut batch = Batch::new(None);
        while batch.byte_len() <= socket.max_batch_bytes() {
            batch.push(NFT_MSG_NEWTABLE, NFPROTO_INET, NlmF::CREATE, |a| {
                a.bytes(99, &[0; 60_000])
            });
        }
        assert!(matches!(socket.apply(batch), Err(Error::TooLong { .. })));
    });
}

/// Asks for a qdisc, or for a class of it, on the loopback interface.
fn traffic_control(
    kind: u16,
    handle: u32,
    parent: u32,
    options: impl FnOnce(&mut pm_netlink::Attributes<'_>),
) -> RouteMessage {
    let mut header = [0; 20];
    for (at, value) in [(4, 1), (8, handle), (12, parent)] {
        header[at..at + 4].copy_from_slice(&value.to_ne_bytes());
    }
    RouteMessage::new(kind, NlmF::CREATE | NlmF::EXCL, &header, |a| {
        a.string(TCA_KIND, "htb");
        a.nest_unflagged(TCA_OPTIONS, options);
    })
}

fn htb() -> RouteMessage {
    traffic_control(RTM_NEWQDISC, 0x1_0000, TC_H_ROOT, |a| {
        let mut glob = [0; 20];
        glob[..4].copy_from_slice(&TC_HTB_PROTOVER.to_ne_bytes());
        glob[4..8].copy_from_slice(&10_u32.to_ne_bytes());
        a.bytes(TCA_HTB_INIT, &glob);
    })
}

/// A class whose quantum is left to the kernel.
fn class(minor: u32, rate: u32) -> RouteMessage {
    traffic_control(RTM_NEWTCLASS, 0x1_0000 | minor, 0x1_0000, |a| {
        let mut parameters = [0; 44];
        for at in [0, 12] {
            parameters[at + 1] = TC_LINKLAYER_ETHERNET;
            parameters[at + 8..at + 12].copy_from_slice(&rate.to_ne_bytes());
        }
        a.bytes(TCA_HTB_PARMS, &parameters);
    })
}

fn count_classes(socket: &mut RouteSocket) -> usize {
    let request = traffic_control(RTM_GETTCLASS, 0, 0, |_| {});
    socket
        .dump(&request, |count: &mut usize, reply| {
            *count += usize::from(reply.kind == RTM_NEWTCLASS && reply.u32_at(4)? == 1);
            Ok(())
        })
        .unwrap()
}

#[test]
fn route_requests_each_stand_for_themselves() {
    in_namespace(|_| {
        let socket = &mut RouteSocket::open().unwrap();
        let requests = [
            htb(),
            class(1, 99_999),
            class(2, 0),
            class(3, 99_999),
            class(0, 0),
        ];
        let Err(Error::Rejected(rejections)) = socket.request(&requests) else {
            panic!("not refused");
        };
        let found: Vec<_> = rejections.iter().map(|r| (r.index, r.errno)).collect();
        assert_eq!(found, [(Some(2), Errno::EINVAL), (Some(4), Errno::EINVAL)]);
        assert_eq!(count_classes(socket), 2);
    });
}

#[test]
fn a_warning_comes_with_the_number_of_its_request() {
    in_namespace(|_| {
        let socket = &mut RouteSocket::open().unwrap();
        let calm = (1..150).map(|minor| class(minor, 99_999));
        let requests: Vec<_> = [htb()]
            .into_iter()
            .chain(calm)
            .chain([class(150, 9_999_999)])
            .collect();
        let warnings = socket.request(&requests).unwrap();
        println!("{warnings:?}");
        assert_eq!((warnings.len(), warnings[0].index), (1, 150));
        assert!(warnings[0].text.contains("quantum"));
        assert_eq!(count_classes(socket), 150);
    });
}

#[test]
fn a_missing_link_is_told_from_other_errors() {
    in_namespace(|_| {
        let socket = &mut RouteSocket::open().unwrap();
        let link = |name: &str| {
            RouteMessage::new(RTM_GETLINK, NlmF::empty(), &[0; 16], |a| {
                a.string(IFLA_IFNAME, name)
            })
        };
        let mut index = None;
        socket
            .get(&link("lo"), |reply| {
                index = Some(reply.u32_at(4)?);
                Ok(())
            })
            .unwrap();
        assert_eq!(index, Some(1));
        assert!(matches!(
            socket.get(&link("none"), |_| Ok(())),
            Err(Error::NotFound)
        ));
        let stopped = socket.get(&link("lo"), |_| Err(pm_netlink::Malformed("stop")));
        assert!(matches!(stopped, Err(Error::Malformed(_))));
        socket.get(&link("lo"), |_| Ok(())).unwrap();
    });
}
