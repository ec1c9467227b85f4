//! What the configuration may not say: each case with everything that a person is told about it.

use std::fmt::Write as _;

use expect_test::expect_file;

use crate::ConfigFile;

/// Part of every secret below; must not be in anything that is said.
const MARK: &str = "S3CRET";

const CASES: &[(&str, &str)] = &[
    (
        "unknown keys and sections",
        "colour = true\n[host]\nnane = \"a\"\n[notfy]\nuser = \"x\"\n[trace]\nzzz = 1\n",
    ),
    (
        "wrong types",
        "[host]\nname = 7\n[trace]\nring_buffer = true\nprobe_log = []\n[enrich]\ndeadline = 3\n[risk]\nmedium_above = \"34\"\nhigh_above = 1.5\n",
    ),
    ("a section that is none, and a list of sections", "host = \"web-1\"\nsinks = 3\n[[trace]]\n"),
    (
        "wrong values",
        "[host]\nname = \"\"\n[trace]\nring_buffer = \"3 MiB\"\nprobe_log = \"wran\"\n[notify]\nuser = \"root\"\n[enrich]\ndeadline = \"soon\"\n",
    ),
    (
        "values out of range",
        "[trace]\nring_buffer = 1024\n[enrich]\ndeadline = \"1h\"\n[risk]\nmedium_above = 101\nhigh_above = -1\n",
    ),
    (
        "hooks that contradict each other",
        "[trace]\nhooks = \"tracepoint\"\nsyscall_tracepoints = \"never\"\n",
    ),
    ("hooks that nobody has", "[trace]\nhooks = \"kprobes\"\nprocess_hooks = 1\n"),
    ("a door that nobody has", "[trace]\nservices = [\"ssh\", \"sudu\"]\n"),
    ("no door at all", "[trace]\nservices = []\n"),
    ("bands that overlap", "[risk]\nmedium_above = 67\n"),
    ("bands that overlap the other way", "[risk]\nhigh_above = 20\n"),
    ("sizes that make no sense", "[trace]\nring_buffer = \"1 GiB\"\n"),
    ("more sizes", "[trace]\nring_buffer = \"99999999999999999999 MiB\"\n"),
    ("accounts that cannot be", "[notify]\nuser = \"a b\"\n"),
    ("sinks without a type", "[sinks.ops]\nwebhook_url_env = \"X\"\nsurprise = 1\n"),
    ("sinks of an unknown type", "[sinks.ops]\ntype = \"slak\"\n"),
    ("sinks that are no section", "[sinks]\nops = \"slack\"\n"),
    ("names that cannot be", "[sinks.\"a b\"]\ntype = \"console\"\n"),
    ("keys of another type of sink", "[sinks.tty]\ntype = \"console\"\nwebhook_url = \"S3CRET\"\n"),
    ("no secret", "[sinks.ops]\ntype = \"slack\"\n[enrich.threat_jammer]\ncache_ttl = \"1h\"\n"),
    (
        "two secrets",
        "[sinks.ops]\ntype = \"slack\"\nwebhook_url = \"https://example.org/S3CRET\"\nwebhook_url_file = \"/x\"\n",
    ),
    (
        "a key that is nearly right",
        "[sinks.ops]\ntype = \"slack\"\nwebhok_url = \"https://example.org/S3CRET\"\n",
    ),
    (
        "a webhook in the clear",
        "[sinks.ops]\ntype = \"slack\"\nwebhook_url = \"http://hooks.slack.com/S3CRET\"\n",
    ),
    ("a webhook that is no URL", "[sinks.ops]\ntype = \"slack\"\nwebhook_url = \"hooks.slack.com/S3CRET\"\n"),
    ("a webhook of the wrong type", "[sinks.ops]\ntype = \"slack\"\nwebhook_url = [\"https://a/S3CRET\"]\n"),
    (
        "a token that cannot be sent, and a base with more than an address",
        "[enrich.threat_jammer]\ntoken = \"S3CRET\\n\"\nbase_url = \"https://user:S3CRET@example.org\"\nrequests_per_minute = 0\n",
    ),
    ("secrets that are not there", "[sinks.ops]\ntype = \"slack\"\nwebhook_url_file = \"<dir>/none\"\n"),
    ("secrets with a relative path", "[sinks.ops]\ntype = \"slack\"\nwebhook_url_file = \"hook\"\n"),
    (
        "secrets that everybody may read",
        "[sinks.ops]\ntype = \"slack\"\nwebhook_url_file = \"<dir>/public\"\n",
    ),
    ("secrets that are empty", "[sinks.ops]\ntype = \"slack\"\nwebhook_url_file = \"<dir>/empty\"\n"),
    ("secrets that are a directory", "[sinks.ops]\ntype = \"slack\"\nwebhook_url_file = \"<dir>\"\n"),
    ("variables that are not set", "[enrich.threat_jammer]\ntoken_env = \"LOGIN_TRACER_TEST_NOT_SET\"\n"),
    ("variables that cannot be", "[enrich.threat_jammer]\ntoken_env = \"tj_S3CRET\"\n"),
    (
        "a secret in the place of its path",
        "[sinks.ops]\ntype = \"slack\"\nwebhook_url_file = \"https://a/S3CRET\"\n",
    ),
    (
        "sinks without what they need",
        "[sinks.a]\ntype = \"email\"\n[sinks.b]\ntype = \"command\"\n[sinks.c]\ntype = \"file\"\n[sinks.d]\ntype = \"telegram\"\ntoken = \"1:S3CRET\"\n[sinks.e]\ntype = \"syslog\"\ntransport = \"tls\"\n[sinks.f]\ntype = \"matrix\"\n",
    ),
    (
        "sinks with what makes no sense together",
        "[sinks.a]\ntype = \"email\"\nfrom = \"a@example.org\"\nto = \"b@example.org\"\nhost = \"mail.example.org\"\ntls = \"none\"\nuser = \"x\"\n[sinks.b]\ntype = \"email\"\nfrom = \"a@example.org\"\nto = []\nsendmail = \"/usr/sbin/sendmail\"\nhost = \"x\"\n[sinks.c]\ntype = \"ntfy\"\ntopic = \"S3CRET\"\ntoken = \"S3CRET\"\nuser = \"x\"\n[sinks.d]\ntype = \"syslog\"\nhost = \"logs\"\n",
    ),
    (
        "sinks with values that cannot be",
        "[sinks.a]\ntype = \"webhook\"\nurl = \"https://a/S3CRET\"\nsecret = \"S3CRET\"\nca_file = \"<dir>/empty\"\n[sinks.b]\ntype = \"command\"\nargv = [\"told\", \"x\"]\n[sinks.c]\ntype = \"email\"\nfrom = \"nobody\"\nto = [\"a@example.org\\r\\nBcc: x@example.org\"]\nhost = \"https://mail\"\n[sinks.d]\ntype = \"pushover\"\ntoken = \"S3CRET\"\nuser = \"S3CRET\"\nemergency = 1\nretry = \"5s\"\n[sinks.e]\ntype = \"telegram\"\ntoken = \"S3CRET\"\nchat = \"general\"\n[sinks.f]\ntype = \"slack_bot\"\ntoken = \"S3CRET\"\nchannel = \"#general\"\n[sinks.g]\ntype = \"pagerduty\"\nrouting_key = \"S3CRET\"\n[sinks.h]\ntype = \"file\"\npath = \"logins\"\nmax_size = \"1 KiB\"\n",
    ),
    (
        "routes that lead nowhere",
        "[[routes]]\nname = \"\"\nsinks = [\"opps\", \"nobody-at-all\"]\n[[routes]]\nat_lest = \"high\"\n[[routes]]\nsinks = 3\n[sinks.ops]\ntype = \"console\"\n",
    ),
    (
        "routes with conditions that cannot hold",
        "[[routes]]\nsinks = []\nkind = [\"open\"]\nlevel = \"red\"\nat_least = \"unknown\"\naddress = \"10.0.0.300\"\nnetwork = [\"10.0.0.0\"]\nservice = \"shh\"\nuser = []\nweekdays = [\"mo\"]\n[[routes]]\nsinks = []\nat_least = \"high\"\nat_most = \"low\"\nfrom = \"24:00\"\nto = \"7\"\n[[routes]]\nsinks = []\nfrom = \"10:00\"\n[[routes]]\nsinks = []\nfrom = \"10:00\"\nto = \"10:00\"\n",
    ),
    ("a way of routing that is none", "[notify]\nrouting = \"al\"\n[routes]\nrest = 1\n"),
    ("routes that are none", "routes = \"ops\"\nquiet_hours = [1]\n"),
    (
        "quiet hours without hours, without an end and without a sink",
        "[[quiet_hours]]\nexcept = [\"red\"]\n[[quiet_hours]]\nfrom = \"08:00\"\nto = \"20:00\"\n[[quiet_hours]]\nfrom = \"19:00\"\nto = \"08:00\"\nsinks = [\"consle\"]\n",
    ),
    (
        "quiet for ever",
        "[[quiet_hours]]\nfrom = \"08:00\"\nto = \"20:00\"\n[[quiet_hours]]\nfrom = \"20:00\"\nto = \"08:00\"\n",
    ),
    (
        "an allowlist for everybody, for ever and for nothing",
        "[[allow]]\nreason = \"x\"\n[[allow]]\nuser = \"x\"\n[[allow]]\nuser = \"x\"\nreason = \" \"\nuntil = \"soon\"\nkey = \"MD5:00\"\n[[allow]]\nuser = \"x\"\nreason = \"r\"\nuntil = 2026-12-31T10:00:00Z\nkeys = \"a\"\n",
    ),
    (
        "a queue without sense",
        "[notify]\nkeep_delivered = \"1m\"\n[sinks.a]\ntype = \"console\"\npace = \"fast\"\nmax_age = \"soon\"\nmax_queued = 0\ngroup = \"1ms\"\ngroup_red = \"no\"\n",
    ),
    (
        "templates that say nothing, that nobody can read and that go nowhere",
        "[[templates]]\nkind = \"opened\"\n[[templates]]\nsummary = \"{{ user }\"\n[[templates]]\ntemplate = \"\"\"\n{{ user }}\n{{ usr }}\n\"\"\"\n[[templates]]\ntemplate_file = \"<dir>/none\"\n[[templates]]\ntemplate_file = \"<dir>/broken.j2\"\nkind = \"loss\"\n[[templates]]\nsinks = \"consle\"\nsummary = \"x\"\ntemplate = \"y\"\n[[templates]]\nsummary = \"{% for a in range(100000) %}{% for b in range(100000) %}{% endfor %}{% endfor %}\"\n",
    ),
    (
        "summaries for nobody, at no time and for those who want none",
        "[notify]\ngather_attempts = \"2h\"\n[[summaries]]\nat = \"24:00\"\n[[summaries]]\nevery = \"hour\"\nsinks = \"pagr\"\n[[summaries]]\nevery = \"day\"\nweekday = \"mon-fri\"\nsinks = [\"pager\"]\n[sinks.pager]\ntype = \"pagerduty\"\nrouting_key = \"0123456789abcdef0123456789abcdef\"\ngroup = \"30s\"\n",
    ),
    ("a text without an end", "[sinks.ops]\ntype = \"slack\"\nwebhook_url = \"https://example.org/S3CRET\n"),
    ("a text without a beginning", "[enrich.threat_jammer]\ntoken = S3CRET\n"),
    ("a line without a key", "[host]\nhttps://hooks.slack.com/S3CRET\n"),
    ("a section without an end", "[host\nname = \"a\"\n"),
    ("a key twice", "[host]\nname = \"a\"\nname = \"b\"\n"),
    (
        "a text with a colour",
        "[host]\nname = \"\\u001b[31mred\"\n[notify]\nuser = \"\\u202egro\"\n\"\\u001b[2J\" = 1\n",
    ),
];

