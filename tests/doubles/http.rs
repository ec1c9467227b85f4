//! A small HTTP server on loopback that can misbehave in every way that a test needs.
//!
//! One connection, one request, one reply. What it was asked is kept with the time when it was asked.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::{Duration, Instant};

/// A request as it came in.
#[derive(Debug, Clone)]
#[allow(dead_code, reason = "not every test looks at everything")]
pub(crate) struct Request {
    pub(crate) at: Instant,
    pub(crate) method: String,
    pub(crate) path: String,
    pub(crate) authorization: Option<String>,
    /// Names in small letters.
    pub(crate) headers: Vec<(String, String)>,
    pub(crate) body: String,
}

impl Request {
    /// A header by its name in small letters; `None` also if it came more than once.
    #[allow(dead_code, reason = "not every double asks for headers")]
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        let mut found = self.headers.iter().filter(|(other, _)| other == name);
        match (found.next(), found.next()) {
            (Some((_, value)), None) => Some(value),
            _ => None,
        }
    }
}

/// What the server does with a request.
#[derive(Debug, Clone)]
pub(crate) enum Reply {
    /// Answers.
    Answer { status: u16, headers: Vec<(&'static str, String)>, body: String },
    /// Answers so much later.
    Slow(Duration, Box<Self>),
    /// Closes the connection with a reset, before any answer.
    Reset,
    /// Begins an answer and resets the connection in the middle of its body.
    CutOff,
    /// Says something that is not HTTP.
    Garbage,
}

impl Reply {
    pub(crate) fn new(status: u16, body: impl Into<String>) -> Self {
        Self::Answer { status, headers: Vec::new(), body: body.into() }
    }

    pub(crate) fn with(
        status: u16,
        header: &'static str,
        value: impl Into<String>,
        body: impl Into<String>,
    ) -> Self {
        Self::Answer { status, headers: vec![(header, value.into())], body: body.into() }
    }
}

/// The server; it listens until the test process ends.
#[derive(Clone)]
pub(crate) struct Server {
    pub(crate) address: SocketAddr,
    requests: Arc<Mutex<Vec<Request>>>,
}

impl Server {
    /// Starts a server that answers as `handler` says.
    pub(crate) fn start(handler: impl Fn(&Request) -> Reply + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let requests = Arc::new(Mutex::new(Vec::new()));
        let (log, handler) = (Arc::clone(&requests), Arc::new(handler));
        thread::spawn(move || {
            for stream in listener.incoming() {
                let (log, handler) = (Arc::clone(&log), Arc::clone(&handler));
                // A client that dies in the middle of its request has sent none.
                thread::spawn(move || serve(stream.unwrap(), &log, &*handler).ok());
            }
        });
        Self { address, requests }
    }

    pub(crate) fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Every request so far, oldest first.
    pub(crate) fn requests(&self) -> Vec<Request> {
        self.requests.lock().unwrap().clone()
    }
}

fn serve(
    mut stream: TcpStream,
    log: &Mutex<Vec<Request>>,
    handler: &dyn Fn(&Request) -> Reply,
) -> std::io::Result<()> {
    let mut reader = BufReader::new(stream.try_clone()?);
    let mut first = String::new();
    reader.read_line(&mut first)?;
    let mut words = first.split_whitespace();
    let (Some(method), Some(path)) = (words.next(), words.next()) else { return Ok(()) };
    let (mut length, mut authorization, mut headers) = (0, None, Vec::new());
    loop {
        let mut line = String::new();
        if reader.read_line(&mut line)? == 0 {
            return Ok(());
        }
        let Some((name, value)) = line.trim_end().split_once(':') else { break };
        let name = name.to_ascii_lowercase();
        headers.push((name.clone(), value.trim().to_owned()));
        match name.as_str() {
            "content-length" => length = value.trim().parse().unwrap(),
            "authorization" => authorization = Some(value.trim().to_owned()),
            _ => {}
        }
    }
    let mut body = vec![0; length];
    reader.read_exact(&mut body)?;
    let body = String::from_utf8(body).expect("JSON is UTF-8");
    let (at, method, path) = (Instant::now(), method.to_owned(), path.to_owned());
    let request = Request { at, method, path, authorization, headers, body };
    log.lock().unwrap().push(request.clone());
    reply(&mut stream, handler(&request))
}

fn reply(stream: &mut TcpStream, how: Reply) -> std::io::Result<()> {
    match how {
        Reply::Answer { status, headers, body } => {
            let headers: String =
                headers.iter().map(|(name, value)| format!("{name}: {value}\r\n")).collect();
            let length = body.len();
            write!(
                stream,
                "HTTP/1.1 {status} Reason\r\nconnection: close\r\ncontent-length: {length}\r\n{headers}\r\n{body}"
            )
        }
        Reply::Slow(pause, then) => {
            thread::sleep(pause);
            reply(stream, *then)
        }
        Reply::Reset => reset(stream),
        Reply::CutOff => {
            stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 2000\r\n\r\n{\"score\": 1")?;
            thread::sleep(Duration::from_millis(20));
            reset(stream)
        }
        Reply::Garbage => stream.write_all(b"220 mail.example ESMTP\r\n"),
    }
}

/// Zero seconds to linger: closing sends a reset.
fn reset(stream: &TcpStream) -> std::io::Result<()> {
    rustix::net::sockopt::set_socket_linger(stream, Some(Duration::ZERO))?;
    Ok(())
}
