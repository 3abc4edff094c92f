//! What the control plane says while the process runs (`tracing`), as lines on stderr in HAProxy's form.
//!
//! `ISOBAR_LOG` says how much of what: `info` of Isobar itself without it, `isobar=debug,openraft=info` for those who
//! look for something.

use std::fmt::{Debug, Write};

use tracing::field::{Field, Visit};
use tracing::{Event, Level, Subscriber};
use tracing_subscriber::Layer;
use tracing_subscriber::filter::Targets;
use tracing_subscriber::layer::{Context, SubscriberExt};
use tracing_subscriber::registry;

use super::messages::Messages;
use crate::lang::Severity;

/// From now on what is said is written; once in a process.
pub fn open(messages: &Messages) {
    let wanted = std::env::var("ISOBAR_LOG").ok().and_then(|text| text.parse::<Targets>().ok());
    let wanted = wanted.unwrap_or_else(|| Targets::new().with_target("isobar", Level::INFO));
    let journal = Journal { messages: messages.clone() };
    let _ = tracing::subscriber::set_global_default(registry().with(journal.with_filter(wanted)));
}

struct Journal {
    messages: Messages,
}

impl<S: Subscriber> Layer<S> for Journal {
    fn on_event(&self, event: &Event<'_>, _: Context<'_, S>) {
        let (severity, text) = said(event);
        crate::catalog::monitor(*event.metadata().level(), &text);
        self.messages.pass(severity, &text);
    }
}

fn said(event: &Event<'_>) -> (Severity, String) {
    let severity = match *event.metadata().level() {
        Level::ERROR => Severity::Alert,
        Level::WARN => Severity::Warning,
        _ => Severity::Notice,
    };
    let mut text = Text(String::new());
    event.record(&mut text);
    (severity, text.0)
}

/// The message, then fields that are no message.
struct Text(String);

impl Visit for Text {
    fn record_debug(&mut self, field: &Field, value: &dyn Debug) {
        let _ = match field.name() {
            "message" => write!(self.0, "{value:?}"),
            name => write!(self.0, " {name}={value:?}"),
        };
    }
}

#[cfg(test)]
mod tests {
    use std::sync::{Arc, Mutex};

    use super::*;

    #[derive(Clone, Default)]
    struct Heard(Arc<Mutex<Vec<(Severity, String)>>>);

    impl<S: Subscriber> Layer<S> for Heard {
        fn on_event(&self, event: &Event<'_>, _: Context<'_, S>) {
            self.0.lock().unwrap().push(said(event));
        }
    }

    #[test]
    fn a_message_comes_as_it_was_said() {
        let heard = Heard::default();
        tracing::subscriber::with_default(registry().with(heard.clone()), || {
            tracing::warn!(seconds = 3, "region map: {} is down", "eu1");
            tracing::info!("up");
        });
        let heard = heard.0.lock().unwrap();
        assert_eq!(heard[0], (Severity::Warning, "region map: eu1 is down seconds=3".to_owned()));
        assert_eq!(heard[1], (Severity::Notice, "up".to_owned()));
    }
}
