//! One file per thing watched.

mod credential;
mod log;
mod process;
mod socket;
mod timer;
