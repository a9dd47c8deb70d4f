//! What a terminal sends, as keys.
//!
//! - A return and the line feed behind it are one Enter, whichever of the two a paste ends its lines with.
//! - A character that arrives in pieces waits for the rest of it; a lone escape is a key once nothing follows.
//! - What is pasted between its brackets (xterm's "bracketed paste") is one piece of text, however long and in
//!   however many pieces: nothing between them is ever a key, but a Ctrl-C that nothing follows.

/// A key.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(in crate::wizard) enum Key {
    Char(char),
    Paste(String),
    Enter,
    Backspace,
    Delete,
    Left,
    Right,
    Up,
    Down,
    Home,
    End,
    PageUp,
    PageDown,
    Escape,
    /// Ctrl-U.
    Erase,
    /// Ctrl-C.
    Interrupt,
    /// Ctrl-D.
    EndOfInput,
    /// None was pressed: the terminal has changed its size.
    Resized,
    /// One that means nothing here.
    Other,
}

/// Puts the bytes of a terminal together.
#[derive(Debug, Default)]
pub(in crate::wizard) struct Decoder {
    bytes: Vec<u8>,
    after_return: bool,
    /// Between the two brackets of a paste.
    paste: Option<Paste>,
}

/// What came of a paste so far.
#[derive(Debug)]
enum Paste {
    /// This much, which may be all that is kept of it.
    Kept(Vec<u8>),
    /// Nothing of it is wanted any more.
    Dropped,
}

const ESCAPE: u8 = 0x1b;
const INTERRUPT: u8 = 0x03;
const PASTE_BEGINS: &[u8] = b"\x1b[200~";
const PASTE_ENDS: &[u8] = b"\x1b[201~";

/// The most that is kept of a paste: no answer is as long.
const MOST_PASTED: usize = 64 << 10;

impl Decoder {
    /// Takes what was read.
    pub(in crate::wizard) fn feed(&mut self, bytes: &[u8]) {
        self.bytes.extend_from_slice(bytes);
    }

    /// Forgets what it has. What is still to come of a paste remains part of one.
    pub(in crate::wizard) fn forget(&mut self) {
        while self.next(true).is_some() {}
        if self.paste.is_some() {
            self.paste = Some(Paste::Dropped);
        }
    }

    /// Whether something becomes a key when nothing more comes.
    pub(in crate::wizard) fn is_waiting(&self) -> bool {
        match self.paste {
            Some(_) => self.bytes.last() == Some(&INTERRUPT),
            None => !self.bytes.is_empty() && !begins_paste(&self.bytes),
        }
    }

    /// Returns the next key; `None`: more must come. With `is_all`, nothing more comes for now.
    pub(in crate::wizard) fn next(&mut self, is_all: bool) -> Option<Key> {
        loop {
            if self.paste.is_some() {
                match self.pasted(is_all) {
                    Some(key) => return Some(key),
                    None if self.paste.is_some() => return None,
                    None => {}
                }
            }
            if self.bytes.starts_with(PASTE_BEGINS) {
                self.bytes.drain(..PASTE_BEGINS.len());
                self.paste = Some(Paste::Kept(Vec::new()));
                self.after_return = false;
                continue;
            }
            let (key, length) = first(&self.bytes, is_all)?;
            let byte = self.bytes.first().copied();
            self.bytes.drain(..length);
            let is_rest_of_return = byte == Some(b'\n') && self.after_return;
            self.after_return = byte == Some(b'\r');
            if !is_rest_of_return {
                return Some(key);
            }
        }
    }

    /// Goes on inside a paste; returns it, or the Ctrl-C in it that nothing follows.
    ///
    /// A Ctrl-C that somebody types must lead out where the end of a paste was lost. What comes after
    /// it may be the rest of the paste all the same, so it ends with its bracket only.
    fn pasted(&mut self, is_all: bool) -> Option<Key> {
        let end = self
            .bytes
            .windows(PASTE_ENDS.len())
            .position(|window| window == PASTE_ENDS);
        if let Some(end) = end {
            self.keep(end);
            self.bytes.drain(..PASTE_ENDS.len());
            return match self.paste.take()? {
                Paste::Kept(bytes) => Some(Key::Paste(text(&bytes))),
                Paste::Dropped => None,
            };
        }
        if is_all && self.bytes.last() == Some(&INTERRUPT) {
            self.bytes.clear();
            self.paste = Some(Paste::Dropped);
            return Some(Key::Interrupt);
        }
        // What may be the beginning of the end, or a key, stays.
        let is_open = |at: &usize| {
            let rest = &self.bytes[*at..];
            PASTE_ENDS.starts_with(rest) || rest == [INTERRUPT]
        };
        let length = self.bytes.len();
        let open = (length.saturating_sub(PASTE_ENDS.len())..length).find(is_open);
        self.keep(open.unwrap_or(length));
        None
    }

