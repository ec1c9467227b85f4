//! Recognises the configuration of a sink, secrets included, without giving anything of it away.
//!
//! The mark is an HMAC under a key that only the role's account can read: those who may read the database cannot try
//! passwords with it. A new version of this program may make another mark of the same configuration; then a suspended
//! sink is tried once more than needed.

use std::fs::{self, OpenOptions};
use std::hash::{Hash as _, Hasher};
use std::io::{self, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;

use ring::hmac;
use rustix::rand::{GetRandomFlags, getrandom};

use super::outbox;
use crate::config::SinkKind;

/// Name of the key's file within the role's folder.
const FILE_NAME: &str = "mark.key";
/// Length of the key in bytes.
const KEY_BYTES: usize = 32;

/// The key, read or made when it is needed for the first time.
///
/// # Errors
/// It can be neither read nor written.
pub(super) fn key(state_dir: &Path) -> io::Result<hmac::Key> {
    let path = state_dir.join(outbox::DIRECTORY).join(FILE_NAME);
    match fs::read(&path) {
        Ok(bytes) if bytes.len() == KEY_BYTES => return Ok(hmac::Key::new(hmac::HMAC_SHA256, &bytes)),
        Ok(_) => fs::remove_file(&path)?,
        Err(error) if error.kind() == io::ErrorKind::NotFound => {}
        Err(error) => return Err(error),
    }
    let mut bytes = [0; KEY_BYTES];
    if getrandom(&mut bytes, GetRandomFlags::empty())? != KEY_BYTES {
        return Err(io::Error::other("there is not enough chance"));
    }
    let mut options = OpenOptions::new();
    let mut file = options.create_new(true).write(true).mode(0o600).open(&path)?;
    file.write_all(&bytes)?;
    Ok(hmac::Key::new(hmac::HMAC_SHA256, &bytes))
}

/// The mark of a configuration.
pub(super) fn mark(key: &hmac::Key, kind: &SinkKind) -> Vec<u8> {
    let mut written = Written(Vec::new());
    kind.as_str().hash(&mut written);
    kind.hash(&mut written);
    hmac::sign(key, &written.0).as_ref().to_vec()
}

/// Takes down what is hashed.
struct Written(Vec<u8>);

impl Hasher for Written {
    fn write(&mut self, bytes: &[u8]) {
        self.0.extend_from_slice(bytes);
    }

    fn finish(&self) -> u64 {
        0
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::config::{Http, Secret, Slack};

    #[test]
    fn the_same_configuration_has_the_same_mark_and_another_secret_another_one() {
        let dir = tempfile::tempdir().unwrap();
        fs::create_dir(dir.path().join(outbox::DIRECTORY)).unwrap();
        let slack = |url: &str, seconds| {
            let http = Http { timeout: Duration::from_secs(seconds), ca: None };
            SinkKind::Slack(Slack { webhook_url: Secret::new(url.to_owned()), http })
        };
        let first = mark(&key(dir.path()).unwrap(), &slack("a", 1));
        // The key is kept.
        let again = key(dir.path()).unwrap();
        assert_eq!(mark(&again, &slack("a", 1)), first);
        assert_ne!(mark(&again, &slack("b", 1)), first);
        assert_ne!(mark(&again, &slack("a", 2)), first);
        // Without the key it is worth nothing.
        fs::write(dir.path().join(outbox::DIRECTORY).join(FILE_NAME), "short").unwrap();
        assert_ne!(mark(&key(dir.path()).unwrap(), &slack("a", 1)), first);
    }
}
