//! One file per thing watched.

mod credential;
mod descendants;
mod log;
mod process;
mod record;
mod socket;
mod timer;
