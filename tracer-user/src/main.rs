//! The program `login-tracer`: reads its command line, does what it says, and says once what went wrong.

use std::process::ExitCode;

use clap::Parser as _;
use login_tracer::cli::Cli;
use login_tracer::{commands, output};

fn main() -> ExitCode {
    let cli = Cli::parse();
    match commands::run(&cli) {
        Ok(exit) => exit.into(),
        Err(error) => {
            output::failure(&error);
            commands::Exit::of(&error).into()
        }
    }
}
