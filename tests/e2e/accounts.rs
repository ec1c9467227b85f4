//! The people of the sandbox: accounts, their passwords and keys, as files under the sandbox's own `/etc`.

use std::fs;
use std::os::unix::fs::{PermissionsExt as _, chown};
use std::path::{Path, PathBuf};

use anyhow::{Context as _, ensure};

use crate::processes::command;
use crate::sandbox::ROOM;

/// One account of the sandbox.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Account {
    pub name: &'static str,
    pub uid: u32,
    pub home: &'static str,
    shell: &'static str,
    /// Last day of the account, as `shadow(5)` counts; empty for none.
    expires: &'static str,
    /// What `login-tracer` says of how it stands.
    pub state: &'static str,
}

pub const ROOT: Account = usable("root", 0, "/root", "/bin/bash");
pub const ALICE: Account = usable("alice", 5001, "/home/alice", "/bin/bash");
pub const BOB: Account = usable("bob", 5002, "/home/bob", "/bin/bash");
/// May log in, but gets no shell.
pub const SHELLLESS: Account = usable("shellless", 5003, "/home/shellless", "/usr/sbin/nologin");
/// Gets sftp below [`JAIL`] and nothing else.
pub const JAILED: Account = usable("jailed", 5004, "/files", "/bin/false");
pub const EXPIRED: Account =
    Account { expires: "1", state: "expired", ..usable("expired", 5005, "/home/expired", "/bin/bash") };
/// Its password is locked, as `usermod -L` does it. With PAM, keys let in still.
pub const LOCKED: Account =
    Account { state: "locked", ..usable("locked", 5006, "/home/locked", "/bin/bash") };
/// Nobody has this name.
pub const UNKNOWN: Account = usable("mallory", 5999, "/", "/bin/false");

const fn usable(name: &'static str, uid: u32, home: &'static str, shell: &'static str) -> Account {
    Account { name, uid, home, shell, expires: "", state: "usable" }
}

/// Somebody who calls themselves this.
pub const fn nobody_called(name: &'static str) -> Account {
    Account { name, ..UNKNOWN }
}

/// What sshd makes the root directory of [`JAILED`].
pub const JAIL: &str = "/home/jail";

/// The password of every account, and its hash: SHA-512 with the fewest rounds, to be quick.
pub const PASSWORD: &str = "let alice in";
const HASH: &str = "$6$rounds=1000$e2e$hMxBFtnn/iX4od/vjtTMWUzwb.ewCT2eMu2CzAQWYZjCdGiXNBqcuyiR1F7nMAo/WU4NqGVZySAzfZTdxvy9z/";

const PEOPLE: [Account; 7] = [ROOT, ALICE, BOB, SHELLLESS, JAILED, EXPIRED, LOCKED];

/// A key pair of the sandbox; its public half has `.pub` behind it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Key {
    /// sshd's own.
    Host,
    /// Listed for every account.
    Listed,
    /// Listed for nobody.
    Stranger,
    /// Listed for root only, with a command that it must run.
    Forced,
    /// Listed for nobody; there is a certificate for it, by [`Key::Authority`].
    Certified,
    /// What signs certificates.
    Authority,
}

impl Key {
    pub fn path(self) -> PathBuf {
        let name = match self {
            Self::Host => "host",
            Self::Listed => "listed",
            Self::Stranger => "stranger",
            Self::Forced => "forced",
            Self::Certified => "certified",
            Self::Authority => "authority",
        };
        Path::new(ROOM).join("keys").join(name)
    }

    /// The public half, as it stands in `authorized_keys`.
    pub fn public(self) -> anyhow::Result<String> {
        let path = self.path().with_extension("pub");
        Ok(fs::read_to_string(&path)
            .with_context(|| format!("cannot read {}", path.display()))?
            .trim()
            .to_owned())
    }

    /// As sshd logs it: `SHA256:...`.
    pub fn fingerprint(self) -> String {
        let output = command("ssh-keygen").arg("-lf").arg(self.path().with_extension("pub")).output();
        let text = String::from_utf8(output.expect("ssh-keygen can be run").stdout).expect("UTF-8");
        text.split(' ').nth(1).expect("bits, fingerprint, comment, type").to_owned()
    }

