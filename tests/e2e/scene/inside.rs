//! What happens inside of sessions, and sshds that are not this host's: listed as it really was.

use std::net::SocketAddr;

use super::{Open, Scene};
use crate::accounts::Account;
use crate::server::SSHD;
use crate::tracer::Gained;

impl Scene<'_> {
    /// Waits until exactly these user ids are listed as gained in the session: from, to, by which program.
    #[track_caller]
    pub fn gains(&mut self, open: &Open, expected: &[(Account, Account, &str)]) {
        self.gained_from(open.truth.peer, expected);
    }

    /// The same for the session from an address, which may be closed.
    #[track_caller]
    pub fn gained_from(&mut self, peer: SocketAddr, expected: &[(Account, Account, &str)]) {
        let found = self.gained(peer);
        let found: Vec<_> = found.iter().map(|g| (g.from, g.to, g.user.as_deref(), g.exe.as_str())).collect();
        let truth: Vec<_> =
            expected.iter().map(|(from, to, exe)| (from.uid, to.uid, Some(to.name), *exe)).collect();
        assert_eq!(found, truth, "listed as gained, and really gained");
    }

    /// Checks that the same was gained so often in the session from an address, and told with bounds.
    #[track_caller]
    pub fn gained_in_a_storm(
        &mut self,
        peer: SocketAddr,
        (from, to, exe): (Account, Account, &str),
        count: u64,
    ) {
        let found = self.gained(peer);
        assert!(
            found.iter().all(|g| (g.from, g.to, g.exe.as_str()) == (from.uid, to.uid, exe)),
            "{found:#?}"
        );
        assert_eq!(found.iter().map(|gained| gained.count).sum::<u64>(), count, "all are counted");
        assert!(found.len() < 80, "{} changes", found.len());
    }

    /// What was gained until now.
    #[track_caller]
    fn gained(&mut self, peer: SocketAddr) -> Vec<Gained> {
        self.fence();
        let listed = self.listed();
        let session = listed.iter().find(|session| session.peer() == Some(peer)).expect("it is listed");
        self.gained.insert(session.session.clone());
        let gained = self.site.tracer.gained(&session.session).unwrap_or_else(|error| panic!("{error:#}"));
        assert!(gained.iter().all(|gained| gained.at >= session.opened_at), "{gained:#?}");
        gained
    }

    /// Checks that exactly these were found since the beginning: who runs what is called like sshd, and why it is not it.
    #[track_caller]
    pub fn foreign_sshds(&mut self, expected: &[(Account, &str, &str)]) {
        self.fence();
        let all = self.site.tracer.findings().unwrap_or_else(|error| panic!("{error:#}"));
        let own = format!("/{}/", std::process::id());
        let found: Vec<_> = all
            .iter()
            .filter(|found| found.at >= self.started)
            // Another run of the suite has folders of its own.
            .filter(|found| found.exe.contains(&own) || found.exe == SSHD)
            .map(|found| (found.run_by.uid, found.exe.as_str(), found.doubt.as_str()))
            .collect();
        let mut truth: Vec<_> = expected.iter().map(|(who, exe, why)| (who.uid, *exe, *why)).collect();
        truth.reverse();
        assert_eq!(found, truth, "listed as found, and really there");
    }
}
