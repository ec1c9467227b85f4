//! A sink: one destination, behind one verb.
//!
//! A sink lays a message out for its service, escapes it for that service's markup, sends it once and says what came of
//! it. When to try again is not its business.

pub mod console;
pub mod slack;

use std::future::Future;
use std::pin::Pin;

use super::outbox::Delivery;
use super::outcome::Outcome;

/// One destination.
pub trait Sink {
    /// Makes one attempt. Whatever happens is in the report.
    fn send<'a>(&'a self, delivery: &'a Delivery) -> Sending<'a>;
}

/// An attempt under way.
pub type Sending<'a> = Pin<Box<dyn Future<Output = Report> + 'a>>;

/// What an attempt came to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Report {
    pub outcome: Outcome,
    /// HTTP status of the answer, where there was one.
    pub status: Option<u16>,
}

impl Report {
    /// Nothing came back: it may work later.
    pub fn no_answer(why: String) -> Self {
        Self { outcome: Outcome::Retry { after: None, why }, status: None }
    }
}
