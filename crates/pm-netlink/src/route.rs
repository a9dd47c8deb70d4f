//! rtnetlink: requests that each stand for themselves, and dumps.
//!
//! - Several messages may go in one send; the kernel takes them in order, each on its own, and
//!   goes on after one that fails.
//! - Every message asks for an acknowledgement: a successful one may carry a warning.
//! - What follows the netlink header depends on the type of message: a struct of fixed length,
//!   then attributes. The struct is handed over as bytes.
//!
//! Source: rtnetlink(7); `include/uapi/linux/rtnetlink.h`.

use neli::consts::nl::{NlmF, Nlmsg};
use nix::errno::Errno;
use nix::sys::socket::SockProtocol;

use crate::ack::Ack;
use crate::attr::{AttributeIter, Attributes, align, attributes};
use crate::error::{Error, Malformed, Rejection};
use crate::message::{Raw, messages, set_u32};
use crate::rtnetlink::{
    RTM_GETLINK, RTM_GETROUTE, RTM_GETTFILTER, RTM_NEWLINK, RTM_NEWQDISC, RTM_NEWROUTE,
};
use crate::socket::Socket;

const DUMP_ATTEMPTS: usize = 10;
// An acknowledgement takes about 800 bytes of the receive buffer, which is 208 KiB where a
// process may not enlarge it.
const MESSAGES_A_SEND: usize = 100;

/// A message to rtnetlink.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct RouteMessage {
    bytes: Vec<u8>,
    overflow: bool,
}

impl RouteMessage {
    /// Starts a message: `kind` is an `RTM_*` constant, `header` the struct that follows the
    /// netlink header; `fill` appends attributes.
    pub fn new(
        kind: u16,
        flags: NlmF,
        header: &[u8],
        fill: impl FnOnce(&mut Attributes<'_>),
    ) -> Self {
        let mut message = Self {
            bytes: Vec::with_capacity(128),
            overflow: false,
        };
        let flags = flags | NlmF::REQUEST;
        message.bytes.extend_from_slice(&[0; 4]);
        message.bytes.extend_from_slice(&kind.to_ne_bytes());
        message.bytes.extend_from_slice(&flags.bits().to_ne_bytes());
        message.bytes.extend_from_slice(&[0; 8]);
        message.bytes.extend_from_slice(header);
        message.bytes.resize(align(message.bytes.len()), 0);
        fill(&mut Attributes::new(
            &mut message.bytes,
            &mut message.overflow,
        ));
        match u32::try_from(message.bytes.len()) {
            Ok(length) => set_u32(&mut message.bytes, 0, length),
            Err(_) => message.overflow = true,
        }
        message
    }

    /// Returns the message as bytes, its sequence number still zero; for tests that compare
    /// encodings.
    pub fn as_bytes(&self) -> &[u8] {
        &self.bytes
    }

    fn append(&self, buffer: &mut Vec<u8>, flags: NlmF, sequence: u32) -> Result<(), Error> {
        if self.overflow {
            let bytes = self.bytes.len();
            return Err(Error::TooLong { bytes });
        }
        let start = buffer.len();
        buffer.extend_from_slice(&self.bytes);
        set_u32(buffer, start + 8, sequence);
        if let Some([low, high]) = buffer.get_mut(start + 6..start + 8) {
            let all = u16::from_ne_bytes([*low, *high]) | flags.bits();
            [*low, *high] = all.to_ne_bytes();
        }
        Ok(())
    }
}

/// What the kernel remarked on a request that it granted.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Warning {
    /// The position of the message, from zero.
    pub index: usize,
    /// The kernel's own words.
    pub text: String,
}

/// One rtnetlink message of a reply.
#[derive(Clone, Copy, Debug)]
pub struct RouteReply<'a> {
    /// What it describes: an `RTM_*` constant.
    pub kind: u16,
    /// The struct that follows the netlink header.
    pub header: &'a [u8],
    body: &'a [u8],
}

/// Walks the rtnetlink messages in `datagram`, which may be a captured one or
/// [`RouteMessage::as_bytes`]; others are passed over.
///
/// # Errors
///
/// An item is [`Malformed`] where a header is broken, and the last one then.
pub fn route_replies(datagram: &[u8]) -> impl Iterator<Item = Result<RouteReply<'_>, Malformed>> {
    messages(datagram).filter_map(|raw| raw.and_then(|raw| RouteReply::parse(&raw)).transpose())
}

