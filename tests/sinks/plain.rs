//! Services that show plain text: one line for each detail, and nothing that could be opened.

use login_tracer::notify::outbox::Delivery;
use login_tracer::sanitize::is_hostile;
use proptest::prelude::TestCaseError;
use proptest::{prop_assert, prop_assert_eq};

/// Whether title and text are those of the message, no stranger's name made a line of its own, and nothing is a link.
pub(crate) fn check(title: &str, text: &str, delivery: &Delivery) -> Result<(), TestCaseError> {
    prop_assert_eq!(relinked(title), relinked(&delivery.message.summary));
    let lines: Vec<&str> = text.split('\n').collect();
    prop_assert_eq!(lines.len(), delivery.message.lines.len(), "{}", text);
    for (line, detail) in lines.iter().zip(&delivery.message.lines) {
        prop_assert_eq!(relinked(line), relinked(&format!("{}: {}", detail.label.as_str(), detail.text)));
    }
    for text in lines.into_iter().chain([title]) {
        prop_assert!(!text.chars().any(is_hostile), "{text:?}");
        prop_assert!(!text.contains("://") || text.contains("[://]"), "{text}");
        prop_assert!(!text.replace("[://]", "").contains("://"), "{text}");
        prop_assert!(!text.to_ascii_lowercase().contains("www."), "{text}");
    }
    Ok(())
}

/// What was defused, as it was; strangers may write the defused form themselves, and that within itself.
fn relinked(text: &str) -> String {
    let mut text = text.to_owned();
    loop {
        let next = text.replace("[://]", "://").replace("[.]", ".");
        if next == text {
            return text;
        }
        text = next;
    }
}
