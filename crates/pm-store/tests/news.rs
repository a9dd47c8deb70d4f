//! What is to be told, as it waits.

#![allow(clippy::unwrap_used)]

use pm_core::calendar::Timestamp;
use pm_core::news::News;
use pm_core::notice::{Notice, What};
use pm_store::Paths;
use pm_store::news::Copied;
use pm_store::state_db::StateDb;
use rusqlite::Connection;
use tempfile::TempDir;

fn restarted(second: i64) -> News {
    News::Notice(Notice {
        time: Timestamp::from_unix(second),
        what: What::Restarted { since: None },
    })
}

/// One that another version wrote holds up no other.
#[test]
fn what_cannot_be_read_is_left_out_and_counted() {
    let dir = TempDir::new().unwrap();
    let sub = |name: &str| Some(dir.path().join(name));
    let paths = Paths::new(sub("config"), sub("state"), sub("run"));
    let mut db = StateDb::open(&paths).unwrap();
    db.note_copied(&Copied {
        news: vec![restarted(1), restarted(2), restarted(3)],
        ..Copied::default()
    })
    .unwrap();
    let other = Connection::open(paths.state_db()).unwrap();
    other
        .execute_batch(
            r#"UPDATE event SET what = '{"notice":{"time":2,"what":{"moon":{"full":true}}}}'
               WHERE time = 2"#,
        )
        .unwrap();
    let waiting = db.waiting_news(10).unwrap();
    let times: Vec<_> = waiting
        .news
        .iter()
        .map(|(_, it)| it.time().unix())
        .collect();
    assert_eq!((times, waiting.unreadable), (vec![1, 3], 1));
    db.note_copied(&Copied {
        up_to: waiting.up_to,
        ..Copied::default()
    })
    .unwrap();
    assert_eq!(db.waiting_news(10).unwrap().up_to, None);
}
