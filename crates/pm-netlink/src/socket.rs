//! Netlink sockets whose calls each leave them clean for the next.
//!
//! The kernel answers inside `sendmsg(2)`: when it returns, every reply is already queued, or is
//! made by the `recvmsg(2)` that fetches its predecessor. So an empty queue means "no more", and
//! replies that nobody waited for are cleared before each request.

use std::os::fd::{AsRawFd, OwnedFd};

use neli::consts::nl::Nlmsg;
use nix::errno::Errno;
use nix::sys::socket::sockopt::{RcvBuf, RcvBufForce, SndBuf, SndBufForce};
use nix::sys::socket::{
    AddressFamily, MsgFlags, NetlinkAddr, SockFlag, SockProtocol, SockType, bind, getsockopt, recv,
    send, setsockopt, socket,
};

use crate::error::Error;
use crate::message::{Raw, messages};

mod option {
    use nix::{getsockopt_impl, setsockopt_impl, sockopt_impl};

    /// `include/uapi/asm-generic/socket.h`; libc does not name it on every target.
    const SO_NETNS_COOKIE: libc::c_int = 71;

    sockopt_impl!(
        /// The cookie of the socket's network namespace.
        NetnsCookie,
        GetOnly,
        libc::SOL_SOCKET,
        SO_NETNS_COOKIE,
        u64
    );
    sockopt_impl!(
        /// Errors carry a text and the place of the offending attribute.
        ExtendedAck,
        SetOnly,
        libc::SOL_NETLINK,
        libc::NETLINK_EXT_ACK,
        bool
    );
    sockopt_impl!(
        /// Errors quote the request's header only.
        CapAck,
        SetOnly,
        libc::SOL_NETLINK,
        libc::NETLINK_CAP_ACK,
        bool
    );
}

// Both are ceilings: the kernel allocates what is queued, not what is allowed. 5,000 services
// with quotas are a batch of 6 MB.
const SEND_BUFFER: usize = 64 << 20;
const RECEIVE_BUFFER: usize = 8 << 20;
// The kernel fills up to 32 KiB of a dump at once for readers who show room for it; an
// acknowledgement is shorter since requests are not quoted.
const READ_SIZE: usize = 128 << 10;
// What `netlink_sendmsg` keeps of the send buffer for itself.
const SEND_OVERHEAD: usize = 32;

/// A connection to nf_tables in the network namespace of the thread that opened it.
pub struct Socket {
    pub(crate) fd: OwnedFd,
    buffer: Vec<u8>,
    sequence: u32,
    max_batch_bytes: usize,
}

impl Socket {
    /// Opens a socket.
    ///
    /// Needs no privilege by itself; the buffers are as large as the process may make them.
    ///
    /// # Errors
    ///
    /// [`Error::SubsystemMissing`] when the kernel has no nfnetlink, [`Error::Io`] otherwise.
    pub fn open() -> Result<Self, Error> {
        Self::connect(SockProtocol::NetlinkNetFilter)
    }

    /// Opens a socket to one of the kernel's netlink families.
    pub(crate) fn connect(protocol: SockProtocol) -> Result<Self, Error> {
        let fd = socket(
            AddressFamily::Netlink,
            SockType::Raw,
            SockFlag::SOCK_CLOEXEC,
            protocol,
        )
        .map_err(|errno| match errno {
            Errno::EPROTONOSUPPORT | Errno::EAFNOSUPPORT => Error::SubsystemMissing,
            other => other.into(),
        })?;
        bind(fd.as_raw_fd(), &NetlinkAddr::new(0, 0))?;
        setsockopt(&fd, option::ExtendedAck, &true)?;
        setsockopt(&fd, option::CapAck, &true)?;
        // In a container without CAP_NET_ADMIN of its own the plain options apply, up to
        // wmem_max and rmem_max.
        if setsockopt(&fd, SndBufForce, &SEND_BUFFER).is_err() {
            setsockopt(&fd, SndBuf, &SEND_BUFFER)?;
        }
        if setsockopt(&fd, RcvBufForce, &RECEIVE_BUFFER).is_err() {
            setsockopt(&fd, RcvBuf, &RECEIVE_BUFFER)?;
        }
        let max_batch_bytes = getsockopt(&fd, SndBuf)?.saturating_sub(SEND_OVERHEAD);
        Ok(Self {
            fd,
            buffer: vec![0; READ_SIZE],
            sequence: 1,
            max_batch_bytes,
        })
    }

