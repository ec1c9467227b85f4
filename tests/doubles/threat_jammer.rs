//! A double of the Threat Jammer API: the three requests that are used, with answers as the real one gives them.

use std::sync::{Arc, Mutex};

use crate::http::{Reply, Request, Server};

/// The token of the one account that it has.
pub(crate) const TOKEN: &str = "eyJhbGciOi-threat-jammer-hush";

/// What answers instead of the service, where it is `Some`.
type Mood = dyn Fn(&Request) -> Option<Reply> + Send + Sync;

/// The service.
#[derive(Clone)]
pub(crate) struct ThreatJammer {
    pub(crate) server: Server,
    mood: Arc<Mutex<Box<Mood>>>,
}

impl ThreatJammer {
    /// A service that works; every address has the score of its last number.
    pub(crate) fn start() -> Self {
        let mood: Arc<Mutex<Box<Mood>>> = Arc::new(Mutex::new(Box::new(|_| None)));
        let now = Arc::clone(&mood);
        let server = Server::start(move |request| {
            let mood = now.lock().unwrap()(request);
            mood.unwrap_or_else(|| answer(request))
        });
        Self { server, mood }
    }

    /// From now on, what this returns is the reply.
    pub(crate) fn mood(&self, mood: impl Fn(&Request) -> Option<Reply> + Send + Sync + 'static) {
        *self.mood.lock().unwrap() = Box::new(mood);
    }

    /// The paths that were asked for.
    pub(crate) fn paths(&self) -> Vec<String> {
        self.server.requests().into_iter().map(|request| request.path).collect()
    }
}

fn answer(request: &Request) -> Reply {
    answer_with(request, TOKEN)
}

/// The answer to a request with this token.
pub(crate) fn answer_with(request: &Request, token: &str) -> Reply {
    if request.authorization.as_deref() != Some(&format!("Bearer {token}")) {
        return Reply::new(401, r#"{"detail":"Invalid authentication credentials"}"#);
    }
    let path = &request.path;
    if let Some(address) = path.strip_prefix("/v1/assess/ip/") {
        let score: u32 = address.rsplit(['.', ':']).next().unwrap().parse().unwrap_or(0);
        Reply::new(200, assessment(address, &score.to_string()))
    } else if path == "/v1/asn/15704" {
        Reply::new(
            200,
            r#"{"self":"/v1/asn/15704","name":"XTRA TELECOM","description":"XTRA TELECOM S.A., ES",
                "country_code":"ES","score":5,"risk":"LOW","prefixes":["193.146.0.0/16"]}"#,
        )
    } else if let Some(address) = path.strip_prefix("/v1/geo/") {
        Reply::new(
            200,
            format!(
                r#"{{"self":"/v1/geo/{address}","city_name":"Madrid","region_name":"Community of Madrid",
                    "country_iso_code":"ES","continent_code":"EU","latitude":40.4,"longitude":-3.7,
                    "accuracy_radius":20,"time_zone":"Europe/Madrid","hostnames":[],"asn_country_iso_code":"ES"}}"#
            ),
        )
    } else {
        Reply::new(422, r#"{"detail":[{"msg":"value is not a valid IPv4 or IPv6 address"}]}"#)
    }
}

/// The body of an assessment; `score` as it stands in JSON.
pub(crate) fn assessment(address: &str, score: &str) -> String {
    format!(
        r#"{{"self":"/v1/assess/ip/{address}","score":{score},"risk":"LOW","reason":"Score from one dataset",
            "asn":"/v1/asn/15704","asn_prefix":"193.146.0.0/16","datacenter":null,"datasets":["/v1/dataset/1"],
            "sources":[],"log":null,"reported":false,"denylisted":false,"allowlisted":false}}"#
    )
}
