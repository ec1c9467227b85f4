//! Matrix.

use login_tracer::config::{self, Secret};
use login_tracer::notify::sink::matrix::Matrix;
use login_tracer::sanitize::unlinked;
use proptest::prelude::*;
use serde_json::Value;

use crate::http::Reply;
use crate::over_http::{SECRET, Then, golden, outcomes, taken};
use crate::plain;
use crate::scene::{Strangers, hostile_message, opened, settings};

#[path = "../doubles/matrix.rs"]
mod double;

const BASE: &str = "https://matrix.example.org";

fn matrix(base: &str) -> Matrix {
    Matrix::new(&config::Matrix {
        base_url: base.to_owned(),
        token: Secret::new(format!("syt_{SECRET}")),
        room: "!abc:example.org".to_owned(),
        http: settings(),
    })
}

#[test]
fn messages_as_they_are_sent() {
    golden("matrix", matrix(BASE), double::rules);
}

#[test]
fn a_repetition_is_the_same_transaction() {
    let delivery = opened(&Strangers::polite(), 1);
    let paths = [1, 2].map(|_| taken(&matrix(BASE), double::rules, &delivery).unwrap().path);
    assert_eq!(paths[0], paths[1]);
    assert!(paths[0].ends_with(&delivery.id.to_string()));
}

#[test]
fn every_answer_has_its_consequence() {
    outcomes(
        double::rules,
        matrix,
        [
            (
                Reply::new(429, r#"{"errcode":"M_LIMIT_EXCEEDED","error":"Too many","retry_after_ms":2000}"#),
                Then::Again(Some(2000)),
            ),
            (
                Reply::with(
                    429,
                    "retry-after",
                    "3",
                    r#"{"errcode":"M_LIMIT_EXCEEDED","retry_after_ms":2000}"#,
                ),
                Then::Again(Some(3000)),
            ),
            (Reply::new(403, r#"{"errcode":"M_FORBIDDEN"}"#), Then::Gone),
            (Reply::new(200, "<html>Sign in</html>"), Then::Doubt),
        ],
    );
}

proptest! {
    /// The plain text is that of the message, and the HTML has our elements alone, with the texts as they were meant.
    #[test]
    fn no_name_means_anything(delivery in hostile_message()) {
        let request = taken(&matrix(BASE), double::rules, &delivery).map_err(TestCaseError::fail)?;
        let body: Value = serde_json::from_str(&request.body)?;
        let (title, text) = body["body"].as_str().unwrap().split_once('\n').unwrap();
        plain::check(title.split_once(' ').unwrap().1, text, &delivery)?;
        let mut cells = Vec::new();
        for piece in body["formatted_body"].as_str().unwrap().split('<').skip(1) {
            let (tag, text) = piece.split_once('>').unwrap();
            let tag = tag.trim_start_matches('/');
            prop_assert!(["p", "b", "table", "tr", "td", "font"].contains(&tag) || tag.starts_with("font data-mx-color=\"#"), "{}", tag);
            prop_assert!(!text.contains(['"', '\'']));
            cells.push(text.replace("&lt;", "<").replace("&gt;", ">").replace("&quot;", "\"").replace("&#39;", "'").replace("&amp;", "&"));
        }
        for line in &delivery.message.lines {
            prop_assert!(cells.contains(&unlinked(&line.text)), "{} {:?}", line.text, cells);
        }
    }
}
