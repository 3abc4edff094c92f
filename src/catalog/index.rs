//! The list of endpoints.

use super::answer::Answer;
use super::call::Call;
use super::route::{GET, Outcome, Route, routes};

pub const ROUTES: &[Route] =
    &[Route { methods: GET, path: "/v1/", body: 0, run: |call| Box::pin(list(call)), doc: "This list." }];

async fn list(_: &Call) -> Outcome {
    let mut text = String::new();
    for route in routes() {
        let methods: Vec<&str> = route.methods.iter().map(|method| method.as_str()).collect();
        text.push_str(&format!("{:<8} {:<44} {}\n", methods.join(","), route.path, route.doc));
    }
    Ok(Answer::text(text))
}
