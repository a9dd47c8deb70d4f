//! The terminal itself: what is typed arrives at once and unseen, and all is as before at the end.

use std::io::{self, Write};
use std::os::fd::AsFd;

use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::signal::{SigSet, Signal};
use nix::sys::termios::{
    self, ControlFlags, InputFlags, LocalFlags, SetArg, SpecialCharacterIndices, Termios,
};

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
        end_cleanly(before.clone(), setup)?;
        termios::tcsetattr(io::stdin(), SetArg::TCSADRAIN, &during)?;
        let guard = Self { before, setup };
        if setup == Setup::Keys {
            write(PASTE_ON)?;
        }
        Ok(guard)
    }
}

impl Drop for Guard {
    fn drop(&mut self) {
        put_back(&self.before, self.setup);
    }
}

/// Lets a signal that ends the process put the terminal back before.
fn end_cleanly(before: Termios, setup: Setup) -> io::Result<()> {
    let signals = [
        Signal::SIGTERM,
        Signal::SIGHUP,
        Signal::SIGINT,
        Signal::SIGQUIT,
    ];
    let signals: SigSet = signals.into_iter().collect();
    signals.thread_block()?;
    std::thread::Builder::new().spawn(move || {
        let Ok(signal) = signals.wait() else { return };
        put_back(&before, setup);
        std::process::exit(128 + signal as i32);
    })?;
    Ok(())
}

/// A terminal that has gone cannot be put back, and need not.
fn put_back(before: &Termios, setup: Setup) {
    let _ = termios::tcsetattr(io::stdin(), SetArg::TCSANOW, before);
    if setup == Setup::Keys {
        let _ = write(PASTE_OFF);
    }
}

fn write(text: &str) -> io::Result<()> {
    let mut stdout = io::stdout().lock();
    stdout.write_all(text.as_bytes())?;
    stdout.flush()
}

/// What is typed, key by key.
#[derive(Debug, Default)]
pub(in crate::wizard) struct Keys {
    decoder: Decoder,
}

impl Keys {
    /// Waits for a key.
    ///
    /// # Errors
    ///
    /// The terminal has gone.
    pub(in crate::wizard) fn next(&mut self) -> io::Result<Key> {
        let mut is_all = false;
        loop {
            if let Some(key) = self.decoder.next(is_all) {
                return Ok(key);
            }
            let timeout = if self.decoder.is_waiting() {
                PollTimeout::from(REST_OF_KEY_MS)
            } else {
                PollTimeout::NONE
            };
            let stdin = io::stdin();
            let mut wanted = [PollFd::new(stdin.as_fd(), PollFlags::POLLIN)];
            match poll(&mut wanted, timeout) {
                Ok(0) => is_all = true,
                Ok(_) => {
                    is_all = false;
                    self.read()?;
                }
                Err(nix::errno::Errno::EINTR) => {}
                Err(error) => return Err(error.into()),
            }
        }
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