    /// Signs [`Key::Certified`] for an account; the client finds the certificate beside the key.
    pub fn certify(account: &Account, id: &str, serial: u64) {
        let mut command = command("ssh-keygen");
        command.arg("-q").arg("-s").arg(Self::Authority.path());
        command.args(["-I", id, "-n", account.name, "-z", &serial.to_string()]);
        let status = command.arg(Self::Certified.path().with_extension("pub")).status();
        assert!(status.expect("ssh-keygen can be run").success(), "the key was signed");
    }

    fn generate(self) -> anyhow::Result<()> {
        let output =
            command("ssh-keygen").args(["-q", "-t", "ed25519", "-N", "", "-f"]).arg(self.path()).output();
        let output = output.context("cannot run ssh-keygen")?;
        ensure!(output.status.success(), "ssh-keygen: {}", String::from_utf8_lossy(&output.stderr));
        Ok(())
    }
}

/// Writes the account files, homes and keys. The sandbox's `/etc`, `/home`, `/root` and [`ROOM`] must be in place.
pub fn create() -> anyhow::Result<()> {
    let mut passwd =
        "sshd:x:102:65534::/run/sshd:/usr/sbin/nologin\nnobody:x:65534:65534::/:/usr/sbin/nologin\n"
            .to_owned();
    let mut shadow = "sshd:!:19000::::::\nnobody:!:19000::::::\n".to_owned();
    // tty and utmp own terminals and login records on every distribution.
    let mut group = "tty:x:5:\nshadow:x:42:\nutmp:x:43:\nnogroup:x:65534:\n".to_owned();
    for Account { name, uid, home, shell, expires, state } in PEOPLE {
        passwd += &format!("{name}:x:{uid}:{uid}::{home}:{shell}\n");
        let locked = if state == LOCKED.state { "!" } else { "" };
        shadow += &format!("{name}:{locked}{HASH}:19000:0:99999:7::{expires}:\n");
        group += &format!("{name}:x:{uid}:\n");
    }
    write("/etc/passwd", &passwd, 0o644)?;
    write("/etc/shadow", &shadow, 0o600)?;
    write("/etc/group", &group, 0o644)?;
    write("/etc/nsswitch.conf", "passwd: files\ngroup: files\nshadow: files\nhosts: files\n", 0o644)?;
    write(
        "/etc/sudoers",
        "Defaults:root use_pty\nroot ALL=(ALL) ALL\nalice ALL=(ALL) NOPASSWD: ALL\n",
        0o440,
    )?;

    for Account { uid, home, .. } in [ALICE, BOB, SHELLLESS, EXPIRED, LOCKED] {
        fs::create_dir_all(home).with_context(|| format!("cannot create {home}"))?;
        chown(home, Some(uid), Some(uid)).with_context(|| format!("cannot give {home} away"))?;
    }
    fs::create_dir_all(Path::new(JAIL).join("files")).context("cannot create the jail")?;

    fs::create_dir_all(Path::new(ROOM).join("keys")).context("cannot create the folder of keys")?;
    for key in [Key::Host, Key::Listed, Key::Stranger, Key::Forced, Key::Certified, Key::Authority] {
        key.generate()?;
    }
    let folder = Path::new(ROOM).join("authorized_keys");
    fs::create_dir_all(&folder).context("cannot create the folder of listed keys")?;
    let listed = Key::Listed.public()?;
    for Account { name, .. } in PEOPLE {
        let mut text = format!("{listed}\n");
        if name == ROOT.name {
            text += &format!("command=\"echo forced; read _\" {}\n", Key::Forced.public()?);
        }
        write(folder.join(name), &text, 0o644)?;
    }
    Ok(())
}

/// Writes a file with exactly these permissions.
pub fn write(path: impl AsRef<Path>, text: &str, mode: u32) -> anyhow::Result<()> {
    let path = path.as_ref();
    fs::write(path, text).with_context(|| format!("cannot write {}", path.display()))?;
    fs::set_permissions(path, fs::Permissions::from_mode(mode))
        .with_context(|| format!("cannot set the permissions of {}", path.display()))
}
