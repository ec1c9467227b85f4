//! Who logged in, and how.

use super::Case;
use crate::assess::words;
use crate::session::AccountState;

pub(super) fn root(case: &Case<'_>) -> Option<String> {
    case.login.is_root().then(|| words::ROOT.to_owned())
}

pub(super) fn password(case: &Case<'_>) -> Option<String> {
    case.login.is_by_password().then(|| words::BY_PASSWORD.to_owned())
}

pub(super) fn root_password(case: &Case<'_>) -> Option<String> {
    (case.login.is_root() && case.login.is_by_password()).then(|| words::ROOT_BY_PASSWORD.to_owned())
}

pub(super) fn no_login_shell(case: &Case<'_>) -> Option<String> {
    let account = case.facts.account.known().filter(|account| account.has_no_login_shell())?;
    Some(words::shell(&account.shell))
}

pub(super) fn service(case: &Case<'_>) -> Option<String> {
    let account = case.facts.account.known().filter(|account| account.is_service)?;
    Some(words::service_account(account.uid))
}

pub(super) fn disabled(case: &Case<'_>) -> Option<String> {
    let by_password = |text: &str| case.login.is_by_password().then(|| text.to_owned());
    match case.facts.account.known()?.state.known()? {
        AccountState::Usable => None,
        AccountState::Expired => Some(words::EXPIRED.to_owned()),
        AccountState::NoPassword => by_password(words::NO_PASSWORD_FITS),
        AccountState::Locked => by_password(words::LOCKED_AND_PASSWORD),
    }
}

/// Not root's: to lock its password and let it in by key is what handbooks advise.
pub(super) fn locked(case: &Case<'_>) -> Option<String> {
    let is_locked = case.facts.account.known()?.state.known() == Some(&AccountState::Locked);
    (is_locked && !case.login.is_root() && !case.login.is_by_password()).then(|| words::LOCKED.to_owned())
}
