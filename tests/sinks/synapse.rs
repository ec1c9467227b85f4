//! Matrix, as a real homeserver takes it.
//!
//! ```text
//! python3 -m venv target/synapse && target/synapse/bin/pip install matrix-synapse
//! LOGIN_TRACER_SYNAPSE=$PWD/target/synapse/bin/python cargo test -p tracer-user --test sinks synapse -- --ignored
//! ```

use std::net::TcpListener;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};
use std::{env, fs, thread};

use login_tracer::config::{self, Secret};
use login_tracer::notify::outcome::Outcome;
use login_tracer::notify::sink::matrix::Matrix;
use reqwest::Method;
use serde_json::{Value, json};

use crate::over_http::{MARK, Then};
use crate::scene::{messages, over_http, send, settings};

/// The homeserver as a process with a database of its own; ends with the test.
struct Server {
    process: Child,
    base: String,
    _folder: tempfile::TempDir,
}

impl Server {
    fn start(python: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let synapse = |arguments: &[&str]| {
            let mut command = Command::new(python);
            command.args(["-m", "synapse.app.homeserver", "--config-path", "homeserver.yaml"]);
            command.args(arguments).current_dir(folder.path()).stdin(Stdio::null());
            command.stdout(Stdio::null()).stderr(Stdio::null());
            command
        };
        let made =
            synapse(&["--generate-config", "--server-name", "localhost", "--report-stats", "no"]).status();
        assert!(made.unwrap().success());
        let listener = format!(
            "listeners:\n- {{port: {port}, type: http, bind_addresses: ['127.0.0.1'], resources: [{{names: [client]}}]}}\n\
             enable_registration: true\nenable_registration_without_verification: true\n"
        );
        fs::write(folder.path().join("own.yaml"), listener).unwrap();
        let process = synapse(&["--config-path", "own.yaml"]).spawn().unwrap();
        let server = Self { process, base: format!("http://127.0.0.1:{port}"), _folder: folder };
        let begin = Instant::now();
        while server.ask(Method::GET, "versions", None, &Value::Null).is_err() {
            assert!(begin.elapsed() < Duration::from_secs(60), "the homeserver does not answer");
            thread::sleep(Duration::from_millis(200));
        }
        server
    }

    /// A request to its client API, and its answer.
    fn ask(&self, method: Method, what: &str, token: Option<&str>, body: &Value) -> reqwest::Result<Value> {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let version = if what == "versions" { "" } else { "v3/" };
        let mut request =
            reqwest::Client::new().request(method, format!("{}/_matrix/client/{version}{what}", self.base));
        if !body.is_null() {
            request = request.json(body);
        }
        if let Some(token) = token {
            request = request.bearer_auth(token);
        }
        runtime.block_on(async { request.send().await?.error_for_status()?.json().await })
    }

    /// The token of a new account.
    fn account(&self, name: &str) -> String {
        let body =
            json!({ "username": name, "password": "correct horse", "auth": { "type": "m.login.dummy" } });
        let account = self.ask(Method::POST, "register", None, &body).unwrap();
        account["access_token"].as_str().unwrap().to_owned()
    }

    /// The messages of a room, oldest first.
    fn said(&self, room: &str, token: &str) -> Vec<Value> {
        let what = format!("rooms/{room}/messages?dir=f&limit=100");
        let told = self.ask(Method::GET, &what, Some(token), &Value::Null).unwrap();
        let events = told["chunk"].as_array().unwrap().iter();
        events
            .filter(|event| event["type"] == "m.room.message")
            .map(|event| event["content"].clone())
            .collect()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.process.kill().unwrap();
        self.process.wait().unwrap();
    }
}

#[test]
#[ignore = "needs a Matrix homeserver, named by LOGIN_TRACER_SYNAPSE"]
fn a_real_homeserver_takes_every_message_once() {
    let python = env::var("LOGIN_TRACER_SYNAPSE").expect("LOGIN_TRACER_SYNAPSE names its python");
    assert!(Path::new(&python).exists());
    let server = Server::start(&python);
    let (host, reader) = (server.account("host"), server.account("reader"));
    let room = json!({ "preset": "public_chat" });
    let room = server.ask(Method::POST, "createRoom", Some(&host), &room).unwrap();
    let room = room["room_id"].as_str().unwrap();
    server.ask(Method::POST, &format!("join/{room}"), Some(&reader), &json!({})).unwrap();
    let sink = |token: &str| {
        over_http(Matrix::new(&config::Matrix {
            base_url: server.base.clone(),
            token: Secret::new(token.to_owned()),
            room: room.to_owned(),
            http: settings(),
        }))
    };

    // Every kind of message, each twice: a repetition is dropped by the server.
    let all: Vec<_> = messages()
        .into_iter()
        .map(|(title, mut delivery)| {
            delivery.id = uuid::Uuid::new_v5(&delivery.id, title.as_bytes());
            delivery
        })
        .collect();
    for delivery in all.iter().chain(&all) {
        // It limits its rate by itself, and says for how long.
        loop {
            match send(&sink(&host), delivery).outcome {
                Outcome::Delivered => break,
                Outcome::Retry { after: Some(after), .. } => thread::sleep(after),
                other @ (Outcome::Retry { .. }
                | Outcome::Doubtful { .. }
                | Outcome::Park { .. }
                | Outcome::Gone { .. }) => panic!("{other:?}"),
            }
        }
    }
    let said = server.said(room, &reader);
    assert_eq!(said.len(), all.len());
    for (content, delivery) in said.iter().zip(&all) {
        let body = content["body"].as_str().unwrap();
        assert!(body.contains(&delivery.message.title()), "{body}");
        assert_eq!(content["format"], "org.matrix.custom.html");
    }

    // A token that is no token: refused, for good, and not repeated to anybody.
    let report = send(&sink("syt_hushhush"), &all[0]);
    assert_eq!(Then::from(&report.outcome), Then::Never);
    assert!(!format!("{report:?}").contains(MARK));
}
