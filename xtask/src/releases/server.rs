//! A server of files, on the VPS's loopback, that can go wrong as servers do. Asked as a proxy, it answers itself for
//! whatever host is named.

use std::fs;
use std::io::{BufRead, BufReader, Lines, Write};
use std::net::{SocketAddr, TcpStream};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;

use anyhow::Result;

use crate::namespace::Namespace;
use crate::traffic;

/// What goes wrong with every program that is asked for; manifests always arrive.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Fault {
    /// Nothing.
    None,
    /// The connection is closed halfway.
    Truncated,
    /// A byte in the middle is another.
    Tampered,
    /// More is sent than was announced.
    Longer,
    /// There is no such file.
    Missing,
    /// The connection is closed without a word.
    Silent,
    /// The answer is of another protocol.
    Garbled,
}

/// The server. It ends when it is dropped.
pub(crate) struct Server {
    address: SocketAddr,
    fault: Arc<Mutex<Fault>>,
    stop: Arc<AtomicBool>,
}

impl Server {
    /// Serves the files in `dir` inside a namespace.
    ///
    /// # Errors
    ///
    /// When no port is free.
    pub(crate) fn start(namespace: &Namespace, dir: &Path) -> Result<Self> {
        let listener = traffic::listen(namespace, SocketAddr::from(([127, 0, 0, 1], 0)))?;
        let server = Self {
            address: listener.local_addr()?,
            fault: Arc::new(Mutex::new(Fault::None)),
            stop: Arc::default(),
        };
        let (dir, fault, stop) = (dir.to_owned(), server.fault.clone(), server.stop.clone());
        thread::spawn(move || {
            // Looks at `stop` between connections; the one that `drop` makes is the last.
            for stream in listener.incoming().flatten() {
                if stop.load(Ordering::SeqCst) {
                    break;
                }
                let fault = *fault.lock().unwrap_or_else(PoisonError::into_inner);
                let dir = dir.clone();
                thread::spawn(move || {
                    // Whoever asked may be gone.
                    let _ = answer(&stream, &dir, fault);
                });
            }
        });
        Ok(server)
    }

    /// Returns what is to be said to `--mirror`.
    pub(crate) fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Goes wrong in another way from now on.
    pub(crate) fn fails(&self, fault: Fault) {
        *self.fault.lock().unwrap_or_else(PoisonError::into_inner) = fault;
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::SeqCst);
    }
}

/// Reads the head of a request, and returns its first line.
fn head(lines: &mut Lines<BufReader<&TcpStream>>) -> std::io::Result<String> {
    let request = lines.next().transpose()?.unwrap_or_default();
    for line in lines {
        if line?.is_empty() {
            break;
        }
    }
    Ok(request)
}

fn answer(mut stream: &TcpStream, dir: &Path, fault: Fault) -> std::io::Result<()> {
    let mut lines = BufReader::new(stream).lines();
    let mut request = head(&mut lines)?;
    if request.starts_with("CONNECT ") {
        stream.write_all(b"HTTP/1.1 200 Connection established\r\n\r\n")?;
        request = head(&mut lines)?;
    }
    let name = request.split(' ').nth(1).unwrap_or_default();
    let path: PathBuf = dir.join(name.trim_start_matches('/'));
    let is_program = name.starts_with("/pm-") && !name.contains(".txt");
    let fault = if is_program { fault } else { Fault::None };
    let found = fs::read(&path).ok().filter(|_| fault != Fault::Missing);
    let Some(mut bytes) = found else {
        return stream.write_all(
            b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\nConnection: close\r\n\r\n",
        );
    };
    let announced = bytes.len();
    let middle = announced / 2;
    match fault {
        Fault::Truncated => bytes.truncate(middle),
        Fault::Tampered => bytes[middle] ^= 1,
        Fault::Longer => bytes.push(0),
        Fault::Silent => return Ok(()),
        Fault::Garbled => return stream.write_all(b"220 mail.example.org ESMTP\r\n"),
        Fault::None | Fault::Missing => {}
    }
    let announced = if fault == Fault::Longer {
        bytes.len()
    } else {
        announced
    };
    let head =
        format!("HTTP/1.1 200 OK\r\nContent-Length: {announced}\r\nConnection: close\r\n\r\n");
    stream.write_all(head.as_bytes())?;
    stream.write_all(&bytes)
}
