//! What the API asks of the mirror, which may come and go with the configuration.

use std::pin::Pin;
use std::sync::Arc;

use serde_json::Value;

use crate::base::Live;
use crate::catalog::{self, MirrorAnswer, MirrorAsk};
use crate::mirror::run::Asked;

pub struct Mirroring(pub Arc<Live<Option<Asked>>>);

impl catalog::Mirror for Mirroring {
    fn ask(&self, what: MirrorAsk) -> Pin<Box<dyn Future<Output = MirrorAnswer> + Send + '_>> {
        Box::pin(async move {
            let asked = (*self.0.load()).clone();
            let Some(asked) = asked else {
                return Err((404, "this node's configuration has no 'mirror' section".to_owned()));
            };
            match what {
                MirrorAsk::Status => Ok(asked.status()),
                MirrorAsk::Jobs => Ok(asked.jobs()),
                MirrorAsk::Plan(rule) => asked.plan(&rule).await,
                MirrorAsk::Sync(rule) => asked.sync(&rule, Default::default()).map(|()| Value::Null),
                MirrorAsk::Pause(rule, paused) => asked.pause(&rule, paused).await.map(|()| Value::Null),
                MirrorAsk::Events(body) => asked.announced(&body).map(|()| Value::Null),
            }
        })
    }
}
