//! The configuration file: what it may say, what is wrong with it otherwise, and that no problem shows a secret.
//!
//! `UPDATE_EXPECT=1 cargo test --test config` writes the golden file anew.

#![expect(clippy::unwrap_used, reason = "what a test relies on may panic, with its place")]

mod accepted;
mod refused;
mod shipped;

use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use login_tracer::config::file::Located;
use login_tracer::config::{Config, ConfigError, Secrets, load};

/// A configuration file in a directory of its own, which goes with it.
struct ConfigFile {
    dir: tempfile::TempDir,
}

impl ConfigFile {
    /// `<dir>` in the text stands for the directory. Only the owner may read the file.
    fn new(text: &str) -> Self {
        let file = Self { dir: tempfile::tempdir().unwrap() };
        file.write("config.toml", text, 0o600);
        file
    }

    /// Writes a further file beside it.
    fn with(self, name: &str, text: &str, mode: u32) -> Self {
        self.write(name, text, mode);
        self
    }

    fn write(&self, name: &str, text: &str, mode: u32) {
        let path = self.dir.path().join(name);
        fs::write(&path, text.replace("<dir>", self.dir.path().to_str().unwrap())).unwrap();
        fs::set_permissions(&path, Permissions::from_mode(mode)).unwrap();
    }

    fn path(&self) -> PathBuf {
        self.dir.path().join("config.toml")
    }

    fn load(&self, secrets: Secrets) -> Result<Config, ConfigError> {
        load(Some(&self.path()), secrets)
    }

    fn config(&self) -> Config {
        self.load(Secrets::Read).unwrap_or_else(|error| panic!("{}", self.shown(&error)))
    }

    /// What a person is told, with the directory as `<dir>`.
    fn problems(&self) -> String {
        match self.load(Secrets::Read) {
            Ok(_) => "no problem\n".to_owned(),
            Err(error) => self.shown(&error),
        }
    }

    fn shown(&self, error: &ConfigError) -> String {
        let mut text = String::new();
        if let ConfigError::Invalid { path, problems } = error {
            for problem in problems {
                text.push_str(&format!("error: {}\n", Located(path, problem)));
            }
        } else {
            text.push_str(&format!("{error}\n"));
        }
        text.replace(self.dir.path().to_str().unwrap(), "<dir>")
    }
}

fn repository() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}
