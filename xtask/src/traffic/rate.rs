//! How fast it goes.

use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Instant;

use anyhow::{Context, Result, anyhow};

use super::{Udp, Way, receive, send_lossy};

impl Udp {
    /// Sends datagrams of `payload` bytes one way as fast as the kernel takes them, and returns at what rate they
    /// arrive, in bits of payload a second.
    ///
    /// `first` datagrams, which a burst may let through, are not looked at; the `count` after them are.
    ///
    /// # Errors
    ///
    /// When they stop arriving.
    pub(crate) fn rate(&self, way: Way, payload: usize, first: u64, count: u64) -> Result<f64> {
        let (from, to) = self.ends(way);
        let stop = AtomicBool::new(false);
        thread::scope(|scope| {
            let source = scope.spawn(|| {
                let data = vec![0x5a; payload];
                while !stop.load(Ordering::Acquire) {
                    send_lossy(from, &data)?;
                }
                anyhow::Ok(())
            });
            let mut buffer = vec![0; payload + 1];
            let mut arrive =
                |count| (0..count).try_for_each(|_| receive(to, &mut buffer).map(|_| ()));
            let measured = arrive(first).and_then(|()| {
                let started = Instant::now();
                arrive(count)?;
                Ok(started.elapsed())
            });
            stop.store(true, Ordering::Release);
            source
                .join()
                .map_err(|_| anyhow!("a traffic thread panicked"))??;
            let elapsed = measured.context("datagrams stopped arriving")?;
            Ok((count * payload as u64 * 8) as f64 / elapsed.as_secs_f64())
        })
    }
}
