//! login-tracer: tells the owner of a server who enters it by SSH. The modules in the order in which data flows.

pub mod config; // what the owner wants

pub mod event; // what the kernel reports
pub mod kernel; // kernel -> events
pub mod reconcile;
pub mod tracker; // events -> findings about sessions; pure // /proc against what events said

pub mod session; // what is stored
pub mod store; // sessions.db, written by the trace role

pub mod assess; // facts -> risk; pure
pub mod enrich; // facts about a session
pub mod notify; // delivery.db and the sinks, written by the notify role
mod words; // every sentence of reasons and messages; pure

pub mod cli; // the command line
pub mod commands; // one thin file per verb
pub mod output; // everything that is printed
pub mod sanitize; // strangers' text on its way out
pub mod supervise; // roles, signals, readiness, shutdown
