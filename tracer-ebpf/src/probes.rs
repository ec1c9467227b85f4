//! One file per thing watched.

mod credential;
mod process;
mod record;
mod socket;
mod timer;
