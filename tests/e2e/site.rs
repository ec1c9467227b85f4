//! What all scenarios share: the log, the tracer, and the sshds that most of them log in to.

use std::collections::BTreeSet;
use std::os::unix::fs::PermissionsExt as _;
use std::os::unix::net::UnixDatagram;
use std::sync::{Arc, Mutex};

use anyhow::Context as _;

use crate::lines::Lines;
use crate::recording::Recordings;
use crate::server::{Server, external_sftp};
use crate::tracer::Tracer;

pub struct Site {
    /// What arrived at `/dev/log`.
    pub log: Arc<Lines>,
    pub tracer: Tracer,
    /// Where the kernel's reports of each scenario go, if they are wanted.
    pub recordings: Option<Recordings>,
    /// PAM and passwords, external sftp-server.
    pub pam: Server,
    /// PAM asked through keyboard-interactive.
    pub questions: Server,
    /// No PAM; passwords, sftp inside sshd, and the jail.
    pub plain: Server,
    /// The sessions that scenarios accounted for, and those that were there before the first one.
    pub explained: Mutex<BTreeSet<String>>,
}

impl Site {
    pub fn open(recordings: Option<Recordings>) -> anyhow::Result<Self> {
        let socket = UnixDatagram::bind("/dev/log").context("cannot open the sandbox's log socket")?;
        std::fs::set_permissions("/dev/log", std::fs::Permissions::from_mode(0o666))
            .context("cannot open the log to all")?;
        let log = Lines::of_datagrams(socket);
        let tracer = Tracer::start(recordings.is_some())?;
        let explained = tracer.sessions()?.into_iter().map(|session| session.session).collect();
        Ok(Self {
            log,
            tracer,
            recordings,
            pam: Server::start(&format!(
                "UsePAM yes\nPermitRootLogin yes\nPasswordAuthentication yes\nKbdInteractiveAuthentication no\n\
                 Subsystem sftp {}\n",
                external_sftp()
            )),
            questions: Server::start(
                "UsePAM yes\nPermitRootLogin yes\nPasswordAuthentication no\nKbdInteractiveAuthentication yes\n",
            ),
            plain: Server::start(
                "UsePAM no\nPermitRootLogin yes\nPasswordAuthentication yes\nKbdInteractiveAuthentication no\n\
                 MaxAuthTries 3\nSubsystem sftp internal-sftp\n\
                 Match User jailed\nChrootDirectory /home/jail\nForceCommand internal-sftp\n",
            ),
            explained: Mutex::new(explained),
        })
    }
}
