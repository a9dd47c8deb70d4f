//! What follows an interim answer: minreq takes that for the last one, and all the rest for its
//! body.
//!
//! Source: RFC 9110, section 15.2; RFC 9112, sections 4, 5, 6.3 and 7.1.

use std::io::{self, BufRead, Read};

/// The beginning of an answer.
#[derive(Debug, Eq, PartialEq)]
pub(super) struct Head {
    /// HTTP's number.
    pub(super) status: u16,
    /// Names and values.
    pub(super) headers: Vec<(String, String)>,
}

impl Head {
    /// Returns a header's value.
    pub(super) fn header(&self, name: &str) -> Option<&str> {
        let mut headers = self.headers.iter();
        let found = headers.find(|(header, _)| header.eq_ignore_ascii_case(name));
        found.map(|(_, value)| value.trim())
    }
}

/// Whether another answer follows one of this number.
pub(super) fn is_interim(status: u16) -> bool {
    (100..200).contains(&status)
}

/// Whether an answer of this number has no body, whatever its headers say.
pub(super) fn is_bare(status: u16) -> bool {
    matches!(status, 204 | 205 | 304)
}

/// Reads up to the head of the last answer, and returns it. The whole of `rest` must be bounded.
///
/// # Errors
///
/// When it breaks off, or is no HTTP.
pub(super) fn read_last(rest: &mut impl BufRead) -> io::Result<Head> {
    loop {
        let head = read_head(rest)?;
        if !is_interim(head.status) {
            return Ok(head);
        }
    }
}

/// Reads the body that follows a head, up to `most` bytes.
///
/// # Errors
///
/// When it breaks off, or is not as its head says; `body` holds what came.
pub(super) fn read_body(
    mut rest: impl BufRead,
    head: &Head,
    most: u64,
    body: &mut Vec<u8>,
) -> io::Result<()> {
    let is_chunked = head.header("transfer-encoding");
    if is_chunked.is_some_and(|it| it.eq_ignore_ascii_case("chunked")) {
        read_chunks(&mut rest, most, body)
    } else if let Some(length) = head.header("content-length") {
        let length: u64 = length.parse().map_err(|_| broken())?;
        read_some(&mut rest, length.min(most), body)
    } else {
        rest.take(most).read_to_end(body).map(drop)
    }
}

fn read_head(rest: &mut impl BufRead) -> io::Result<Head> {
    let line = read_line(rest)?;
    let mut words = line.split(' ');
    let version = words.next().unwrap_or_default();
    let status = words.next().and_then(|status| status.parse().ok());
    let status = status.filter(|_| version.starts_with("HTTP/"));
    let status = status.ok_or_else(broken)?;
    let mut headers = Vec::new();
    loop {
        let line = read_line(rest)?;
        if line.is_empty() {
            return Ok(Head { status, headers });
        }
        if let Some((name, value)) = line.split_once(':') {
            headers.push((name.to_owned(), value.trim().to_owned()));
        }
    }
}

fn read_chunks(rest: &mut impl BufRead, most: u64, body: &mut Vec<u8>) -> io::Result<()> {
    loop {
        let line = read_line(rest)?;
        let length = line.split(';').next().unwrap_or_default().trim();
        let length = u64::from_str_radix(length, 16).map_err(|_| broken())?;
        let room = most.saturating_sub(body.len() as u64);
        read_some(rest, length.min(room), body)?;
        if length == 0 || length >= room {
            return Ok(());
        }
        read_line(rest)?;
    }
}

fn read_some(rest: &mut impl Read, length: u64, body: &mut Vec<u8>) -> io::Result<()> {
    let read = rest.take(length).read_to_end(body)?;
    match read as u64 == length {
        true => Ok(()),
        false => Err(io::ErrorKind::UnexpectedEof.into()),
    }
}

fn read_line(rest: &mut impl BufRead) -> io::Result<String> {
    let mut line = Vec::new();
    rest.read_until(b'\n', &mut line)?;
    if line.pop() != Some(b'\n') {
        return Err(io::ErrorKind::UnexpectedEof.into());
    }
    if line.last() == Some(&b'\r') {
        line.pop();
    }
    String::from_utf8(line).map_err(|_| broken())
}

fn broken() -> io::Error {
    io::Error::other("the answer is no HTTP")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> io::Result<(u16, String)> {
        let (mut rest, mut body) = (text.as_bytes(), Vec::new());
        let head = read_last(&mut rest)?;
        if !is_bare(head.status) {
            read_body(rest, &head, 10, &mut body)?;
        }
        Ok((head.status, String::from_utf8_lossy(&body).into_owned()))
    }

    #[test]
    fn the_last_answer_counts_with_its_own_length() {
        for (text, status, body) in [
            ("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok…", 200, "ok"),
            (
                "HTTP/1.1 103 \r\na: b\r\n\r\nHTTP/1.1 404 No\r\n\r\nno",
                404,
                "no",
            ),
            ("HTTP/1.1 204 No\r\nContent-Length: 5\r\n\r\n", 204, ""),
            (
                "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2;x\r\nab\r\n1\r\nc\r\n0\r\n\r\n",
                200,
                "abc",
            ),
            (
                "HTTP/1.1 200 OK\nContent-Length: 99\n\n0123456789abc",
                200,
                "0123456789",
            ),
            (
                "HTTP/1.1 200 OK\nTransfer-Encoding: chunked\n\nff\n0123456789abc",
                200,
                "0123456789",
            ),
        ] {
            assert_eq!(read(text).unwrap(), (status, body.to_owned()), "{text}");
        }
    }

    #[test]
    fn half_an_answer_is_none() {
        for text in [
            "",
            "HTTP/1.1 200",
            "HTTP/1.1 200 OK\r\n",
            "HTTP/1.1 100 Continue\r\n\r\n",
            "HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nok",
            "HTTP/1.1 200 OK\r\nContent-Length: -1\r\n\r\n",
            "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
            "<html>\r\n\r\n",
        ] {
            assert!(read(text).is_err(), "{text}");
        }
    }
}
