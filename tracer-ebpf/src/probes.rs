//! One file per thing watched.

mod credential;
mod descendants;
mod process;
mod socket;
mod timer;
