//! Real Dropbear servers of the sandbox.

use std::fs;
use std::os::unix::fs::{DirBuilderExt as _, chown};
use std::path::Path;
use std::process::{Child, Stdio};
use std::sync::Once;
use std::time::Instant;

use crate::accounts::{ALICE, Account, BOB, Key, ROOT, write};
use crate::client::Login;
use crate::lines::LIMIT;
use crate::processes::{self, command};
use crate::sandbox::ROOM;
use crate::server::{is_listening, next_port};

pub const DROPBEAR: &str = "/usr/sbin/dropbear";

/// A listening Dropbear; ended when dropped. Sessions that it let in may live on.
pub struct Dropbear {
    port: u16,
    writes_log: bool,
    listener: Child,
}

impl Dropbear {
    pub fn start() -> Self {
        Self::start_with(&[], true)
    }

    /// One that says everything to whoever started it, and nothing to the log.
    pub fn start_silent() -> Self {
        Self::start_with(&["-E"], false)
    }

    fn start_with(options: &[&str], writes_log: bool) -> Self {
        static PREPARED: Once = Once::new();
        PREPARED.call_once(prepare);
        let port = next_port();
        let mut command = command(DROPBEAR);
        command.args(["-F", "-p", &port.to_string(), "-r", &host_key(), "-P", ""]).args(options);
        let mut listener = command.stderr(Stdio::null()).spawn().expect("dropbear can be run");
        let started = Instant::now();
        while !is_listening(port) {
            let ended = listener.try_wait().expect("our own child can be waited for");
            assert!(ended.is_none() && started.elapsed() < LIMIT, "dropbear does not listen: {ended:?}");
            std::thread::sleep(std::time::Duration::from_millis(2));
        }
        Self { port, writes_log, listener }
    }

    /// A login with a key; the methods of [`Login`] change that.
    pub fn login(&self, account: Account) -> Login {
        let listener = (!self.writes_log).then(|| self.listener.id());
        Login::new(self.port, account).through("dropbear").found_by(listener)
    }
}

impl Drop for Dropbear {
    fn drop(&mut self) {
        processes::end(&mut self.listener);
    }
}

fn host_key() -> String {
    format!("{ROOM}/keys/dropbear_host")
}

/// A host key, and the listed key where Dropbear looks for it.
fn prepare() {
    let made = command("dropbearkey").args(["-t", "ed25519", "-f", &host_key()]).output();
    assert!(made.expect("dropbearkey can be run").status.success(), "a host key");
    let listed = fs::read_to_string(Key::Listed.path().with_extension("pub")).expect("a public key");
    for (Account { uid, .. }, home) in [(ALICE, "/home/alice"), (BOB, "/home/bob"), (ROOT, "/root")] {
        let folder = Path::new(home).join(".ssh");
        fs::DirBuilder::new().mode(0o700).create(&folder).expect("a new folder");
        write(folder.join("authorized_keys"), &listed, 0o600).expect("a list of keys");
        for path in [folder.join("authorized_keys"), folder] {
            chown(path, Some(uid), Some(uid)).expect("root may give files away");
        }
    }
}
