//! The terminal itself: what is typed arrives at once and unseen, and all is as before at the end.

use std::io::{self, Write};
use std::os::fd::AsFd;

use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::signal::{SigSet, Signal};
use nix::sys::signalfd::{SfdFlags, SignalFd};
use nix::sys::termios::{
    self, ControlFlags, InputFlags, LocalFlags, SetArg, SpecialCharacterIndices, Termios,
};
use nix::unistd::Pid;

use super::keys::{Decoder, Key};

/// For how long the rest of a key that begins with an escape may take.
const REST_OF_KEY_MS: u8 = 60;

const PASTE_ON: &str = "\x1b[?2004h";
const PASTE_OFF: &str = "\x1b[?2004l";

/// How a terminal is set up.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(in crate::wizard) enum Setup {
    /// Each key at once, none of them shown.
    Keys,
    /// Whole lines, edited and shown by the terminal.
    Lines,
}

/// Puts the terminal back when it goes, or when the process is asked to end.
#[derive(Debug)]
pub(in crate::wizard) struct Guard {
    before: Termios,
    setup: Setup,
}

impl Guard {
    /// Sets the terminal up. In either way a Ctrl-C is something that is read, not a signal.
    ///
    /// # Errors
    ///
    /// As the system says; nothing has changed.
    pub(in crate::wizard) fn new(setup: Setup) -> io::Result<Self> {
        let before = termios::tcgetattr(io::stdin())?;
        let mut during = before.clone();
        during.local_flags.remove(LocalFlags::ISIG);
        match setup {
            Setup::Keys => {
                let line = LocalFlags::ICANON | LocalFlags::ECHO | LocalFlags::IEXTEN;
                during.local_flags.remove(line);
                let changed = InputFlags::ICRNL
                    | InputFlags::INLCR
                    | InputFlags::IGNCR
                    | InputFlags::ISTRIP
                    | InputFlags::IXON;
                during.input_flags.remove(changed);
                during.control_flags.insert(ControlFlags::CS8);
                during.control_chars[SpecialCharacterIndices::VMIN as usize] = 1;
                during.control_chars[SpecialCharacterIndices::VTIME as usize] = 0;
            }
            // A second character that ends a line, so that it is read at once.
            Setup::Lines => during.control_chars[SpecialCharacterIndices::VEOL as usize] = 0x03,
        }
        watch_signals(before.clone(), during.clone(), setup)?;
        termios::tcsetattr(io::stdin(), SetArg::TCSADRAIN, &during)?;
        let guard = Self { before, setup };
        if setup == Setup::Keys {
            write(PASTE_ON)?;
        }
        Ok(guard)
    }
}

impl Guard {
    /// Has the terminal show what is typed, or not.
    ///
    /// # Errors
    ///
    /// As the system says; nothing has changed.
    pub(in crate::wizard) fn echo(&self, shows: bool) -> io::Result<()> {
        let mut now = termios::tcgetattr(io::stdin())?;
        now.local_flags.set(LocalFlags::ECHO, shows);
        Ok(termios::tcsetattr(io::stdin(), SetArg::TCSADRAIN, &now)?)
    }
}

impl Drop for Guard {
    fn drop(&mut self) {
        put_back(&self.before, self.setup);
    }
}

/// Lets a signal that ends the process put the terminal back before, and one after which it goes on, set
/// it up again: a shell in between has put it back. One that tells of another size waits until it is
/// read: that no thread may receive it has to be so before there is a second.
fn watch_signals(before: Termios, during: Termios, setup: Setup) -> io::Result<()> {
    let signals = [
        Signal::SIGTERM,
        Signal::SIGHUP,
        Signal::SIGINT,
        Signal::SIGQUIT,
        Signal::SIGCONT,
    ];
    let signals: SigSet = signals.into_iter().collect();
    signals.thread_block()?;
    SigSet::from(Signal::SIGWINCH).thread_block()?;
    std::thread::Builder::new().spawn(move || {
        while let Ok(signal) = signals.wait() {
            if signal == Signal::SIGCONT {
                set(&during, setup, PASTE_ON);
                // What was painted is gone, as if there were another terminal.
                let _ = nix::sys::signal::kill(Pid::this(), Signal::SIGWINCH);
                continue;
            }
            put_back(&before, setup);
            std::process::exit(128 + signal as i32);
        }
    })?;
    Ok(())
}

fn put_back(before: &Termios, setup: Setup) {
    set(before, setup, PASTE_OFF);
}

