//! A full disk under `delivery.db`: the role goes on, and what it could not write is told when there is room again.

use std::os::unix::fs::MetadataExt as _;
use std::process::Command;
use std::time::Duration;
use std::{fs, thread};

use crate::root::is_root_or_skip;
use crate::slack::Slack;
use crate::world::{Role, World, eventually, opened};

/// The role with its folder on a file system of 16 MiB, in a mount namespace of its own. Needs root.
#[test]
fn a_full_disk_loses_nothing() {
    if !is_root_or_skip("delivery::disk::a_full_disk_loses_nothing") {
        return;
    }
    let slack = Slack::start();
    let mut world = World::with_slack(&slack);
    let folder = world.path().join("notify");
    fs::create_dir(&folder).unwrap();
    let mount = format!("mount -t tmpfs -o size=16m tmpfs '{}' && exec \"$0\" \"$@\"", folder.display());
    let mut wrapper = Command::new("unshare");
    wrapper.args(["--mount", "--propagation", "private", "sh", "-c", &mount]);
    let mut role = Role::start_in(wrapper, world.path(), &world.setup);

    let inside = role.root().join(folder.strip_prefix("/").unwrap());
    world.commit(&[opened(1, "before", "10.0.0.1")]);
    eventually("first login", || told(&slack, "before").then_some(()));
    // Another file system than ours, or the rest proves nothing.
    assert_ne!(fs::metadata(&inside).unwrap().dev(), fs::metadata(&folder).unwrap().dev());

    let filler = inside.join("filler");
    let mut size = 32 << 20;
    while size > 0 {
        // Fills what is left, down to single pages.
        let file = fs::File::options().create(true).append(true).open(&filler).unwrap();
        if rustix::io::write(&file, &vec![1; size]).is_err() {
            size /= 2;
        }
    }
    let logins: Vec<_> =
        (2..=200).map(|number| opened(number, &format!("during{number}"), "10.0.0.1")).collect();
    world.commit(&logins);
    eventually("complaint", || role.log().contains("changes cannot be taken in yet").then_some(()));
    thread::sleep(Duration::from_millis(500));
    assert!(role.ended().is_none());
    assert_eq!(slack.shown().len(), 1);

    fs::remove_file(&filler).unwrap();
    eventually("all of them", || (slack.shown().len() == 200).then_some(()));
    assert!((2..=200).all(|number| told(&slack, &format!("during{number} "))));
}

fn told(slack: &Slack, user: &str) -> bool {
    slack.texts().iter().any(|text| text.contains(user))
}
