//! A double of GreyNoise's community API, by its documentation: addresses that end in 80 or more are malicious, in 40 or
//! more are noise, and all others were never seen, which it says with the status 404.

use crate::http::{Reply, Request};

/// The answer to a request with this key.
pub(crate) fn answer(request: &Request, key: &str) -> Reply {
    if request.header("key") != Some(key) {
        return Reply::new(401, r#"{"message":"Invalid API key"}"#);
    }
    let address = request.path.strip_prefix("/v3/community/").and_then(|address| address.parse().ok());
    let Some(address): Option<std::net::Ipv4Addr> = address else {
        return Reply::new(400, r#"{"message":"Request is not a valid routable IPv4 address"}"#);
    };
    let word = match address.octets()[3] {
        80.. => "malicious",
        40.. => "unknown",
        _ => {
            let message = "IP not observed scanning the internet or contained in RIOT data set.";
            return Reply::new(
                404,
                format!(r#"{{"ip":"{address}","noise":false,"riot":false,"message":"{message}"}}"#),
            );
        }
    };
    Reply::new(
        200,
        format!(
            r#"{{"ip":"{address}","noise":true,"riot":false,"classification":"{word}","name":"unknown",
            "link":"https://viz.greynoise.io/ip/{address}","last_seen":"2026-11-20","message":"Success"}}"#
        ),
    )
}
