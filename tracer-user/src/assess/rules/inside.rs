//! What happened after the login.

use super::Case;
use crate::session::Escalation;
use crate::words;

/// Refused tries after a login; as many as before it.
const FAILURES_AFTER: u32 = 5;

/// Where programs are that only root can change.
const SYSTEM_FOLDERS: [&str; 9] = [
    "/bin/",
    "/sbin/",
    "/usr/bin/",
    "/usr/sbin/",
    "/usr/lib/",
    "/usr/lib64/",
    "/usr/libexec/",
    "/lib/",
    "/usr/local/bin/",
];

/// Programs that give another user id by intention: those of Debian and Red Hat that are set-uid.
const PROGRAMS: [&str; 34] = [
    "sudo",
    "sudo-rs",
    "sudoedit",
    "su",
    "su-rs",
    "doas",
    "pkexec",
    "run0",
    "runuser",
    "sg",
    "newgrp",
    "passwd",
    "chsh",
    "chfn",
    "gpasswd",
    "chage",
    "expiry",
    "mount",
    "umount",
    "fusermount",
    "fusermount3",
    "ntfs-3g",
    "ping",
    "crontab",
    "at",
    "newuidmap",
    "newgidmap",
    "unix_chkpwd",
    "pam_timestamp_check",
    "polkit-agent-helper-1",
    "dbus-daemon-launch-helper",
    "ssh-keysign",
    "userhelper",
    "login",
];

pub(super) fn escalation(case: &Case<'_>) -> Option<String> {
    gain(case, is_usual)
}

pub(super) fn unusual_escalation(case: &Case<'_>) -> Option<String> {
    gain(case, |how| !is_usual(how))
}

/// The first such gain. One that gains less than the user had (root becomes somebody) is none.
fn gain(case: &Case<'_>, is_meant: impl Fn(&Escalation) -> bool) -> Option<String> {
    let mut gains = case.login.escalations.iter().filter(|how| how.from.uid != 0);
    let how = gains.find(|how| is_meant(how))?;
    Some(words::risk::became(how.to.user.as_deref(), how.to.uid, &how.exe))
}

/// A name without a path was not found where programs are.
fn is_usual(how: &Escalation) -> bool {
    let Some((folder, name)) = how.exe.rsplit_once('/') else { return false };
    // Also in folders below those of the system: /usr/lib/openssh/ssh-keysign.
    let is_installed = SYSTEM_FOLDERS.iter().any(|system| format!("{folder}/").starts_with(system));
    is_installed && PROGRAMS.contains(&name) && !folder.contains("/../")
}

pub(super) fn failures_after(case: &Case<'_>) -> Option<String> {
    let failures = case.history()?.address.as_ref()?.failures_after;
    (failures >= FAILURES_AFTER).then(|| words::risk::failures_after(failures))
}
