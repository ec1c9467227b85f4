//! A receiver that checks signatures as Standard Webhooks says, with an HMAC that is not ours: Python's.

use std::io::Write as _;
use std::process::{Command, Stdio};

use serde_json::Value;

use crate::http::{Reply, Request};
use crate::over_http::SECRET;
use crate::service::json;

/// `hushhushhush0123456789hush` in base64.
pub(crate) const SIGNING_SECRET: &str = "whsec_aHVzaGh1c2hodXNoMDEyMzQ1Njc4OWh1c2g=";

pub(crate) fn rules(request: &Request) -> Reply {
    if request.method != "POST" || request.path != format!("/logins/{SECRET}") {
        return Reply::new(404, "not found");
    }
    match check(request) {
        Ok(()) => Reply::new(204, ""),
        Err(why) => Reply::new(400, why),
    }
}

fn check(request: &Request) -> Result<(), String> {
    let header = |name| request.header(name).ok_or_else(|| format!("no {name}"));
    let (id, timestamp) = (header("webhook-id")?, header("webhook-timestamp")?);
    if header("idempotency-key")? != id {
        return Err("two names for one message".to_owned());
    }
    timestamp.parse::<u64>().map_err(|_| "the timestamp is no number".to_owned())?;
    let body: Value = json(request)?;
    if body["version"] != 1 || body["id"] != id {
        return Err("not version 1, or of another message".to_owned());
    }
    if ![
        "opened",
        "closed",
        "escalated",
        "foreign_sshd",
        "events_lost",
        "attempt",
        "attempts",
        "summary",
        "sink_suspended",
        "messages_lost",
        "group",
    ]
    .iter()
    .any(|kind| body["kind"] == *kind)
    {
        return Err("an unknown kind".to_owned());
    }
    header("webhook-signature")?.strip_prefix("v1,").ok_or("no signature of version 1")?;
    Ok(())
}

/// Whether the signature is right; `None` without Python.
pub(crate) fn is_signed(request: &Request) -> Option<bool> {
    let program = "import base64,hashlib,hmac,sys\n\
        key=base64.b64decode(sys.argv[1].removeprefix('whsec_'))\n\
        signed=(sys.argv[2]+'.'+sys.argv[3]+'.').encode()+sys.stdin.buffer.read()\n\
        want='v1,'+base64.b64encode(hmac.new(key,signed,hashlib.sha256).digest()).decode()\n\
        sys.exit(0 if hmac.compare_digest(want,sys.argv[4]) else 1)";
    let mut python = Command::new("python3")
        .args(["-c", program, SIGNING_SECRET])
        .args(
            ["webhook-id", "webhook-timestamp", "webhook-signature"]
                .map(|name| request.header(name).unwrap()),
        )
        .stdin(Stdio::piped())
        .spawn()
        .ok()?;
    python.stdin.take().unwrap().write_all(request.body.as_bytes()).unwrap();
    Some(python.wait().unwrap().success())
}
