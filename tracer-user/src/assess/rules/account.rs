//! Who logged in, and how.

use super::Case;
use crate::session::AccountState;
use crate::words;

pub(super) fn root(case: &Case<'_>) -> Option<String> {
    case.login.is_root().then(|| words::risk::ROOT.to_owned())
}

pub(super) fn password(case: &Case<'_>) -> Option<String> {
    case.login.is_by_password().then(|| words::risk::BY_PASSWORD.to_owned())
}

pub(super) fn root_password(case: &Case<'_>) -> Option<String> {
    (case.login.is_root() && case.login.is_by_password()).then(|| words::risk::ROOT_BY_PASSWORD.to_owned())
}

pub(super) fn no_login_shell(case: &Case<'_>) -> Option<String> {
    let account = case.facts.account.known().filter(|account| account.has_no_login_shell())?;
    Some(words::risk::shell(&account.shell))
}

pub(super) fn service(case: &Case<'_>) -> Option<String> {
    let account = case.facts.account.known().filter(|account| account.is_service)?;
    Some(words::risk::service_account(account.uid))
}

pub(super) fn disabled(case: &Case<'_>) -> Option<String> {
    let by_password = |text: &str| case.login.is_by_password().then(|| text.to_owned());
    match case.facts.account.known()?.state.known()? {
        AccountState::Usable => None,
        AccountState::Expired => Some(words::risk::EXPIRED.to_owned()),
        AccountState::NoPassword => by_password(words::risk::NO_PASSWORD_FITS),
        AccountState::Locked => by_password(words::risk::LOCKED_AND_PASSWORD),
    }
}

/// Not root's: to lock its password and let it in by key is what handbooks advise.
pub(super) fn locked(case: &Case<'_>) -> Option<String> {
    let is_locked = case.facts.account.known()?.state.known() == Some(&AccountState::Locked);
    (is_locked && !case.login.is_root() && !case.login.is_by_password())
        .then(|| words::risk::LOCKED.to_owned())
}
