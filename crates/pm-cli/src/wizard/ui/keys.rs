//! What a terminal sends, as keys.
//!
//! - A return and the line feed behind it are one Enter, whichever of the two a paste ends its lines with.
//! - A character that arrives in pieces waits for the rest of it; a lone escape is a key once nothing follows.
//! - What is pasted between its brackets (xterm's "bracketed paste") is one piece of text.

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
}

const ESCAPE: u8 = 0x1b;
const INTERRUPT: u8 = 0x03;
const PASTE_BEGINS: &[u8] = b"\x1b[200~";
const PASTE_ENDS: &[u8] = b"\x1b[201~";

/// The most of a paste that is looked at: no answer is as long.
const MOST_PASTED: usize = 64 << 10;

impl Decoder {
    /// Takes what was read.
    pub(in crate::wizard) fn feed(&mut self, bytes: &[u8]) {
        self.bytes.extend_from_slice(bytes);
    }

    /// Whether something waits for more to come.
    pub(in crate::wizard) fn is_waiting(&self) -> bool {
        !self.bytes.is_empty()
    }

    /// Returns the next key; `None`: more must come. With `is_all`, nothing more comes for now.
    pub(in crate::wizard) fn next(&mut self, is_all: bool) -> Option<Key> {
        loop {
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
    if bytes.starts_with(PASTE_BEGINS) {
        return paste(bytes);
    }
    let (key, length) = match bytes.get(1) {
        None if is_all => (Key::Escape, 1),
        None => return None,
        Some(b'[') => {
            let end = bytes
                .iter()
                .skip(2)
                .position(|byte| (0x40..=0x7e).contains(byte));
            match end {
                Some(end) => (control_sequence(&bytes[2..=2 + end]), end + 3),
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

fn paste(bytes: &[u8]) -> Option<(Key, usize)> {
    let text = &bytes[PASTE_BEGINS.len()..];
    let end = text
        .windows(PASTE_ENDS.len())
        .position(|window| window == PASTE_ENDS);
    // Where its end was lost, it must not swallow the way out.
    if let (None, Some(at)) = (end, text.iter().position(|byte| *byte == INTERRUPT)) {
        return Some((Key::Interrupt, PASTE_BEGINS.len() + at + 1));
    }
    let (text, length) = match end {
        Some(end) => (&text[..end], PASTE_BEGINS.len() + end + PASTE_ENDS.len()),
        None if text.len() > MOST_PASTED => (text, bytes.len()),
        None => return None,
    };
    Some((
        Key::Paste(String::from_utf8_lossy(text).into_owned()),
        length,
    ))
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
        assert_eq!(
            keys(&[b"\x1b[200~80", b"\x03x"]),
            [Key::Interrupt, Key::Char('x')]
        );
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
