//! What `bind` and `server` lines say of TLS becomes what connections begin with.

use std::io;
use std::path::Path;
use std::sync::Arc;

use crate::lang::{Severity, Span};
use crate::tls::{Endpoint, Finding, Source};

use super::super::proxy::{Bind, Frontend};
use super::draft::{Cx, Draft, Inputs};

/// The files that the opener permits.
struct Opened<'i, 'a>(&'i Inputs<'a>);

impl Source for Opened<'_, '_> {
    fn read(&self, path: &Path) -> io::Result<Vec<u8>> {
        (self.0.files)(path)
    }

    fn list(&self, path: &Path) -> io::Result<Option<Vec<String>>> {
        (self.0.list)(path)
    }
}

/// Makes what the lines with `ssl` show to clients. One line may have made several listeners: they share it.
pub fn endpoints(cx: &mut Cx<'_>, draft: &Draft<'_>, binds: &mut [Bind], previous: Option<&Frontend>) {
    let mut last: Option<(Span, Option<Arc<Endpoint>>)> = None;
    for bind in binds.iter_mut().filter(|bind| bind.tls.is_on) {
        if let Some((at, endpoint)) = &last
            && *at == bind.declared_at
        {
            bind.tls.endpoint = endpoint.clone();
            continue;
        }
        let before = previous.and_then(|front| {
            let same = |old: &&Bind| old.tls == bind.tls && old.address == bind.address;
            front.binds.iter().find(same)?.tls.endpoint.as_ref()
        });
        let words = cx.global.tls.clone();
        let (endpoint, findings) = Endpoint::build(&bind.tls.words, &words, &Opened(cx.inputs), before);
        for Finding { is_alert, text } in findings {
            let severity = if is_alert { Severity::Alert } else { Severity::Warning };
            let line = format!("'bind {}' in section '{}' : {text}", bind.tls.written, draft.kind.word());
            cx.diags.push(severity, Some(bind.declared_at), line);
        }
        bind.tls.endpoint = endpoint.clone();
        last = Some((bind.declared_at, endpoint));
    }
}
