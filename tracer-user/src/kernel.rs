//! From the running kernel to events: resolve offsets, load and attach the programs, decode what they report.

mod account_file;
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
mod shadow;
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
pub use self::shadow::account_state;
pub use self::survey::{Requirement, RequirementState, Survey, survey};

use tracer_ebpf::Door;

use crate::event::Service;

/// The kernel programs' word for a service.
fn door(service: Service) -> Door {
    match service {
        Service::Ssh => Door::Ssh,
        Service::Dropbear => Door::Dropbear,
        Service::Login => Door::Login,
        Service::Su => Door::Su,
        Service::Sudo => Door::Sudo,
    }
}

/// The service whose program has this name, as the kernel programs see it: any of sshd's is of ssh.
pub fn service_of(name: &str) -> Option<Service> {
    let mut bytes = [0; tracer_ebpf::NAME_LEN];
    bytes.get_mut(..name.len())?.copy_from_slice(name.as_bytes());
    let found = Door::of(&bytes)?;
    Service::ALL.into_iter().find(|service| door(*service) == found)
}

/// Whether the kernel programs follow a process of this service with these ids, see [`Door::may_let_in`].
pub fn may_let_in(service: Service, ruid: u32, euid: u32, has_terminal: bool) -> bool {
    door(service).may_let_in(ruid, euid, has_terminal)
}
