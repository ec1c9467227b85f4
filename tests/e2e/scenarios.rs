//! The scenarios, by what they are about. Each is a function that plays and checks; its name is the name of the test.

use std::panic::{AssertUnwindSafe, catch_unwind};

use crate::scene::Scene;
use crate::site::Site;

/// Functions as scenarios of a group under their own names, each with what it needs after a colon.
macro_rules! scenarios {
    ($group:literal, $($script:ident $(: $($needs:literal)+)?),* $(,)?) => {
        vec![$($crate::scenarios::Scenario {
            name: concat!($group, "::", stringify!($script)),
            needs: &[$($($needs),+)?],
            script: $script,
        }),*]
    };
}

mod announcements;
mod attempts;
mod dropbear;
mod endings;
mod impostors;
mod inside;
mod local;
mod logins;
mod methods;
mod refusals;
mod restarts;

/// A named test.
#[derive(Clone, Copy)]
pub struct Scenario {
    pub name: &'static str,
    /// Programs that it uses beside those of OpenSSH.
    pub needs: &'static [&'static str],
    script: fn(&mut Scene<'_>),
}

impl Scenario {
    /// Plays it, and then checks that there is nothing listed that did not happen. Whatever fails, the evidence is
    /// part of the error.
    pub fn play(&self, site: &Site) -> Result<(), String> {
        let mut scene = Scene::begin(site);
        let played = catch_unwind(AssertUnwindSafe(|| {
            (self.script)(&mut scene);
            scene.conclude();
            if let Some(recordings) = &site.recordings {
                recordings.save(self.name).expect("the recording is saved");
            }
        }));
        played.map_err(|panic| {
            let words = panic.downcast_ref::<String>().cloned();
            let words = words.or_else(|| panic.downcast_ref().map(|words: &&str| (*words).to_owned()));
            format!("{}\n{}", words.unwrap_or_default(), scene.evidence())
        })
    }
}

/// All scenarios, in the order in which they are played.
pub fn all() -> Vec<Scenario> {
    let mut all = logins::scenarios();
    all.extend(methods::scenarios());
    all.extend(endings::scenarios());
    all.extend(inside::scenarios());
    all.extend(refusals::scenarios());
    all.extend(attempts::scenarios());
    all.extend(dropbear::scenarios());
    all.extend(local::scenarios());
    all.extend(impostors::scenarios());
    all.extend(restarts::scenarios());
    all.extend(announcements::scenarios());
    all.extend(scenarios!["end", nothing_is_left_unexplained]);
    all
}

/// Whatever came late: at the very end there is no session that no scenario accounts for.
fn nothing_is_left_unexplained(scene: &mut Scene<'_>) {
    scene.everything_is_explained();
    scene.attempts_are_no_sessions();
}
