//! The arguments of `explain`, `assess` and `rules`.

use std::net::IpAddr;

use clap::Args;

use super::SessionRef;

#[derive(Debug, Args)]
pub struct ExplainArgs {
    /// The number in the table, or the `session` of the JSON
    #[arg(value_name = "ID", value_parser = SessionRef::parse)]
    pub session: SessionRef,

    /// One JSON object: that of `sessions --json` with the calculation
    #[arg(long)]
    pub json: bool,
}

#[derive(Debug, Args)]
pub struct AssessArgs {
    /// The address; those who are configured are asked, which counts towards their limits with them
    #[arg(value_name = "IP", required_unless_present = "replay")]
    pub address: Option<IpAddr>,

    /// As if this account logged in from there; with --replay, only its sessions
    #[arg(long, value_name = "NAME")]
    pub user: Option<String>,

    /// Ask nobody: only what this host knows by itself
    #[arg(long, conflicts_with = "replay")]
    pub offline: bool,

    /// Run today's rules over the sessions that were rated, with what was known then, and list those that would change
    #[arg(long, conflicts_with_all = ["address", "json"])]
    pub replay: bool,

    /// One JSON object
    #[arg(long)]
    pub json: bool,
}

#[derive(Debug, Args)]
pub struct RulesArgs {
    /// One JSON object a line
    #[arg(long)]
    pub json: bool,
}
