//! One file per thing watched.

mod credential;
mod process;
mod socket;
mod timer;
