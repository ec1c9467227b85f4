//! `login-tracer run` at work, and what its processes use.

use std::collections::{BTreeMap, BTreeSet};
use std::ffi::OsString;
use std::fs;
use std::os::unix::net::UnixDatagram;
use std::path::{Path, PathBuf};
use std::process::{Child, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context as _, bail, ensure};
use aya::programs::links::{FdLink, PinnedLink};
use aya::programs::loaded_programs;
use jiff::Timestamp;
use rustix::process::Signal;

use crate::Bench;
use crate::accounts::write;
use crate::hooks::Hooks;
use crate::lines::{LIMIT, Lines};
use crate::processes::{self, command};
use crate::sandbox::ROOM;

/// Both roles and their supervisor; ended when dropped.
pub struct Tracer {
    child: Child,
    /// From its start until both roles said that they are ready.
    pub start: Duration,
    messages: Arc<Lines>,
    program: PathBuf,
    state_dir: PathBuf,
}

/// How a tracer is set up.
pub struct Setup<'a> {
    pub state_dir: &'a Path,
    /// A webhook to post to; without one, messages go nowhere.
    pub webhook: Option<&'a str>,
    /// Lines of the section `[trace]`.
    pub trace: &'a [&'a str],
}

impl<'a> Setup<'a> {
    /// As it comes, telling nobody.
    pub fn plain(state_dir: &'a Path) -> Self {
        Self { state_dir, webhook: None, trace: &[] }
    }
}

impl Tracer {
    /// Starts it with a state directory of this name on the disk, and waits until it is ready.
    pub fn start_in(bench: &Bench, state: &str) -> anyhow::Result<Self> {
        Self::start(bench, &Setup::plain(&bench.disk.join(state)))
    }

    /// Starts it and waits until it is ready.
    pub fn start(bench: &Bench, setup: &Setup<'_>) -> anyhow::Result<Self> {
        const WEBHOOK: &str = "BENCH_WEBHOOK";
        /// How often it is looked whether it has ended instead.
        const LOOK: Duration = Duration::from_millis(100);
        let config = PathBuf::from(format!("{ROOM}/config.toml"));
        let sink = setup.webhook.map_or("type = \"console\"\n".to_owned(), |_| {
            format!("type = \"slack\"\npace = \"none\"\nwebhook_url_env = \"{WEBHOOK}\"\n")
        });
        let trace = setup.trace.join("\n");
        write(&config, &format!("[trace]\n{trace}\n[sinks.bench]\n{sink}"), 0o644)?;
        let socket_path = format!("{ROOM}/ready");
        if Path::new(&socket_path).exists() {
            fs::remove_file(&socket_path).context("cannot remove the socket of the last start")?;
        }
        let socket = UnixDatagram::bind(&socket_path).context("cannot listen for readiness")?;
        socket.set_read_timeout(Some(LOOK)).context("cannot bound the wait for readiness")?;

        let mut command = command(&bench.tracer);
        command.arg("--config").arg(&config).arg("--state-dir").arg(setup.state_dir).arg("run");
        command.env("NOTIFY_SOCKET", socket_path).stdout(Stdio::null()).stderr(Stdio::piped());
        if let Some(url) = setup.webhook {
            command.env(WEBHOOK, url);
        }
        let started = Instant::now();
        let mut child = command.spawn().context("cannot start the tracer")?;
        let messages = Lines::of(child.stderr.take().context("the messages are piped")?);
        let mut tracer = Self {
            child,
            start: Duration::ZERO,
            messages,
            program: bench.tracer.clone(),
            state_dir: setup.state_dir.to_owned(),
        };
        let mut buffer = [0; 1024];
        loop {
            let Ok(length) = socket.recv(&mut buffer) else {
                if tracer.child.try_wait()?.is_some() || started.elapsed() > LIMIT {
                    bail!("the tracer did not become ready:\n{}", tracer.messages());
                }
                continue;
            };
            if buffer[..length].split(|byte| *byte == b'\n').any(|line| line == b"READY=1") {
                tracer.start = started.elapsed();
                return Ok(tracer);
            }
        }
    }

    /// The process ids of supervisor, trace role and notify role.
    pub fn processes(&self) -> anyhow::Result<[u32; 3]> {
        let supervisor = self.child.id();
        let roles = processes::children(supervisor);
        let role = |verb: &str| {
            let is_it = |pid: &&u32| {
                let words = fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
                words.split(|byte| *byte == 0).any(|word| word == verb.as_bytes())
            };
            roles.iter().find(is_it).copied().with_context(|| format!("there is no {verb} role"))
        };
        Ok([supervisor, role("trace")?, role("notify")?])
    }

    /// The programs that it has pinned. Other tracers may be at work, but not in this sandbox's BPF file system.
    pub fn program_ids(&self) -> anyhow::Result<Vec<u64>> {
        let mut found = BTreeSet::new();
        for instance in fs::read_dir("/sys/fs/bpf/login-tracer").context("nothing is pinned")? {
            for generation in fs::read_dir(instance?.path())? {
                for pin in fs::read_dir(generation?.path())? {
                    let path = pin?.path();
                    let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
                    if name.starts_with("link_") {
                        let link = FdLink::from(PinnedLink::from_pin(&path)?);
                        found.insert(u64::from(link.info()?.program_id()));
                    }
                }
            }
        }
        ensure!(!found.is_empty(), "no program is pinned");
        Ok(found.into_iter().collect())
    }

