//! A webhook of somebody's own: JSON ([`Record`]), signed as Standard Webhooks describes.
//!
//! `webhook-id` is the delivery and stays the same in every repetition, so that a receiver can drop those; it stands in
//! `idempotency-key` as well. `webhook-timestamp` is the time of the attempt, in seconds, and `webhook-signature` is
//! `v1,` and the base64 of HMAC-SHA256 over `id.timestamp.body`. A receiver refuses what is older than a few minutes.
//!
//! Specification: github.com/standard-webhooks/standard-webhooks, spec/standard-webhooks.md.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use jiff::Timestamp;
use reqwest::Method;
use ring::hmac;

use super::http::{Request, Service};
use super::redaction::secrets_of_url;
use crate::config::{self, Secret};
use crate::notify::outbox::Delivery;
use crate::notify::outcome::{Answer, Outcome};
use crate::notify::record::Record;

/// Requests that may be under way beside each other.
pub const AT_ONCE: usize = 16;

/// One receiver.
pub struct Webhook {
    url: Secret,
    secret: Option<Secret>,
}

impl Webhook {
    pub fn new(config: &config::Webhook) -> Self {
        Self { url: config.url.clone(), secret: config.secret.clone() }
    }
}

impl Service for Webhook {
    const NAME: &'static str = "a webhook";

    fn request(&self, delivery: &Delivery, now: Timestamp) -> Option<Request> {
        let (id, body) = (delivery.id.to_string(), Record::new(delivery).json());
        let mut request = Request {
            method: Method::POST,
            url: self.url.expose().to_owned(),
            headers: vec![("content-type", "application/json".to_owned())],
            body,
        };
        request = request
            .header("idempotency-key", id.as_str())
            .header("webhook-id", id.as_str())
            .header("webhook-timestamp", now.as_second().to_string());
        if let Some(key) = self.secret.as_ref().and_then(|secret| signing_key(secret.expose())) {
            let signature = sign(&key, &id, now.as_second(), &request.body);
            request = request.header("webhook-signature", signature);
        }
        Some(request)
    }

    /// Any success is one: receivers are many, and the specification asks for no body.
    fn outcome(&self, answer: &Answer) -> Outcome {
        answer.outcome(answer.is_success(), Self::NAME)
    }

    fn secrets(&self) -> Vec<&str> {
        let mut secrets = secrets_of_url(self.url.expose());
        secrets.extend(self.secret.as_ref().map(Secret::expose));
        secrets
    }
}

/// The bytes of a secret as it is written down; `None` if it is none.
pub fn signing_key(secret: &str) -> Option<Vec<u8>> {
    STANDARD.decode(secret.strip_prefix("whsec_")?).ok()
}

fn sign(key: &[u8], id: &str, seconds: i64, body: &str) -> String {
    let key = hmac::Key::new(hmac::HMAC_SHA256, key);
    let tag = hmac::sign(&key, format!("{id}.{seconds}.{body}").as_bytes());
    format!("v1,{}", STANDARD.encode(tag))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Computed with `openssl dgst -sha256 -mac HMAC`.
    #[test]
    fn signs_as_others_do() {
        let key = signing_key("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw").unwrap();
        let signature = sign(&key, "msg_p5jXN8AQM9LWM0D4loKWxJek", 1_614_265_330, r#"{"test": 2432232314}"#);
        assert_eq!(signature, "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=");
        assert_eq!(signing_key("MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"), None);
        assert_eq!(signing_key("whsec_%%"), None);
    }
}
