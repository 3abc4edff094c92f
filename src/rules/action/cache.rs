//! The cache: looking up a request, storing a response.

use std::sync::Arc;

use crate::filter::cache::{Cache, Request, consider};
use crate::lang::Entry;
use crate::rules::words::Failed;

use super::entry::{Action, ActionKeyword, Input, Run, Sets, Step};

/// `cache-use`. What it finds answers the request once the rules have run.
#[derive(Debug)]
struct Use(Arc<Cache>);

impl Action for Use {
    fn run(&self, run: &mut Run<'_>) -> Step {
        if run.txn.cache.as_ref().is_some_and(|request| request.hit.is_some()) {
            return Step::Next;
        }
        if let Some(mut request) = Request::of(&run.txn.req) {
            if request.may_be_answered() {
                let found = request.look_up(&self.0, &run.txn.req, run.env.now_ns());
                run.env.count_lookup(found);
            }
            run.txn.cache = Some(Box::new(request));
        }
        Step::Next
    }
}

/// `cache-store`: the head as it is now; the body follows when it passes the cache's filter.
#[derive(Debug)]
struct Store(Arc<Cache>);

impl Action for Store {
    fn run(&self, run: &mut Run<'_>) -> Step {
        let times = (run.env.now_ns(), run.env.date_us() / 1_000_000);
        if let Some(request) = run.txn.cache.as_mut() {
            consider(&self.0, request, (&run.txn.req, &run.txn.res), times);
            if request.keep.is_some() {
                // It counts in how old the stored response is, and is told of that one alone.
                run.txn.res.remove(b"age");
            }
        }
        Step::Next
    }
}

fn parse(
    input: &mut Input<'_, '_, '_>,
    action: fn(Arc<Cache>) -> Box<dyn Action>,
) -> Result<Box<dyn Action>, Failed> {
    let word = input.words.want("a cache name")?;
    match input.ctx.caches.get(word.str()) {
        Some(cache) => Ok(action(cache.clone())),
        None => Err((
            word.span,
            format!("unable to find the cache '{}' referenced by the filter 'cache'", word.str()),
        )),
    }
}

pub static ACTIONS: &[ActionKeyword] = &[
    ActionKeyword::new(
        Entry::full(
            "cache-use",
            "<name>",
            "Answers from a cache, if that has an answer.",
            "cache-use site",
            "1.8",
        ),
        Sets::HTTP_REQUEST,
        |input| parse(input, |cache| Box::new(Use(cache))),
    ),
    ActionKeyword::new(
        Entry::full(
            "cache-store",
            "<name>",
            "Stores the response in a cache, if it may be.",
            "cache-store site",
            "1.8",
        ),
        Sets::HTTP_RESPONSE,
        |input| parse(input, |cache| Box::new(Store(cache))),
    ),
];
