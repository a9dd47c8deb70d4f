//! Batches: a transaction of nf_tables in one send.
//!
//! - `BATCH_BEGIN`, the messages, `BATCH_END`. All take effect together or none does.
//! - The kernel reports every message that fails whether or not it asks for an acknowledgement,
//!   so only the last one asks: a batch of any length gets one reply when it succeeds.
//! - An error that carries `BATCH_BEGIN`'s sequence number is the whole batch's.

use neli::consts::nl::{NlmF, Nlmsg};
use nix::errno::Errno;

use crate::ack::Ack;
use crate::attr::Attributes;
use crate::error::{Error, Rejection};
use crate::message::{NFNL_HEADER, append_header, set_u32};
use crate::nf_tables::{
    NFNL_BATCH_GENID, NFNL_MSG_BATCH_BEGIN, NFNL_MSG_BATCH_END, NFNL_SUBSYS_NFTABLES,
    NFPROTO_UNSPEC,
};
use crate::socket::Socket;

/// Messages that are to be applied together.
#[derive(Clone, Debug)]
pub struct Batch {
    // BATCH_BEGIN and the messages; BATCH_END is appended by `finish`.
    bytes: Vec<u8>,
    starts: Vec<usize>,
    overflow: bool,
}

/// A place in a [`Batch`] to go back to.
#[derive(Clone, Copy, Debug)]
pub struct Mark {
    bytes: usize,
    messages: usize,
    overflow: bool,
}

impl Batch {
    /// Starts an empty batch.
    ///
    /// With a `generation` it is refused ([`Error::GenerationChanged`]) unless the ruleset is
    /// still that one.
    pub fn new(generation: Option<u32>) -> Self {
        let mut batch = Self {
            bytes: Vec::new(),
            starts: Vec::new(),
            overflow: false,
        };
        append_header(
            &mut batch.bytes,
            NFNL_MSG_BATCH_BEGIN,
            NlmF::empty(),
            NFPROTO_UNSPEC,
            NFNL_SUBSYS_NFTABLES,
        );
        if let Some(generation) = generation {
            Attributes::new(&mut batch.bytes, &mut batch.overflow)
                .be32(NFNL_BATCH_GENID, generation);
        }
        let length = batch.bytes.len();
        batch.close(0, length);
        batch
    }