    /// Takes so many bytes into the paste, one more than fit at most.
    fn keep(&mut self, length: usize) {
        let taken = self.bytes.drain(..length);
        if let Some(Paste::Kept(kept)) = &mut self.paste {
            let room = (MOST_PASTED + 1).saturating_sub(kept.len());
            kept.extend(taken.take(room));
        }
    }
}

/// Returns what was pasted. Where it was too long, that is to be seen: the beginning of a list of
/// ports must not pass for the list.
fn text(bytes: &[u8]) -> String {
    match bytes.get(..MOST_PASTED) {
        Some(first) if bytes.len() > MOST_PASTED => {
            format!("{}...", String::from_utf8_lossy(first))
        }
        _ => String::from_utf8_lossy(bytes).into_owned(),
    }
}

/// Whether it is the first part of what begins a paste, and of no key that could end here.
fn begins_paste(bytes: &[u8]) -> bool {
    bytes.len() > 2 && PASTE_BEGINS.starts_with(bytes)
}

/// Returns the first key of `bytes` and how many of them it takes.
fn first(bytes: &[u8], is_all: bool) -> Option<(Key, usize)> {
    let key = match *bytes.first()? {
        ESCAPE => return escape(bytes, is_all),
        b'\r' | b'\n' => Key::Enter,
        0x7f | 0x08 => Key::Backspace,
        0x01 => Key::Home,
        0x05 => Key::End,
        0x15 => Key::Erase,
        INTERRUPT => Key::Interrupt,
        0x04 => Key::EndOfInput,
        b'\t' => Key::Char(' '),
        0x00..=0x1f => Key::Other,
        byte if byte.is_ascii() => Key::Char(byte.into()),
        _ => return character(bytes, is_all),
    };
    Some((key, 1))
}

fn character(bytes: &[u8], is_all: bool) -> Option<(Key, usize)> {
    let begin = &bytes[..bytes.len().min(4)];
    let valid = match std::str::from_utf8(begin) {
        Ok(text) => text,
        Err(error) if error.valid_up_to() == 0 => {
            return match error.error_len() {
                Some(length) => Some((Key::Other, length)),
                None => is_all.then_some((Key::Other, begin.len())),
            };
        }
        Err(error) => std::str::from_utf8(&begin[..error.valid_up_to()]).unwrap_or_default(),
    };
    let c = valid.chars().next()?;
    let key = if c.is_control() {
        Key::Other
    } else {
        Key::Char(c)
    };
    Some((key, c.len_utf8()))
}

/// Source: ECMA-48, 5.4, "Control sequences"; xterm's ctlseqs, "PC-Style Function Keys".
fn escape(bytes: &[u8], is_all: bool) -> Option<(Key, usize)> {
    if begins_paste(bytes) {
        return None;
    }
    let (key, length) = match bytes.get(1) {
        None if is_all => (Key::Escape, 1),
        None => return None,
        Some(b'[') => {
            let is_over = |byte: &u8| !(0x20..=0x3f).contains(byte);
            match bytes.iter().skip(2).position(is_over) {
                Some(end) if (0x40..=0x7e).contains(&bytes[2 + end]) => {
                    (control_sequence(&bytes[2..=2 + end]), end + 3)
                }
                // It breaks off: what comes instead is a key of its own.
                Some(end) => (Key::Other, end + 2),
                None if is_all => (Key::Other, bytes.len()),
                None => return None,
            }
        }
        Some(b'O') => match bytes.get(2) {
            Some(&last) => (control_sequence(&[last]), 3),
            None if is_all => (Key::Other, 2),
            None => return None,
        },
        Some(&ESCAPE) => (Key::Escape, 1),
        Some(_) => (Key::Other, 2),
    };
    Some((key, length))
}

