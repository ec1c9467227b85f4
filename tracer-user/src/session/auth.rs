//! How a user was let in, and what ran first.

use serde::{Deserialize, Serialize};

/// How a user proved who they are, as sshd says in its line `Accepted ...`. Its JSON is a column of the database and a
/// part of what `sessions --json` promises.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Auth {
    /// The method that let the user in, the last one of several: `publickey`, `password`, `keyboard-interactive/pam`.
    pub method: String,
    /// The key, or the certified key, where the method has one.
    pub key: Option<AuthKey>,
    pub certificate: Option<Certificate>,
    /// The user as the log names them, where that is another name than the session's.
    pub user_log: Option<String>,
}

/// A public key.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct AuthKey {
    /// As sshd names it: `ED25519`, `RSA`, `ED25519-CERT`.
    #[serde(rename = "type")]
    pub kind: String,
    /// With its hash: `SHA256:7L5FXq...`.
    pub fingerprint: String,
}

/// A certificate, as whoever signed it filled it in.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Certificate {
    pub id: String,
    pub serial: u64,
    /// The key that signed it.
    pub ca: AuthKey,
}

/// What sshd executed first for a user.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct FirstCommand {
    pub kind: CommandKind,
    /// Path of the executable: of the shell, where that runs a command.
    pub path: String,
    /// Its arguments as far as the kernel took them down, its own name first.
    pub arguments: Vec<String>,
}

impl FirstCommand {
    /// What the user asked for, in one line: the command, or the program.
    pub fn words(&self) -> &str {
        match (self.kind, self.arguments.as_slice()) {
            (CommandKind::Command | CommandKind::Sftp, [_, flag, command, ..]) if flag == "-c" => command,
            _ => &self.path,
        }
    }
}

/// What was asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum CommandKind {
    /// A login shell.
    Shell,
    /// A command, from the client or forced by the server.
    Command,
    /// The file transfer server as a program of its own; sshd's internal one executes nothing.
    Sftp,
    /// Its arguments are not known, which would tell.
    Program,
}

impl CommandKind {
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Shell => "shell",
            Self::Command => "command",
            Self::Sftp => "sftp",
            Self::Program => "program",
        }
    }
}