    /// Appends a message: `kind` is an `NFT_MSG_*`, `family` an `NFPROTO_*` constant.
    pub fn push(
        &mut self,
        kind: u8,
        family: u8,
        flags: NlmF,
        fill: impl FnOnce(&mut Attributes<'_>),
    ) {
        let start = self.bytes.len();
        let kind = (NFNL_SUBSYS_NFTABLES << 8) | u16::from(kind);
        append_header(&mut self.bytes, kind, flags, family, 0);
        fill(&mut Attributes::new(&mut self.bytes, &mut self.overflow));
        self.close(start, self.bytes.len() - start);
        self.starts.push(start);
    }

    /// Returns how many messages there are.
    pub fn len(&self) -> usize {
        self.starts.len()
    }

    /// Says whether there is no message.
    pub fn is_empty(&self) -> bool {
        self.starts.is_empty()
    }

    /// Returns what the batch takes of [`Socket::max_batch_bytes`].
    pub fn byte_len(&self) -> usize {
        self.bytes.len() + NFNL_HEADER
    }

    /// Returns the messages as bytes, without the batch's own begin and end and with sequence
    /// numbers still zero; for tests that compare encodings.
    pub fn message_bytes(&self) -> &[u8] {
        self.starts
            .first()
            .and_then(|&start| self.bytes.get(start..))
            .unwrap_or_default()
    }

    /// Returns the present end, for [`Batch::rollback`].
    pub fn mark(&self) -> Mark {
        Mark {
            bytes: self.bytes.len(),
            messages: self.starts.len(),
            overflow: self.overflow,
        }
    }

    /// Forgets what was appended since `mark` was taken of this batch.
    pub fn rollback(&mut self, mark: Mark) {
        self.bytes.truncate(mark.bytes);
        self.starts.truncate(mark.messages);
        self.overflow = mark.overflow;
    }

    fn close(&mut self, start: usize, length: usize) {
        match u32::try_from(length) {
            Ok(length) => set_u32(&mut self.bytes, start, length),
            Err(_) => self.overflow = true,
        }
    }

    /// Numbers the messages from `first`, asks the last for an acknowledgement, adds the end.
    fn finish(mut self, first: u32) -> Vec<u8> {
        let mut sequence = first;
        set_u32(&mut self.bytes, 8, sequence);
        for &start in &self.starts {
            sequence = sequence.wrapping_add(1);
            set_u32(&mut self.bytes, start + 8, sequence);
        }
        if let Some(&start) = self.starts.last()
            && let Some([low, high]) = self.bytes.get_mut(start + 6..start + 8)
        {
            let flags = u16::from_ne_bytes([*low, *high]) | NlmF::ACK.bits();
            [*low, *high] = flags.to_ne_bytes();
        }
        let end = self.bytes.len();
        append_header(
            &mut self.bytes,
            NFNL_MSG_BATCH_END,
            NlmF::empty(),
            NFPROTO_UNSPEC,
            NFNL_SUBSYS_NFTABLES,
        );
        self.close(end, NFNL_HEADER);
        set_u32(&mut self.bytes, end + 8, sequence.wrapping_add(1));
        self.bytes
    }
}

impl Socket {
    /// Applies a batch. An empty one is not sent.
    ///
    /// # Errors
    ///
    /// - [`Error::Rejected`] with every error the kernel reported, in the order of the messages.
    /// - [`Error::GenerationChanged`], [`Error::PermissionDenied`], [`Error::SubsystemMissing`].
    /// - [`Error::TooLong`]: it must be split.
    ///
    /// Nothing has been applied after any of these. After [`Error::ReplyLost`] or
    /// [`Error::Malformed`] the ruleset must be read to know.
    pub fn apply(&mut self, batch: Batch) -> Result<(), Error> {
        if batch.is_empty() {
            return Ok(());
        }
        let bytes = batch.byte_len();
        if batch.overflow || bytes > self.max_batch_bytes() {
            return Err(Error::TooLong { bytes });
        }
        let messages = batch.len();
        let count = u32::try_from(messages + 2).map_err(|_| Error::TooLong { bytes })?;
        let first = self.take_sequence(count);
        let wire = batch.finish(first);
        self.send(&wire)?;
        drop(wire);

        let mut rejections = Vec::new();
        let mut acknowledged = false;
        let collected = self.collect(first, count, |raw| {
            if raw.kind != u16::from(Nlmsg::Error) {
                return Ok(());
            }
            let ack = Ack::parse(raw)?;
            let position = raw.sequence.wrapping_sub(first);
            let position = usize::try_from(position).unwrap_or(usize::MAX);
            match ack.errno {
                None => acknowledged |= position == messages,
                Some(errno) => rejections.push(Rejection {
                    index: position.checked_sub(1),
                    errno,
                    text: ack.text,
                    offset: ack.offset,
                }),
            }
            Ok(())
        });
        if rejections.is_empty() {
            collected?;
            return if acknowledged {
                Ok(())
            } else {
                Err(Error::ReplyLost)
            };
        }
        // Some refusals may be lost among thousands: those that came still mean that nothing was
        // applied.
        Err(refusal(rejections))
    }
}

fn refusal(mut rejections: Vec<Rejection>) -> Error {
    rejections.sort_by_key(|rejection| rejection.index);
    let whole = rejections
        .iter()
        .find(|rejection| rejection.index.is_none());
    match whole.map(|rejection| rejection.errno) {
        Some(Errno::EPERM) => Error::PermissionDenied,
        Some(Errno::ERESTART) => Error::GenerationChanged,
        Some(Errno::EOPNOTSUPP) => Error::SubsystemMissing,
        _ => Error::Rejected(rejections),
    }
}