impl<'a> RouteReply<'a> {
    /// Takes a raw message apart; `None` when it is of a type that this module does not know.
    fn parse(raw: &Raw<'a>) -> Result<Option<Self>, Malformed> {
        let length = match raw.kind {
            RTM_NEWLINK..=RTM_GETLINK => 16,
            RTM_NEWROUTE..=RTM_GETROUTE => 12,
            RTM_NEWQDISC..=RTM_GETTFILTER => 20,
            _ => return Ok(None),
        };
        let (header, body) = raw
            .payload
            .split_at_checked(length)
            .ok_or(Malformed("an rtnetlink header is cut off"))?;
        Ok(Some(Self {
            kind: raw.kind,
            header,
            body,
        }))
    }

    /// Reads the 32-bit field of the header at `offset`, in the machine's byte order.
    ///
    /// # Errors
    ///
    /// [`Malformed`] when the header ends before it.
    pub fn u32_at(&self, offset: usize) -> Result<u32, Malformed> {
        self.header
            .get(offset..)
            .and_then(|rest| rest.first_chunk::<4>())
            .map(|&bytes| u32::from_ne_bytes(bytes))
            .ok_or(Malformed("an rtnetlink header is too short"))
    }

    /// Returns the message's attributes.
    pub fn attributes(&self) -> AttributeIter<'a> {
        attributes(self.body)
    }
}

/// A connection to rtnetlink in the network namespace of the thread that opened it.
pub struct RouteSocket {
    socket: Socket,
}

impl RouteSocket {
    /// Opens a socket. Needs no privilege by itself.
    ///
    /// # Errors
    ///
    /// [`Error::Io`].
    pub fn open() -> Result<Self, Error> {
        Ok(Self {
            socket: Socket::connect(SockProtocol::NetlinkRoute)?,
        })
    }

    /// Sends `requests` in order and returns the kernel's warnings.
    ///
    /// They go in pieces; after one with a refusal no more are sent.
    ///
    /// # Errors
    ///
    /// - [`Error::Rejected`] with every error of the piece, by index. What stands before and
    ///   beside the refused messages is in force.
    /// - [`Error::PermissionDenied`]: nothing has changed.
    /// - [`Error::ReplyLost`], [`Error::Malformed`]: whether the last piece took effect must be
    ///   read.
    pub fn request(&mut self, requests: &[RouteMessage]) -> Result<Vec<Warning>, Error> {
        let mut warnings = Vec::new();
        let mut index = 0;
        for piece in requests.chunks(MESSAGES_A_SEND) {
            self.request_piece(piece, index, &mut warnings)?;
            index += piece.len();
        }
        Ok(warnings)
    }

    fn request_piece(
        &mut self,
        piece: &[RouteMessage],
        start: usize,
        warnings: &mut Vec<Warning>,
    ) -> Result<(), Error> {
        let mut bytes = Vec::new();
        let count = u32::try_from(piece.len()).unwrap_or(u32::MAX);
        let first = self.socket.take_sequence(count);
        for (message, step) in piece.iter().zip(0_u32..) {
            message.append(&mut bytes, NlmF::ACK, first.wrapping_add(step))?;
        }
        self.socket.send(&bytes)?;
        let mut rejections = Vec::new();
        let mut answered = 0;
        let collected = self.socket.collect(first, count, |raw| {
            if raw.kind != u16::from(Nlmsg::Error) {
                return Ok(());
            }
            answered += 1;
            let ack = Ack::parse(raw)?;
            let position = raw.sequence.wrapping_sub(first);
            let index = start.saturating_add(usize::try_from(position).unwrap_or(usize::MAX));
            match (ack.errno, ack.text) {
                (Some(errno), text) => rejections.push(Rejection {
                    index: Some(index),
                    errno,
                    text,
                    offset: ack.offset,
                }),
                (None, Some(text)) => warnings.push(Warning { index, text }),
                (None, None) => {}
            }
            Ok(())
        });
        if rejections.iter().any(|one| one.errno == Errno::EPERM) {
            return Err(Error::PermissionDenied);
        }
        if !rejections.is_empty() {
            return Err(Error::Rejected(rejections));
        }
        collected?;
        if answered == piece.len() {
            Ok(())
        } else {
            Err(Error::ReplyLost)
        }
    }

