//! A quick receiver of webhooks: keeps connections open, confirms everything, and remembers ids.

use std::collections::HashMap;
use std::hash::{DefaultHasher, Hash as _, Hasher as _};
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Instant;

/// What came in.
#[derive(Debug, Default)]
pub(crate) struct Received {
    /// How often each id came, and a hash of what it said the first time.
    pub(crate) ids: HashMap<String, (u32, u64)>,
    /// Ids that said something else later.
    pub(crate) changed: Vec<String>,
    /// When the newest one came.
    pub(crate) last: Option<Instant>,
}

#[derive(Clone)]
pub(crate) struct Receiver {
    address: SocketAddr,
    received: Arc<Mutex<Received>>,
}

impl Receiver {
    pub(crate) fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let received: Arc<Mutex<Received>> = Arc::default();
        let log = Arc::clone(&received);
        thread::spawn(move || {
            for stream in listener.incoming() {
                let (stream, log) = (stream.unwrap(), Arc::clone(&log));
                // Whoever is killed in the middle of a request has sent none.
                thread::spawn(move || serve(&stream, &log).ok());
            }
        });
        Self { address, received }
    }

    pub(crate) fn url(&self) -> String {
        format!("http://{}/hush", self.address)
    }

    pub(crate) fn with<T>(&self, look: impl FnOnce(&mut Received) -> T) -> T {
        look(&mut self.received.lock().unwrap())
    }

    /// How many different messages came in.
    pub(crate) fn count(&self) -> usize {
        self.with(|received| received.ids.len())
    }
}

fn serve(stream: &TcpStream, log: &Mutex<Received>) -> std::io::Result<()> {
    stream.set_nodelay(true)?;
    let mut reader = BufReader::new(stream);
    let (mut line, mut body) = (String::new(), Vec::new());
    loop {
        let (mut id, mut length) = (None, 0);
        loop {
            line.clear();
            if reader.read_line(&mut line)? == 0 {
                return Ok(());
            }
            let header = line.trim_end();
            if header.is_empty() {
                break;
            }
            match header.split_once(": ") {
                Some((name, value)) if name.eq_ignore_ascii_case("webhook-id") => id = Some(value.to_owned()),
                Some((name, value)) if name.eq_ignore_ascii_case("content-length") => {
                    length = value.parse().unwrap();
                }
                Some(_) | None => {}
            }
        }
        body.resize(length, 0);
        reader.read_exact(&mut body)?;
        let mut hash = DefaultHasher::new();
        body.hash(&mut hash);
        let (id, hash) = (id.expect("every webhook has an id"), hash.finish());
        {
            let mut received = log.lock().unwrap();
            received.last = Some(Instant::now());
            let (count, first) = received.ids.entry(id.clone()).or_insert((0, hash));
            *count += 1;
            if *first != hash {
                received.changed.push(id);
            }
        }
        (&*stream).write_all(b"HTTP/1.1 204 No Content\r\n\r\n")?;
    }
}
