//! What differs in the words about sessions, by the door through which the user came in.

use crate::session::Service;

/// How the news of a login begins.
pub(super) fn login(service: Service) -> &'static str {
    match service {
        Service::Ssh => "SSH login",
        Service::Dropbear => "SSH login (Dropbear)",
        Service::Login => "Login at a terminal",
        Service::Su => "Login by su",
        Service::Sudo => "Login by sudo",
    }
}

/// The same for a session that nobody saw begin.
pub(super) fn found(service: Service) -> &'static str {
    match service {
        Service::Ssh => "SSH session found open",
        Service::Dropbear => "SSH session (Dropbear) found open",
        Service::Login => "Session at a terminal found open",
        Service::Su => "Session by su found open",
        Service::Sudo => "Session by sudo found open",
    }
}

/// The same for a session that is over.
pub(super) fn ended(service: Service) -> &'static str {
    match service {
        Service::Ssh => "SSH session ended",
        Service::Dropbear => "SSH session (Dropbear) ended",
        Service::Login => "Session at a terminal ended",
        Service::Su => "Session by su ended",
        Service::Sudo => "Session by sudo ended",
    }
}

/// The door and who used it, where it is another one than OpenSSH.
pub(super) fn through(service: Service, by: Option<&str>) -> Option<String> {
    let door = match service {
        Service::Ssh => return None,
        Service::Dropbear => "Dropbear",
        Service::Login => "login, at a terminal of the host",
        Service::Su => "su, on the host",
        Service::Sudo => "sudo, on the host",
    };
    Some(match by {
        Some(by) => format!("{door}, for {by}"),
        None => door.to_owned(),
    })
}

/// What ended by a signal.
pub(super) fn killed(service: Service) -> &'static str {
    match service {
        Service::Ssh => "sshd was killed",
        Service::Dropbear => "Dropbear was killed",
        Service::Login => "login was killed",
        Service::Su => "su was killed",
        Service::Sudo => "sudo was killed",
    }
}