/// Sets a terminal up, without waiting for one that does not read any more, or for whoever waits for that and
/// holds stdout. One that has gone cannot be set up, and need not.
fn set(termios: &Termios, setup: Setup, paste: &str) {
    let _ = termios::tcsetattr(io::stdin(), SetArg::TCSANOW, termios);
    let stdout = io::stdout();
    let mut wanted = [PollFd::new(stdout.as_fd(), PollFlags::POLLOUT)];
    let has_room = matches!(poll(&mut wanted, PollTimeout::ZERO), Ok(1));
    if setup == Setup::Keys && has_room {
        let _ = nix::unistd::write(&stdout, paste.as_bytes());
    }
}

fn write(text: &str) -> io::Result<()> {
    let mut stdout = io::stdout().lock();
    stdout.write_all(text.as_bytes())?;
    stdout.flush()
}

/// What is typed, key by key.
#[derive(Debug)]
pub(in crate::wizard) struct Keys {
    decoder: Decoder,
    /// Readable when the terminal has another size. Without it, the next key repaints.
    resized: Option<SignalFd>,
}

impl Keys {
    /// Listens to a terminal that a [`Guard`] has set up.
    pub(in crate::wizard) fn new() -> Self {
        let flags = SfdFlags::SFD_NONBLOCK | SfdFlags::SFD_CLOEXEC;
        Self {
            decoder: Decoder::default(),
            resized: SignalFd::with_flags(&SigSet::from(Signal::SIGWINCH), flags).ok(),
        }
    }

    /// Waits for a key.
    ///
    /// # Errors
    ///
    /// The terminal has gone.
    pub(in crate::wizard) fn next(&mut self) -> io::Result<Key> {
        loop {
            if let Some(key) = self.next_within(PollTimeout::NONE)? {
                return Ok(key);
            }
        }
    }

    /// Waits for a key, but no longer than `limit`; `None`: there was none.
    ///
    /// # Errors
    ///
    /// The terminal has gone.
    pub(in crate::wizard) fn next_within(&mut self, limit: PollTimeout) -> io::Result<Option<Key>> {
        let mut is_all = false;
        loop {
            if let Some(key) = self.decoder.next(is_all) {
                return Ok(Some(key));
            }
            let is_amid_a_key = self.decoder.is_waiting();
            let timeout = if is_amid_a_key {
                PollTimeout::from(REST_OF_KEY_MS)
            } else {
                limit
            };
            match self.wait(timeout) {
                Ok(Woken { resized: true, .. }) => return Ok(Some(Key::Resized)),
                Ok(Woken { typed: true, .. }) => {
                    is_all = false;
                    self.read()?;
                }
                Ok(_) if is_amid_a_key => is_all = true,
                Ok(_) => return Ok(None),
                Err(nix::errno::Errno::EINTR) => {}
                Err(error) => return Err(error.into()),
            }
        }
    }

    /// Drops what was typed so far. It is read, not flushed: the beginning of a paste must not get
    /// lost, else the rest of it were keys.
    pub(in crate::wizard) fn forget(&mut self) {
        self.decoder.forget();
        while matches!(self.wait(PollTimeout::ZERO), Ok(Woken { typed: true, .. })) {
            // A terminal that has gone, the next key finds out.
            if self.read().is_err() {
                return;
            }
            self.decoder.forget();
        }
    }

    fn wait(&self, timeout: PollTimeout) -> nix::Result<Woken> {
        let stdin = io::stdin();
        let mut wanted = vec![PollFd::new(stdin.as_fd(), PollFlags::POLLIN)];
        let resized = self.resized.as_ref().map(AsFd::as_fd);
        wanted.extend(resized.map(|fd| PollFd::new(fd, PollFlags::POLLIN)));
        poll(&mut wanted, timeout)?;
        let is_woken = |fd: &PollFd<'_>| fd.revents().is_some_and(|events| !events.is_empty());
        let mut woken = wanted.iter().map(is_woken);
        let typed = woken.next().unwrap_or(false);
        let mut resized = false;
        if let (Some(true), Some(fd)) = (woken.next(), &self.resized) {
            // However often it has changed since, there is one size now.
            while let Ok(Some(_)) = fd.read_signal() {
                resized = true;
            }
        }
        Ok(Woken { typed, resized })
    }

    fn read(&mut self) -> io::Result<()> {
        let mut bytes = [0; 4096];
        match nix::unistd::read(io::stdin(), &mut bytes) {
            Ok(0) => Err(io::ErrorKind::UnexpectedEof.into()),
            Ok(length) => {
                self.decoder.feed(&bytes[..length]);
                Ok(())
            }
            Err(nix::errno::Errno::EINTR | nix::errno::Errno::EAGAIN) => Ok(()),
            Err(error) => Err(error.into()),
        }
    }
}

/// What ended a wait.
#[derive(Clone, Copy, Debug)]
struct Woken {
    typed: bool,
    resized: bool,
}
