//! The transport against the running kernel, each test in a network namespace of its own.

#![allow(
    clippy::expect_used,
    clippy::panic,
    clippy::unwrap_used,
    reason = "a test"
)]

use nix::sched::{CloneFlags, unshare};
use pm_netlink::nf_tables::*;
use pm_netlink::{Batch, Errno, Error, NlmF, Request, Socket};

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