#[test]
fn every_problem_is_told_with_its_line_and_its_remedy() {
    let mut golden = String::new();
    for (title, text) in CASES {
        let file = ConfigFile::new(text)
            .with("public", "https://example.org/S3CRET\n", 0o644)
            .with("empty", "\n", 0o600)
            .with("broken.j2", "{{ summary }}\n\n{% if lost %}\n", 0o644);
        let problems = file.problems();
        assert!(!problems.contains(MARK), "{title} shows a secret:\n{problems}");
        assert_ne!(problems, "no problem\n", "{title} is accepted");
        writeln!(golden, "## {title}\n{problems}").unwrap();
    }
    expect_file!["../goldens/config-errors.txt"].assert_eq(&golden);
}

#[test]
fn a_secret_in_a_file_that_everybody_may_read_is_refused() {
    let file = ConfigFile::new("");
    file.write("config.toml", "[sinks.ops]\ntype = \"slack\"\nwebhook_url = \"https://a/S3CRET\"\n", 0o644);
    let problems = file.problems();
    assert!(problems.contains("every account can read") && !problems.contains(MARK), "{problems}");
    file.write("config.toml", "[sinks.ops]\ntype = \"console\"\n", 0o644);
    file.config();
}

#[test]
fn what_is_no_file_is_refused() {
    let file = ConfigFile::new("");
    for (path, reason) in [("/dev/zero", "regular file"), ("/proc/self/mem", ""), ("/", "regular file")] {
        let error =
            login_tracer::config::load(Some(path.as_ref()), login_tracer::config::Secrets::Read).unwrap_err();
        let text = format!("{:#}", anyhow::Error::from(error));
        assert!(text.contains("cannot read") && text.contains(reason), "{text}");
    }
    std::fs::write(file.path(), b"[host]\nname = \"\xff\"\n").unwrap();
    assert!(file.problems().contains("cannot read"));
}