fn control_sequence(sequence: &[u8]) -> Key {
    match sequence {
        b"A" => Key::Up,
        b"B" => Key::Down,
        b"C" => Key::Right,
        b"D" => Key::Left,
        b"H" | b"1~" | b"7~" => Key::Home,
        b"F" | b"4~" | b"8~" => Key::End,
        b"3~" => Key::Delete,
        b"5~" => Key::PageUp,
        b"6~" => Key::PageDown,
        // The Enter of the keypad, in application mode.
        b"M" => Key::Enter,
        _ => Key::Other,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn keys(pieces: &[&[u8]]) -> Vec<Key> {
        let mut decoder = Decoder::default();
        let mut keys = Vec::new();
        for piece in pieces {
            decoder.feed(piece);
            keys.extend(std::iter::from_fn(|| decoder.next(false)));
        }
        keys.extend(std::iter::from_fn(|| decoder.next(true)));
        keys
    }

    #[test]
    fn the_end_of_a_line_is_one_enter() {
        let one = |c| [Key::Char(c), Key::Enter];
        let expected = [one('a'), one('b')].concat();
        for text in ["a\rb\r", "a\nb\n", "a\r\nb\r\n"] {
            assert_eq!(keys(&[text.as_bytes()]), expected, "{text:?}");
        }
        assert_eq!(keys(&[b"\r", b"\n"]), [Key::Enter]);
        assert_eq!(keys(&[b"\r\r\n\n"]), [Key::Enter, Key::Enter, Key::Enter]);
    }

    #[test]
    fn keys_of_all_terminals_are_known() {
        for (bytes, key) in [
            (&b"\x1b[A"[..], Key::Up),
            (b"\x1bOA", Key::Up),
            (b"\x1b[B", Key::Down),
            (b"\x1b[3~", Key::Delete),
            (b"\x1b[5~", Key::PageUp),
            (b"\x1b[6~", Key::PageDown),
            (b"\x1b[1~", Key::Home),
            (b"\x1bOF", Key::End),
            (b"\x1b[1;5C", Key::Other),
            (b"\x1bx", Key::Other),
            (b"\x1b", Key::Escape),
            (b"\x03", Key::Interrupt),
            (b"\x04", Key::EndOfInput),
            (b"\xff", Key::Other),
        ] {
            assert_eq!(keys(&[bytes]), [key], "{bytes:?}");
        }
        assert_eq!(keys(&[b"\x1b", b"[", b"A"]), [Key::Up]);
        assert_eq!(keys(&[b"\xe7\xa7", b"\x9f"]), [Key::Char('租')]);
    }

    #[test]
    fn a_paste_is_one_piece() {
        let pasted = keys(&[b"\x1b[200~80\r\n4", b"43\x1b[20", b"1~x"]);
        assert_eq!(pasted, [Key::Paste("80\r\n443".to_owned()), Key::Char('x')]);
        assert_eq!(keys(&[b"\x1b[200~80"]), []);
    }

    #[test]
    fn nothing_in_a_paste_is_a_key_however_long_it_is() {
        for length in [10, MOST_PASTED - 5, MOST_PASTED, MOST_PASTED + 1, 200_000] {
            let text = "x".repeat(length) + "\r3\rall\ry\r\x03\x1b[A\x1b[200~";
            let pasted = format!("\x1b[200~{text}\x1b[201~\x1b[B");
            let kept = match text.get(..MOST_PASTED) {
                Some(first) => format!("{first}..."),
                None => text,
            };
            for size in (1..=13).chain([4095, 4096, 4097, MOST_PASTED, 300_000]) {
                let pieces: Vec<&[u8]> = pasted.as_bytes().chunks(size).collect();
                let expected = [Key::Paste(kept.clone()), Key::Down];
                assert!(keys(&pieces) == expected, "{length} in pieces of {size}");
            }
        }
    }

    #[test]
    fn where_the_end_of_a_paste_is_lost_there_is_a_way_out() {
        let mut decoder = Decoder::default();
        decoder.feed(b"\x1b[200~80\r3\r");
        assert_eq!(decoder.next(true), None);
        assert!(!decoder.is_waiting());
        for _ in 0..2 {
            decoder.feed(b"all\r\x03");
            assert_eq!(decoder.next(false), None);
            assert!(decoder.is_waiting());
            assert_eq!(decoder.next(true), Some(Key::Interrupt));
        }
        decoder.feed(b"y\r\x1b[20");
        assert_eq!(decoder.next(true), None);
        decoder.feed(b"1~x");
        assert_eq!(decoder.next(false), Some(Key::Char('x')));
        decoder.feed(b"x\x1b[200~80\r");
        decoder.forget();
        decoder.feed(b"3\r\x1b[201~y");
        assert_eq!(decoder.next(false), Some(Key::Char('y')));
        // Nor is it lost where it only comes late.
        decoder.feed(b"\x1b[20");
        assert_eq!(decoder.next(true), None);
        decoder.feed(b"0~3\r\x1b[201~");
        assert_eq!(decoder.next(false), Some(Key::Paste("3\r".to_owned())));
        decoder.feed(b"\x1b[2\x03");
        assert_eq!(decoder.next(true), Some(Key::Other));
        assert_eq!(decoder.next(true), Some(Key::Interrupt));
    }

    proptest! {
        #[test]
        fn what_arrives_in_pieces_is_what_arrives_at_once(text: String, at: prop::sample::Index) {
            let bytes = text.as_bytes();
            let at = at.index(bytes.len() + 1);
            // Only a lone escape depends on what has come by then.
            prop_assert_eq!(keys(&[&bytes[..at], &bytes[at..]]), keys(&[bytes]));
        }

        #[test]
        fn no_bytes_are_too_strange(bytes: Vec<u8>) {
            prop_assert!(keys(&[&bytes]).len() <= bytes.len());
        }
    }
}
