//! Who logged in, and how.

use super::Case;
use crate::enrich::account::State;

pub(super) fn root(case: &Case<'_>) -> Option<String> {
    case.login.is_root().then(|| "root".to_owned())
}

pub(super) fn password(case: &Case<'_>) -> Option<String> {
    case.login.is_by_password().then(|| "by password".to_owned())
}

pub(super) fn root_password(case: &Case<'_>) -> Option<String> {
    (case.login.is_root() && case.login.is_by_password()).then(|| "root by password".to_owned())
}

pub(super) fn no_login_shell(case: &Case<'_>) -> Option<String> {
    let account = case.facts.account.known().filter(|account| account.has_no_login_shell())?;
    Some(format!("the account's shell is {}", account.shell))
}

pub(super) fn service(case: &Case<'_>) -> Option<String> {
    let account = case.facts.account.known().filter(|account| account.is_service)?;
    Some(format!("a service's account (uid {})", account.uid))
}

pub(super) fn disabled(case: &Case<'_>) -> Option<String> {
    match case.facts.account.known()?.state.known()? {
        State::Usable => None,
        State::Expired => Some("the account has expired".to_owned()),
        // Many hosts lock the passwords of all who have keys.
        State::Locked => {
            case.login.is_by_password().then(|| "the account is locked, and a password did".to_owned())
        }
    }
}
