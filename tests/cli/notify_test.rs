//! An example through each sink, and what is shown of it.

use std::fs::{self, Permissions};
use std::io::{Read as _, Write as _};
use std::net::TcpListener;
use std::os::unix::fs::PermissionsExt as _;
use std::thread;

use crate::fixture::{Run, State};

const SECRET: &str = "hushhushhush0123456789";

/// A host with a configuration that its own account alone may read.
fn run(config: &str, arguments: &[&str]) -> Run {
    let state = State::empty();
    // The account that root becomes must reach the files that sinks write.
    fs::set_permissions(state.path(), Permissions::from_mode(0o777)).unwrap();
    let path = state.path().join("config.toml");
    fs::write(&path, config.replace("<dir>", state.path().to_str().unwrap())).unwrap();
    fs::set_permissions(&path, Permissions::from_mode(0o600)).unwrap();
    let arguments = [&["notify-test"], arguments, &["--config", path.to_str().unwrap()]].concat();
    state.run(&arguments)
}

/// A webhook that takes one request and repeats what it was asked.
fn webhook() -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    thread::spawn(move || {
        let (mut stream, _) = listener.accept().unwrap();
        let mut buffer = [0; 65_536];
        let read = stream.read(&mut buffer).unwrap();
        let path = String::from_utf8_lossy(&buffer[..read]).split(' ').nth(1).unwrap().to_owned();
        write!(stream, "HTTP/1.1 200 OK\r\ncontent-length: {}\r\n\r\n{path}\u{1b}", path.len() + 1).unwrap();
    });
    format!("http://{address}/logins/{SECRET}")
}

#[test]
fn every_sink_is_tried_and_no_secret_is_shown() {
    let config = format!(
        "[sinks.a]\ntype = \"file\"\npath = \"<dir>/logins.jsonl\"\n\
         [sinks.b]\ntype = \"webhook\"\nurl = \"{}\"\n\
         [sinks.c]\ntype = \"command\"\nargv = [\"/bin/sh\", \"-c\", \"echo no >&2; exit 65\"]\n\
         [sinks.d]\ntype = \"console\"\n\
         [sinks.e]\ntype = \"slack\"\nwebhook_url = \"http://127.0.0.1:1/services/{SECRET}\"\n",
        webhook()
    );
    let run = run(&config, &[]);
    let shown = run.shown();
    assert_eq!(run.code(), Some(1), "{shown}");
    assert!(!shown.contains("hush") && !shown.contains('\u{1b}'), "{shown}");
    for expected in [
        "== a (file): delivered\n-- sent\n{\"version\":1,",
        "== b (webhook): delivered\n-- sent\nPOST http://127.0.0.1:",
        "/[secret]\nuser-agent: login-tracer/",
        "-- received\nHTTP 200\n\n/[secret]\u{fffd}\n",
        "== c (command): refused (exit status 65: no); the role would not try again\n",
        "LOGIN_TRACER_USER=example\n",
        "== d (console): delivered\n",
        "== e (slack): not delivered (cannot connect: ",
        "EXAMPLE, nobody logged in - SSH login: example on ",
    ] {
        assert!(shown.contains(expected), "{expected} is not in\n{shown}");
    }
}

#[test]
fn the_proxy_of_the_environment_is_used() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let proxy = listener.local_addr().unwrap();
    let asked = thread::spawn(move || {
        let (mut stream, _) = listener.accept().unwrap();
        let mut buffer = [0; 65_536];
        let read = stream.read(&mut buffer).unwrap();
        stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n").unwrap();
        String::from_utf8_lossy(&buffer[..read]).lines().next().unwrap_or_default().to_owned()
    });
    let state = State::empty();
    let path = state.path().join("config.toml");
    fs::write(&path, "[sinks.a]\ntype = \"webhook\"\nurl = \"http://127.0.0.1:1/logins\"\n").unwrap();
    fs::set_permissions(&path, Permissions::from_mode(0o600)).unwrap();
    let mut command = state.command(&["notify-test", "--config", path.to_str().unwrap()]);
    for name in ["no_proxy", "NO_PROXY"] {
        command.env_remove(name);
    }
    let output = command.env("http_proxy", format!("http://{proxy}")).output().unwrap();
    assert!(output.status.success(), "{output:?}");
    assert_eq!(asked.join().unwrap(), "POST http://127.0.0.1:1/logins HTTP/1.1");
}

#[test]
fn one_sink_alone() {
    let config = "[sinks.tty]\ntype = \"console\"\n[sinks.other]\ntype = \"console\"\n";
    let one = run(config, &["tty"]);
    assert_eq!(one.code(), Some(0), "{}", one.shown());
    assert_eq!(one.stdout().matches("== ").count(), 1);
    let none = run(config, &["tyt"]);
    assert_eq!(none.code(), Some(2));
    assert!(none.stderr().contains("there is no sink tyt; configured are other, tty"), "{}", none.stderr());
}
