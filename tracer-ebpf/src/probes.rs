//! One file per thing watched.

mod credential;
mod descendants;
mod process;
mod record;
mod socket;
mod timer;
