//! Requests that read: one object, or a dump of many.

use neli::consts::nl::{NlmF, Nlmsg};
use nix::errno::Errno;

use crate::ack::Ack;
use crate::attr::Attributes;
use crate::error::{Error, Malformed, Rejection};
use crate::message::{Raw, Reply, append_header, set_u32};
use crate::nf_tables::{
    NFNL_SUBSYS_NFTABLES, NFPROTO_UNSPEC, NFT_MSG_GETGEN, NFT_MSG_NEWGEN, NFTA_GEN_ID,
};
use crate::socket::Socket;

// Each attempt meets another commit in flight; a ruleset that changes this often in a row is not
// going to hold still.
const DUMP_ATTEMPTS: usize = 10;

/// A question to nf_tables.
#[derive(Clone, Debug)]
pub struct Request {
    bytes: Vec<u8>,
    overflow: bool,
}

impl Request {
    /// Starts a request: `kind` is an `NFT_MSG_GET*`, `family` an `NFPROTO_*` constant; `fill`
    /// appends what selects the objects.
    pub fn new(kind: u8, family: u8, fill: impl FnOnce(&mut Attributes<'_>)) -> Self {
        let mut request = Self {
            bytes: Vec::with_capacity(128),
            overflow: false,
        };
        let kind = (NFNL_SUBSYS_NFTABLES << 8) | u16::from(kind);
        append_header(&mut request.bytes, kind, NlmF::empty(), family, 0);
        fill(&mut Attributes::new(
            &mut request.bytes,
            &mut request.overflow,
        ));
        request
    }

    fn finish(&self, flags: NlmF, sequence: u32) -> Result<Vec<u8>, Error> {
        let too_long = Error::TooLong {
            bytes: self.bytes.len(),
        };
        let (Ok(length), false) = (u32::try_from(self.bytes.len()), self.overflow) else {
            return Err(too_long);
        };
        let mut bytes = self.bytes.clone();
        set_u32(&mut bytes, 0, length);
        set_u32(&mut bytes, 8, sequence);
        if let Some(field) = bytes.get_mut(6..8) {
            field.copy_from_slice(&(flags | NlmF::REQUEST).bits().to_ne_bytes());
        }
        Ok(bytes)
    }
}

impl Socket {
    /// Asks for one object and hands the reply to `each`.
    ///
    /// # Errors
    ///
    /// [`Error::NotFound`] when there is no such object; otherwise as the kernel refuses, or
    /// what `each` returns.
    pub fn get(
        &mut self,
        request: &Request,
        mut each: impl FnMut(&Reply<'_>) -> Result<(), Malformed>,
    ) -> Result<(), Error> {
        let sequence = self.take_sequence(1);
        let bytes = request.finish(NlmF::ACK, sequence)?;
        self.send(&bytes)?;
        let mut answered = false;
        self.collect(sequence, 1, |raw| {
            if raw.kind == u16::from(Nlmsg::Error) {
                answered = true;
                return acknowledged(raw);
            }
            if let Some(reply) = Reply::parse(raw)? {
                each(&reply)?;
            }
            Ok(())
        })?;
        if answered {
            Ok(())
        } else {
            Err(Error::ReplyLost)
        }
    }

    /// Dumps what `request` selects: each message goes to `each`, together with a value that
    /// starts as `T::default()` and is returned when the dump is complete.
    ///
    /// The kernel makes the dump in pieces of up to 32 KiB while it is read, and flags one that a
    /// commit overtook; it then starts again, with a fresh value, a bounded number of times.
    ///
    /// # Errors
    ///
    /// [`Error::DumpInterrupted`] when every attempt was overtaken; otherwise as
    /// [`Socket::get`].
    pub fn dump<T: Default>(
        &mut self,
        request: &Request,
        mut each: impl FnMut(&mut T, &Reply<'_>) -> Result<(), Malformed>,
    ) -> Result<T, Error> {
        for _ in 0..DUMP_ATTEMPTS {
            let mut value = T::default();
            match self.dump_once(request, |reply| each(&mut value, reply)) {
                Ok(()) => return Ok(value),
                Err(Error::DumpInterrupted) => {}
                Err(error) => return Err(error),
            }
        }
        Err(Error::DumpInterrupted)
    }

    fn dump_once(
        &mut self,
        request: &Request,
        mut each: impl FnMut(&Reply<'_>) -> Result<(), Malformed>,
    ) -> Result<(), Error> {
        let sequence = self.take_sequence(1);
        let bytes = request.finish(NlmF::DUMP, sequence)?;
        self.send(&bytes)?;
        let mut complete = false;
        self.collect(sequence, 1, |raw| {
            if raw.has(NlmF::DUMP_INTR) {
                return Err(Error::DumpInterrupted);
            }
            if raw.kind == u16::from(Nlmsg::Error) {
                complete = true;
                return acknowledged(raw);
            }
            if raw.kind == u16::from(Nlmsg::Done) {
                complete = true;
                return done(raw);
            }
            if let Some(reply) = Reply::parse(raw)? {
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

    /// Returns the generation of the namespace's ruleset: every commit of any program raises it.
    ///
    /// # Errors
    ///
    /// [`Error::PermissionDenied`], [`Error::SubsystemMissing`], [`Error::Malformed`].
    pub fn generation(&mut self) -> Result<u32, Error> {
        let mut generation = None;
        self.get(
            &Request::new(NFT_MSG_GETGEN, NFPROTO_UNSPEC, |_| {}),
            |reply| {
                if reply.kind == NFT_MSG_NEWGEN {
                    for attribute in reply.attributes() {
                        let attribute = attribute?;
                        if attribute.kind == NFTA_GEN_ID {
                            generation = Some(attribute.be32()?);
                        }
                    }
                }
                Ok(())
            },
        )?;
        generation.ok_or_else(|| Malformed("a generation without its number").into())
    }
}

fn acknowledged(raw: &Raw<'_>) -> Result<(), Error> {
    let ack = Ack::parse(raw)?;
    match ack.errno {
        None => Ok(()),
        Some(errno) => Err(refused(errno, ack.text, ack.offset)),
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
        Errno::ENOENT => Error::NotFound,
        Errno::EPERM => Error::PermissionDenied,
        // nfnetlink answers so when no module registers the subsystem, before it looks at any
        // attribute: those errors come with a text or an offset.
        Errno::EINVAL | Errno::EOPNOTSUPP if text.is_none() && offset.is_none() => {
            Error::SubsystemMissing
        }
        _ => Error::Rejected(vec![Rejection {
            index: None,
            errno,
            text,
            offset,
        }]),
    }
}
