//! One file per thing watched.

mod credential;
mod log;
mod process;
mod record;
mod socket;
mod timer;
