//! The arguments of `queue`.

use super::age;
use crate::notify::outbox::DeliveryRef;
use clap::{Args, Subcommand};
use jiff::SignedDuration;

#[derive(Debug, Subcommand)]
pub enum QueueCommand {
    /// List the queues of all sinks, or what waits and is parked in one
    List(QueueListArgs),
    /// Show one delivery with its attempts
    Show(QueueShowArgs),
    /// Send again, now: a delivery, or all of a sink that wait or are parked
    Retry(QueueRetryArgs),
    /// Give up: a delivery, or what has waited in a sink's queue for too long
    Drop(QueueDropArgs),
    /// Wait until the queues are empty; fails if they are not after the time
    Drain(QueueDrainArgs),
    /// Hold all messages for a sink back
    Pause(QueuePauseArgs),
    /// Send to a sink again that was paused, or suspended because it was gone
    Resume(QueueResumeArgs),
}

#[derive(Debug, Args)]
pub struct QueueListArgs {
    /// Name of a sink: its deliveries, those that are due first before the others
    #[arg(value_name = "SINK")]
    pub sink: Option<String>,

    /// One JSON object a line, times in UTC
    #[arg(long)]
    pub json: bool,
}

#[derive(Debug, Args)]
pub struct QueueShowArgs {
    /// The delivery's id, or its first digits
    #[arg(value_name = "ID", value_parser = DeliveryRef::parse)]
    pub delivery: DeliveryRef,

    /// One JSON object, times in UTC
    #[arg(long)]
    pub json: bool,
}

#[derive(Debug, Args)]
#[group(required = true, multiple = false)]
pub struct QueueRetryArgs {
    /// The delivery's id, or its first digits; it may have been given up
    #[arg(value_name = "ID", value_parser = DeliveryRef::parse)]
    pub delivery: Option<DeliveryRef>,

    /// Everything of this sink that waits or is parked
    #[arg(long, value_name = "SINK")]
    pub sink: Option<String>,

    /// Everything that is parked, at every sink
    #[arg(long)]
    pub all_parked: bool,
}

#[derive(Debug, Args)]
pub struct QueueDropArgs {
    /// The delivery's id, or its first digits
    #[arg(value_name = "ID", value_parser = DeliveryRef::parse, required_unless_present = "sink")]
    pub delivery: Option<DeliveryRef>,

    /// What waits or is parked at this sink
    #[arg(long, value_name = "SINK", conflicts_with = "delivery", requires = "older_than")]
    pub sink: Option<String>,

    /// Only what came into the queue longer ago, such as 12h or 7d; 0s for everything
    #[arg(long, value_name = "TIME", value_parser = age, requires = "sink")]
    pub older_than: Option<SignedDuration>,

    /// Why, for those who look at it later
    #[arg(long, value_name = "TEXT")]
    pub reason: Option<String>,
}

#[derive(Debug, Args)]
pub struct QueueDrainArgs {
    /// Only the queue of this sink
    #[arg(long, value_name = "SINK")]
    pub sink: Option<String>,

    /// How long to wait
    #[arg(long, value_name = "TIME", value_parser = age, default_value = "1m")]
    pub timeout: SignedDuration,
}

#[derive(Debug, Args)]
pub struct QueuePauseArgs {
    /// Name of the sink
    #[arg(value_name = "SINK")]
    pub sink: String,

    /// Why, for those who look at it later
    #[arg(long, value_name = "TEXT")]
    pub reason: Option<String>,
}

#[derive(Debug, Args)]
pub struct QueueResumeArgs {
    /// Name of the sink
    #[arg(value_name = "SINK")]
    pub sink: String,
}