    /// Asks for one object and hands the reply to `each`.
    ///
    /// # Errors
    ///
    /// [`Error::NotFound`] for ENOENT and ENODEV, [`Error::Rejected`] for other refusals, or
    /// what `each` returns.
    pub fn get(
        &mut self,
        request: &RouteMessage,
        each: impl FnMut(&RouteReply<'_>) -> Result<(), Malformed>,
    ) -> Result<(), Error> {
        self.ask(request, NlmF::ACK, each)
    }

    /// Dumps what `request` selects: each message goes to `each`, together with a value that
    /// starts as `T::default()` and is returned when the dump is complete.
    ///
    /// A dump that a change overtook starts again, with a fresh value, a bounded number of times.
    ///
    /// # Errors
    ///
    /// [`Error::DumpInterrupted`] when every attempt was overtaken; otherwise as
    /// [`RouteSocket::get`].
    pub fn dump<T: Default>(
        &mut self,
        request: &RouteMessage,
        mut each: impl FnMut(&mut T, &RouteReply<'_>) -> Result<(), Malformed>,
    ) -> Result<T, Error> {
        for _ in 0..DUMP_ATTEMPTS {
            let mut value = T::default();
            match self.ask(request, NlmF::DUMP, |reply| each(&mut value, reply)) {
                Ok(()) => return Ok(value),
                Err(Error::DumpInterrupted) => {}
                Err(error) => return Err(error),
            }
        }
        Err(Error::DumpInterrupted)
    }

    fn ask(
        &mut self,
        request: &RouteMessage,
        flags: NlmF,
        mut each: impl FnMut(&RouteReply<'_>) -> Result<(), Malformed>,
    ) -> Result<(), Error> {
        let sequence = self.socket.take_sequence(1);
        let mut bytes = Vec::new();
        request.append(&mut bytes, flags, sequence)?;
        self.socket.send(&bytes)?;
        let mut complete = false;
        self.socket.collect(sequence, 1, |raw| {
            if raw.has(NlmF::DUMP_INTR) {
                return Err(Error::DumpInterrupted);
            }
            if raw.kind == u16::from(Nlmsg::Error) {
                complete = true;
                let ack = Ack::parse(raw)?;
                return ack
                    .errno
                    .map_or(Ok(()), |errno| Err(refused(errno, ack.text, ack.offset)));
            }
            if raw.kind == u16::from(Nlmsg::Done) {
                complete = true;
                return done(raw);
            }
            if let Some(reply) = RouteReply::parse(raw)? {
                each(&reply)?;
            }
            Ok(())
        })?;
        if complete {
            Ok(())
        } else {
            Err(Error::ReplyLost)
        }
    }
}

/// Reads `NLMSG_DONE`, which carries an error number of its own.
fn done(raw: &Raw<'_>) -> Result<(), Error> {
    match raw.payload.split_first_chunk::<4>() {
        Some((&code, _)) if i32::from_ne_bytes(code) < 0 => {
            let errno = Errno::from_raw(i32::from_ne_bytes(code).saturating_neg());
            Err(refused(errno, None, None))
        }
        _ => Ok(()),
    }
}

fn refused(errno: Errno, text: Option<String>, offset: Option<u32>) -> Error {
    match errno {
        Errno::ENOENT | Errno::ENODEV => Error::NotFound,
        Errno::EPERM => Error::PermissionDenied,
        _ => Error::Rejected(vec![Rejection {
            index: None,
            errno,
            text,
            offset,
        }]),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::message::HEADER;
    use proptest::prelude::*;

    #[test]
    fn a_message_holds_header_and_attributes() {
        let message = RouteMessage::new(RTM_GETLINK, NlmF::empty(), &[7; 16], |a| a.ne32(3, 9));
        assert_eq!(message.as_bytes().len(), HEADER + 16 + 8);
        let reply = route_replies(message.as_bytes()).next().unwrap().unwrap();
        assert_eq!((reply.kind, reply.u32_at(4)), (18, Ok(0x0707_0707)));
        assert!(reply.u32_at(13).is_err());
        let attribute = reply.attributes().next().unwrap().unwrap();
        assert_eq!(attribute.ne32(), Ok(9));
    }

    proptest! {
        #[test]
        fn no_input_panics(kind in any::<u16>(), bytes in proptest::collection::vec(any::<u8>(), 0..90)) {
            let raw = Raw { kind, flags: 0, sequence: 0, payload: &bytes };
            if let Ok(Some(reply)) = RouteReply::parse(&raw) {
                let _ = (reply.u32_at(16), reply.u32_at(usize::MAX), reply.attributes().count());
            }
            let _ = route_replies(&bytes).count();
        }
    }
}