    /// Which hooks it got.
    pub fn hooks(&self) -> anyhow::Result<Hooks> {
        let ids = self.program_ids()?;
        let ours = loaded_programs().flatten().filter(|program| ids.contains(&program.id().into()));
        Ok(Hooks::of(
            &ours.filter_map(|program| program.name_as_str().map(str::to_owned)).collect::<Vec<_>>(),
        ))
    }

    /// The kernel memory that they take.
    pub fn program_bytes(&self) -> anyhow::Result<u64> {
        let ids = self.program_ids()?;
        let ours = loaded_programs().flatten().filter(|program| ids.contains(&program.id().into()));
        ours.map(|program| Ok(u64::from(program.memory_locked()?))).sum()
    }

    /// Everything that it said.
    pub fn messages(&self) -> String {
        self.messages.since(Timestamp::MIN)
    }
}

impl Drop for Tracer {
    fn drop(&mut self) {
        processes::signal(self.child.id(), Signal::TERM);
        // It ends in a moment, or when its supervisor loses patience.
        self.child.wait().ok();
        // The programs would go on, also where it is measured how it is without them.
        let unloaded = command(&self.program).arg("--state-dir").arg(&self.state_dir).arg("unload").output();
        assert!(unloaded.is_ok_and(|output| output.status.success()), "the programs are still in the kernel");
    }
}

/// What a process has used.
#[derive(Debug, Clone, Copy, Default)]
pub struct Used {
    /// Time on a CPU, in seconds.
    pub cpu_s: f64,
    /// Time for which it could have worked, but others had the CPUs, in seconds.
    pub waited_s: f64,
    /// How often it was put to sleep because it had nothing to do.
    pub sleeps: u64,
}

/// What each thread of a process had used at some time.
#[derive(Debug)]
pub struct Usage {
    pid: u32,
    threads: BTreeMap<OsString, Used>,
}

impl Usage {
    /// Until now.
    pub fn of(pid: u32) -> anyhow::Result<Self> {
        let mut threads = BTreeMap::new();
        for thread in fs::read_dir(format!("/proc/{pid}/task")).context("the process is gone")? {
            let thread = thread?;
            // One that ended meanwhile has told the kernel what it used, but not by itself.
            if let Ok(used) = used(&thread.path()) {
                threads.insert(thread.file_name(), used);
            }
        }
        ensure!(!threads.is_empty(), "the kernel does not say what process {pid} uses");
        Ok(Self { pid, threads })
    }

    /// What was used since then, but for threads that have ended.
    pub fn since(&self) -> anyhow::Result<Used> {
        let mut sum = Used::default();
        for (thread, now) in Self::of(self.pid)?.threads {
            let before = self.threads.get(&thread).copied().unwrap_or_default();
            sum.cpu_s += now.cpu_s - before.cpu_s;
            sum.waited_s += now.waited_s - before.waited_s;
            sum.sleeps += now.sleeps - before.sleeps;
        }
        Ok(sum)
    }
}

/// Of a thread, by its folder below `/proc`.
fn used(thread: &Path) -> anyhow::Result<Used> {
    // Nanoseconds on a CPU, and those of waiting for one; `stat` counts in hundredths of a second.
    let times = fs::read_to_string(thread.join("schedstat")).context("the kernel keeps no schedstat")?;
    let mut numbers = times.split_whitespace().map(str::parse::<f64>);
    let mut next = || anyhow::Ok(numbers.next().context("a time is missing in schedstat")?? / 1e9);
    let (cpu_s, waited_s) = (next()?, next()?);
    let sleeps = number_in(&thread.join("status"), "voluntary_ctxt_switches:")?;
    Ok(Used { cpu_s, waited_s, sleeps })
}

/// Resident memory in bytes.
pub fn resident(pid: u32) -> anyhow::Result<u64> {
    Ok(1024 * number_in(&PathBuf::from(format!("/proc/{pid}/status")), "VmRSS:")?)
}

/// Bytes of what it keeps resident that are its own: no pages of files, which other processes share.
pub fn anonymous(pid: u32) -> anyhow::Result<u64> {
    Ok(1024 * number_in(&PathBuf::from(format!("/proc/{pid}/status")), "RssAnon:")?)
}

/// What a process holds of the kernel's BPF objects, of one kind: `prog_id:` and `map_id:` give the ids, and
/// `memlock:` the bytes.
pub fn bpf_objects(pid: u32, kind: &str, value: &str) -> anyhow::Result<Vec<u64>> {
    let mut found = BTreeMap::<u64, u64>::new();
    for entry in fs::read_dir(format!("/proc/{pid}/fdinfo"))? {
        // A descriptor may be closed meanwhile.
        let Ok(info) = fs::read_to_string(entry?.path()) else { continue };
        let get = |key| info.lines().find_map(|line: &str| line.strip_prefix(key)?.trim().parse().ok());
        if let (Some(id), Some(value)) = (get(kind), get(value)) {
            // Links name their program too; the program itself is not counted twice.
            found.insert(id, value);
        }
    }
    ensure!(!found.is_empty(), "process {pid} holds nothing with a {kind}");
    Ok(found.into_values().collect())
}

fn number_in(path: &Path, key: &str) -> anyhow::Result<u64> {
    let text = fs::read_to_string(path).with_context(|| format!("cannot read {}", path.display()))?;
    let line = text.lines().find_map(|line| line.strip_prefix(key));
    let number = line.and_then(|line| line.split_whitespace().next()?.parse().ok());
    number.with_context(|| format!("no {key} in {}", path.display()))
}
