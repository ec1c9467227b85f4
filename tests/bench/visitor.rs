//! The real `ssh` client, as plain as people use it: by key, `true`, from an address that we choose.

use std::net::Ipv4Addr;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context as _, ensure};

use crate::accounts::{ALICE, Key};
use crate::processes::command;
use crate::sandbox;
use crate::server::Server;

/// Where a server listens.
pub fn port(server: &Server) -> u16 {
    server.login(ALICE).local.port()
}

/// Starts `ssh host true` from an address of loopback.
pub fn start(port: u16, from: Ipv4Addr) -> anyhow::Result<Child> {
    ssh(port, from).spawn().context("cannot start ssh")
}

/// Logs in, runs `true`, and tells how long that took.
pub fn visit(port: u16, from: Ipv4Addr) -> anyhow::Result<Duration> {
    let started = Instant::now();
    let status = ssh(port, from).status().context("cannot run ssh")?;
    let took = started.elapsed();
    ensure!(status.success(), "ssh was not let in: {status}");
    Ok(took)
}

/// The address of visitor number `index`; none is the beginning of another one's text.
pub fn address(index: usize) -> Ipv4Addr {
    let [_, b, _, _] = sandbox::address().octets();
    Ipv4Addr::new(127, b, 100 + (index / 100 % 100) as u8, 100 + (index % 100) as u8)
}

fn ssh(port: u16, from: Ipv4Addr) -> Command {
    let mut command = command("ssh");
    command
        .args(["-F", "none", "-p", &port.to_string(), "-b", &from.to_string(), "-i"])
        .arg(Key::Listed.path());
    for option in [
        "BatchMode=yes",
        "IdentitiesOnly=yes",
        "StrictHostKeyChecking=no",
        "UserKnownHostsFile=/dev/null",
        "GlobalKnownHostsFile=/dev/null",
        "LogLevel=ERROR",
    ] {
        command.args(["-o", option]);
    }
    command.arg(format!("{}@{}", ALICE.name, sandbox::address())).arg("true");
    command.stdout(Stdio::null());
    command
}