    /// Returns the size of the largest batch that one send takes, in bytes.
    pub fn max_batch_bytes(&self) -> usize {
        self.max_batch_bytes
    }

    /// Returns the cookie of the socket's network namespace, which no other namespace gets until
    /// the next boot; `None` before Linux 5.14.
    ///
    /// # Errors
    ///
    /// [`Error::Io`] when the kernel refuses for another reason.
    ///
    /// Source: `include/uapi/asm-generic/socket.h`, `SO_NETNS_COOKIE`.
    pub fn netns_cookie(&self) -> Result<Option<u64>, Error> {
        match getsockopt(&self.fd, option::NetnsCookie) {
            Ok(cookie) => Ok(Some(cookie)),
            Err(Errno::ENOPROTOOPT) => Ok(None),
            Err(errno) => Err(errno.into()),
        }
    }

    /// Takes `count` sequence numbers and returns the first.
    pub(crate) fn take_sequence(&mut self, count: u32) -> u32 {
        let first = self.sequence;
        self.sequence = self.sequence.wrapping_add(count);
        first
    }

    /// Clears what is left of earlier replies, then sends `bytes` in one piece.
    pub(crate) fn send(&mut self, bytes: &[u8]) -> Result<(), Error> {
        while self.receive()?.is_some() {}
        loop {
            return match send(self.fd.as_raw_fd(), bytes, MsgFlags::empty()) {
                Ok(_) => Ok(()),
                Err(Errno::EINTR) => continue,
                Err(Errno::EMSGSIZE) => Err(Error::TooLong { bytes: bytes.len() }),
                Err(errno) => Err(errno.into()),
            };
        }
    }

    /// Reads one datagram; `None` when no reply is left.
    pub(crate) fn receive(&mut self) -> Result<Option<Datagram<'_>>, Error> {
        loop {
            let flags = MsgFlags::MSG_DONTWAIT | MsgFlags::MSG_TRUNC;
            return match recv(self.fd.as_raw_fd(), &mut self.buffer, flags) {
                Ok(length) => match self.buffer.get(..length) {
                    Some(bytes) => Ok(Some(Datagram::Messages(bytes))),
                    None => Ok(Some(Datagram::Lost)),
                },
                Err(Errno::EAGAIN) => Ok(None),
                Err(Errno::EINTR) => continue,
                Err(Errno::ENOBUFS) => Ok(Some(Datagram::Lost)),
                Err(errno) => Err(errno.into()),
            };
        }
    }

    /// Hands every reply within `count` sequence numbers from `first` to `each`, until none is
    /// left.
    ///
    /// # Errors
    ///
    /// The first error of `each`, or [`Error::ReplyLost`]; the queue is empty even then.
    pub(crate) fn collect(
        &mut self,
        first: u32,
        count: u32,
        mut each: impl FnMut(&Raw<'_>) -> Result<(), Error>,
    ) -> Result<(), Error> {
        let mut result = Ok(());
        let mut lost = false;
        while let Some(datagram) = self.receive()? {
            let Datagram::Messages(bytes) = datagram else {
                lost = true;
                continue;
            };
            if result.is_err() {
                continue;
            }
            result = messages(bytes).try_for_each(|raw| {
                let raw = raw?;
                if raw.kind == u16::from(Nlmsg::Overrun) {
                    return Err(Error::ReplyLost);
                }
                let ours = raw.sequence.wrapping_sub(first) < count;
                if ours { each(&raw) } else { Ok(()) }
            });
        }
        if lost && result.is_ok() {
            Err(Error::ReplyLost)
        } else {
            result
        }
    }
}

/// What one read brought.
pub(crate) enum Datagram<'a> {
    /// Whole messages.
    Messages(&'a [u8]),
    /// Replies were dropped for want of space.
    Lost,
}
