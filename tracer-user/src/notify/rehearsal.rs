//! Tries sinks out: each is sent a message that is marked as an example, and what was said is handed back.
//!
//! Nothing is read from or written to a database; it can be done while the role is working.

use anyhow::Context as _;
use jiff::Timestamp;

use super::sink::http::Clients;
use super::sink::{self, Report};
use super::{message, route, template};
use crate::config::{Config, Sink};

/// Sends one example through every sink in the list, one after the other, and says what came of each.
///
/// # Errors
/// The runtime or a sink cannot be set up; what `told` says.
pub fn run(
    config: &Config,
    sinks: &[&Sink],
    mut told: impl FnMut(&Sink, &Report) -> anyhow::Result<()>,
) -> anyhow::Result<()> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .context("cannot start a runtime for the sinks")?;
    let (clients, host) = (Clients::new(), config.host());
    for configured in sinks {
        let sink = sink::open(&configured.kind, &clients)
            .with_context(|| format!("cannot open the sink {}", configured.name))?;
        let mut delivery = message::example(&host, Timestamp::now());
        let kind = route::kind_of(&delivery.event);
        let reworded = template::apply(&config.templates, kind, &configured.name, &delivery.message, None);
        if let Some(reworded) = reworded {
            delivery.message = message::marked_as_example(reworded);
        }
        let report = runtime.block_on(sink.send(&delivery));
        told(configured, &report)?;
    }
    // A name that is being resolved cannot be interrupted; nobody waits for it.
    runtime.shutdown_background();
    Ok(())
}
