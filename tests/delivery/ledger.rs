//! What look-ups leave behind: answers until they expire, and requests that count for the quotas.

use std::cell::RefCell;
use std::fs;
use std::rc::Rc;

use jiff::{SignedDuration, Timestamp, ToSpan as _};
use login_tracer::enrich::Ledger as _;
use login_tracer::enrich::quota::{Limits, Period, Refusal};
use login_tracer::notify::outbox::{self, Outbox};

/// A state directory.
fn folder() -> tempfile::TempDir {
    let dir = tempfile::tempdir().unwrap();
    fs::create_dir(dir.path().join(outbox::DIRECTORY)).unwrap();
    dir
}

#[test]
fn answers_expire_and_new_ones_replace_old_ones() {
    let dir = folder();
    let ledger = Rc::new(RefCell::new(Outbox::open(dir.path()).unwrap()));
    let now: Timestamp = "2026-11-21T09:00:00Z".parse().unwrap();
    ledger.remember("s", "a", "1", now + 60.seconds());
    assert_eq!(ledger.answer("s", "a", now + 59.seconds()).as_deref(), Some("1"));
    assert_eq!(ledger.answer("s", "a", now + 60.seconds()), None);
    assert_eq!(ledger.answer("other", "a", now), None);
    ledger.remember("s", "a", "2", now + 90.seconds());
    assert_eq!(ledger.answer("s", "a", now + 60.seconds()).as_deref(), Some("2"));
    assert_eq!(ledger.borrow_mut().forget_expired(now + 90.seconds()).unwrap(), 1);
}

#[test]
fn requests_are_counted_in_a_sliding_minute_and_by_month() {
    let dir = folder();
    let limits = Limits { per_minute: 3, per_period: 5, period: Period::Month };
    let now: Timestamp = "2026-11-30T23:58:00Z".parse().unwrap();
    let at = |seconds: i64| now + SignedDuration::from_secs(seconds);
    let ledger = Rc::new(RefCell::new(Outbox::open(dir.path()).unwrap()));
    assert_eq!(ledger.spend("s", limits, at(0)), Ok(()));
    assert_eq!(ledger.spend("s", limits, at(30)), Ok(()));
    assert_eq!(ledger.spend("s", limits, at(59)), Ok(()));
    assert_eq!(ledger.spend("s", limits, at(59)), Err(Refusal::Minute));
    // The window slides: the first one leaves it, the second one is in it still.
    assert_eq!(ledger.spend("s", limits, at(60)), Ok(()));
    assert_eq!(ledger.spend("s", limits, at(60)), Err(Refusal::Minute));
    assert_eq!(ledger.spend("other", limits, at(60)), Ok(()));
    // Another process, the same counts.
    let ledger = Rc::new(RefCell::new(Outbox::open(dir.path()).unwrap()));
    assert_eq!(ledger.spend("s", limits, at(61)), Err(Refusal::Minute));
    assert_eq!(ledger.spend("s", limits, at(95)), Ok(()));
    assert_eq!(ledger.spend("s", limits, at(119)), Err(Refusal::Month));
    // A new month (at 120 s) begins with nothing used.
    assert_eq!(ledger.spend("s", limits, at(180)), Ok(()));
    // The clock is set back: requests of the future do not count for this minute.
    assert_eq!(ledger.spend("s", Limits { per_period: 50, ..limits }, at(-500)), Ok(()));
}
