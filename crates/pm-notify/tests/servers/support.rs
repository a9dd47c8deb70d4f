//! Real servers for the tests, on loopback: each test starts its own and sees what arrived.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::Mutex;
use std::sync::mpsc::{Receiver, channel};
use std::thread;
use std::time::Duration;

use pm_notify::{Failure, Outcome, Part, Why};

/// What a client sent.
#[derive(Clone, Debug, Default)]
pub(crate) struct Request {
    pub(crate) method: String,
    pub(crate) path: String,
    pub(crate) headers: Vec<(String, String)>,
    pub(crate) body: Vec<u8>,
}

impl Request {
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        let mut headers = self.headers.iter();
        let found = headers.find(|(header, _)| header.eq_ignore_ascii_case(name));
        found.map(|(_, value)| &**value)
    }

    pub(crate) fn text(&self) -> &str {
        std::str::from_utf8(&self.body).unwrap()
    }

    pub(crate) fn json(&self) -> serde_json::Value {
        serde_json::from_slice(&self.body).unwrap()
    }
}

/// A server that reads a request and lets `answer` write whatever it likes.
pub(crate) struct Server {
    pub(crate) base: String,
    pub(crate) requests: Receiver<Request>,
}

impl Server {
    pub(crate) fn start(answer: impl Fn(&Request, &mut TcpStream) + Send + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let base = format!("http://{}", listener.local_addr().unwrap());
        let (sender, requests) = channel();
        // It ends with the test's process.
        thread::spawn(move || {
            for stream in listener.incoming() {
                let mut stream = stream.unwrap();
                let Some(request) = read(&mut stream) else {
                    continue;
                };
                answer(&request, &mut stream);
                if sender.send(request).is_err() {
                    break;
                }
            }
        });
        Self { base, requests }
    }

    /// Answers everything the same.
    pub(crate) fn saying(status: &str, body: &str) -> Self {
        Self::with_headers(status, "", body)
    }

    /// Answers everything the same, with so many more headers.
    pub(crate) fn with_headers(status: &str, headers: &str, body: &str) -> Self {
        let whole = response(status, headers, body);
        Self::start(move |_, stream| {
            let _ = stream.write_all(whole.as_bytes());
        })
    }

    /// Answers everything the same, byte by byte as it is written here, and never hangs up: what
    /// the client asks for is up to the client.
    pub(crate) fn holding(answer: &'static str) -> Self {
        let held = Mutex::new(Vec::new());
        Self::start(move |_, stream| {
            let _ = stream.write_all(answer.as_bytes());
            held.lock().unwrap().push(stream.try_clone().unwrap());
        })
    }

    /// Returns what arrived, in order.
    pub(crate) fn arrived(&self) -> Vec<Request> {
        let mut arrived = Vec::new();
        while let Ok(request) = self.requests.recv_timeout(Duration::from_millis(500)) {
            arrived.push(request);
        }
        arrived
    }

    /// Returns the one thing that arrived.
    pub(crate) fn only(&self) -> Request {
        self.requests.recv_timeout(Duration::from_secs(5)).unwrap()
    }
}

pub(crate) fn response(status: &str, headers: &str, body: &str) -> String {
    let length = body.len();
    format!(
        "HTTP/1.1 {status}\r\nContent-Type: application/json\r\nContent-Length: {length}\r\n\
         {headers}Connection: close\r\n\r\n{body}"
    )
}

fn read(stream: &mut TcpStream) -> Option<Request> {
    stream.set_read_timeout(Some(Duration::from_secs(5))).ok()?;
    let mut reader = BufReader::new(stream.try_clone().ok()?);
    let mut line = String::new();
    reader.read_line(&mut line).ok()?;
    let mut words = line.split_whitespace();
    let mut request = Request {
        method: words.next()?.to_owned(),
        path: words.next()?.to_owned(),
        ..Request::default()
    };
    loop {
        let mut line = String::new();
        reader.read_line(&mut line).ok()?;
        let Some((name, value)) = line.trim_end().split_once(": ") else {
            break;
        };
        request.headers.push((name.to_owned(), value.to_owned()));
    }
    let length = request
        .header("content-length")
        .map_or(0, |it| it.parse().unwrap());
    request.body = vec![0; length];
    reader.read_exact(&mut request.body).ok()?;
    Some(request)
}

pub(crate) fn part(text: &str) -> Part {
    Part {
        title: "[hk-01] 20000: blocked".into(),
        text: text.into(),
        format: pm_notify::part::Format::Plain,
        server: "hk-01".into(),
        event: "blocked".into(),
        time: "2026-11-22 08:15".into(),
    }
}

/// Returns why it was not delivered, and whether it will be tried again.
pub(crate) fn failure(outcome: Outcome) -> (Failure, bool) {
    match outcome {
        Outcome::Retry { failure, .. } => (failure, true),
        Outcome::Refused { failure } => (failure, false),
        outcome => panic!("{outcome:?}"),
    }
}

pub(crate) fn why(outcome: Outcome) -> Why {
    failure(outcome).0.why
}
