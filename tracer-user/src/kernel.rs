//! From the running kernel to events: resolve offsets, load and attach the programs, decode what they report.

mod attach;
mod clock;
mod container;
mod decode;
mod descendants;
mod identity;
mod offsets;
mod passwd;
pub(crate) mod pins;
mod probes;
mod prove;
mod ring;
mod survey;
mod tier;
mod tracefs;

pub use self::attach::AttachError;
pub use self::clock::Clock;
pub use self::container::container_of;
pub use self::decode::{DecodeError, decode};
pub use self::descendants::Descendants;
pub use self::identity::{Identity, IdentityError};
pub use self::passwd::{name_of, uid_of};
pub use self::pins::Pins;
pub use self::probes::{Earlier, Probes};
pub use self::survey::{Requirement, RequirementState, Survey, survey};
