//! Who logged in, and how.

use super::Case;
use crate::session::AccountState;

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
    let by_password = |text: &str| case.login.is_by_password().then(|| text.to_owned());
    match case.facts.account.known()?.state.known()? {
        AccountState::Usable => None,
        AccountState::Expired => Some("the account has expired".to_owned()),
        AccountState::NoPassword => by_password("no password fits the account, and one did"),
        AccountState::Locked => by_password("the account is locked, and a password did"),
    }
}

/// Not root's: to lock its password and let it in by key is what handbooks advise.
pub(super) fn locked(case: &Case<'_>) -> Option<String> {
    let is_locked = case.facts.account.known()?.state.known() == Some(&AccountState::Locked);
    (is_locked && !case.login.is_root() && !case.login.is_by_password())
        .then(|| "the account is locked, which keeps only passwords out".to_owned())
}
