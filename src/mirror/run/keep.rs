//! Tasks that are to go on, and those whose end somebody waits for: one that breaks off by a fault of the program says so
//! to nobody, and what it was to do would stand still.

use std::time::Duration;

use tokio::task::JoinSet;

const PAUSE: Duration = Duration::from_secs(1);

/// Runs a task, and begins it anew when it breaks off. Ends with who waits for it.
pub async fn always<F>(name: &str, make: impl Fn() -> F)
where
    F: Future<Output = ()> + Send + 'static,
{
    while let Err(why) = whole(make()).await {
        tracing::error!("mirror: its {name} broke off and begins anew: {why}");
        tokio::time::sleep(PAUSE).await;
    }
}

/// What a task gives, or why it broke off. Dropped, it ends the task.
pub async fn whole<T: Send + 'static>(task: impl Future<Output = T> + Send + 'static) -> Result<T, String> {
    let mut one = JoinSet::new();
    one.spawn(task);
    match one.join_next().await {
        Some(ended) => ended.map_err(|e| e.to_string()),
        None => Err("it never began".into()),
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::sync::atomic::{AtomicU32, Ordering};

    use super::*;

    fn wait<T>(work: impl Future<Output = T>) -> T {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().expect("a runtime");
        runtime.block_on(work)
    }

    #[test]
    fn what_breaks_off_begins_anew() {
        let times = Arc::new(AtomicU32::new(0));
        let counted = times.clone();
        let broken = move || {
            let times = counted.clone();
            async move { assert!(times.fetch_add(1, Ordering::Relaxed) > 0, "the first time") }
        };
        wait(always("test", broken));
        assert_eq!(times.load(Ordering::Relaxed), 2);
    }

    #[test]
    fn who_waits_hears_of_what_broke_off() {
        assert_eq!(wait(whole(async { 7 })), Ok(7));
        let none: Vec<u32> = Vec::new();
        let told = wait(whole(async move { *none.first().expect("one") }));
        assert!(told.as_ref().is_err_and(|why| why.contains("panic")), "{told:?}");
    }
}
