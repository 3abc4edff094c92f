//! What became of locks: was one held by two, did a session end before its time, and was the lock of a holder that died
//! free in time?
//!
//! What is judged is what clients know. A session is promised its TTL from the moment its last renewal was *sent* (its
//! creation is the first): until then no other may hold its lock, unless it let go itself. Sessions do not come back,
//! so that a renewal which was answered says that the lock was held all the time before it. After that the session may
//! end, and a lock that it did not let go of may not be taken for the lock delay. It has to end, with the lock delay
//! behind it, within twice the TTL.

use std::fmt;
use std::time::Duration;

use super::leading::{Gap, leaderless};

pub const TTL: Duration = Duration::from_secs(10);
pub const DELAY: Duration = Duration::from_secs(1);

/// One session, and what its client did for one lock, one after the other.
#[derive(Clone, Debug)]
pub struct Life {
    pub key: usize,
    pub session: String,
    /// When it was asked for.
    pub created: u64,
    pub notes: Vec<Note>,
}

/// From a call to its return, in nanoseconds of one clock.
#[derive(Clone, Debug)]
pub struct Note {
    pub called: u64,
    pub returned: u64,
    pub what: What,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum What {
    Acquire(Said),
    Renew(Said),
    /// Of the key: the session that holds it.
    Look(Option<String>),
    /// Whatever the answer is: who let go believes no more that it holds.
    Release,
    Destroy,
    /// Nothing is heard of it again.
    Die,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Said {
    Yes,
    No,
    /// There is no such session.
    Gone,
    /// No answer: it may have been done, or be done later.
    Unknown,
}

/// What a trial showed.
#[derive(Debug, Default)]
pub struct Verdict {
    pub grants: usize,
    /// Of holders whose lock another got later.
    pub deaths: usize,
    /// The longest time from a holder's death to another's grant, and how much of it nobody led.
    pub longest: Duration,
    pub of_it_leaderless: Duration,
    pub wrong: Vec<String>,
}

impl fmt::Display for Verdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Verdict { grants, deaths, longest, of_it_leaderless, wrong } = self;
        write!(
            f,
            "locks: {grants} grants, {deaths} holders died, their locks taken after at most {:.1} s, {:.1} s of it without \
             a leader; {} wrong",
            longest.as_secs_f64(),
            of_it_leaderless.as_secs_f64(),
            wrong.len()
        )
    }
}

/// The time in which a client may believe that it holds its lock.
struct Hold<'a> {
    life: &'a Life,
    from: u64,
    to: u64,
    /// It let go itself.
    let_go: bool,
    died: Option<u64>,
}

const fn ns(time: Duration) -> u64 {
    time.as_nanos() as u64
}

fn seconds(at: u64) -> f64 {
    at as f64 / 1e9
}

/// What a client may believe, and what of its session's life cannot be.
fn hold<'a>(life: &'a Life, wrong: &mut Vec<String>) -> Option<Hold<'a>> {
    let mut to = life.created + ns(TTL);
    let (mut from, mut let_go, mut died) = (None, false, None);
    for note in &life.notes {
        match note.what {
            What::Acquire(Said::Yes) => from = from.or(Some(note.returned)),
            What::Renew(Said::Yes) => to = to.max(note.called + ns(TTL)),
            What::Acquire(Said::Gone) | What::Renew(Said::Gone) => {
                if note.returned < to {
                    wrong.push(format!(
                        "session {} is gone at {:.3} s and was promised until {:.3} s",
                        life.session,
                        seconds(note.returned),
                        seconds(to)
                    ));
                }
                break;
            }
            What::Release | What::Destroy => {
                (to, let_go) = (to.min(note.called), true);
                break;
            }
            What::Die => {
                died = Some(note.called);
                break;
            }
            What::Acquire(_) | What::Renew(_) | What::Look(_) => {}
        }
    }
    // One that heard too late of its grant never believed in it.
    from.filter(|from| *from < to).map(|from| Hold { life, from, to, let_go, died })
}

/// Judges what clients did, and the times in which nobody led.
pub fn judge(lives: &[Life], gaps: &[Gap]) -> Verdict {
    let mut verdict = Verdict::default();
    let mut holds: Vec<Hold<'_>> = lives.iter().filter_map(|life| hold(life, &mut verdict.wrong)).collect();
    holds.sort_by_key(|hold| hold.from);
    verdict.grants = holds.len();
    for (n, first) in holds.iter().enumerate() {
        for second in holds[n + 1..].iter().filter(|second| second.life.key == first.life.key) {
            verdict.wrong.extend(clash(first, second));
        }
        if let Some(died) = first.died.filter(|died| *died < first.to) {
            after_death(first, died, lives, gaps, &mut verdict);
        }
    }
    verdict
}

/// What is wrong with two holds of one lock, the second of which began later.
fn clash(first: &Hold<'_>, second: &Hold<'_>) -> Option<String> {
    // The delay is kept by the wall clocks of nodes, and these may be set right meanwhile.
    let delay = if first.let_go { 0 } else { ns(DELAY) / 10 * 9 };
    let how = match second.from {
        from if from < first.to => "while",
        from if from < first.to + delay => "within the lock delay after",
        _ => return None,
    };
    Some(format!(
        "lock {}: {} holds it from {:.3} s, {how} {} did, from {:.3} to {:.3} s",
        first.life.key,
        second.life.session,
        seconds(second.from),
        first.life.session,
        seconds(first.from),
        seconds(first.to)
    ))
}

/// Whether the lock of a holder that died was free in time.
///
/// Without a leader nothing is decided: neither can a session end nor a lock be given to anybody. So that time, which is
/// the faults' and measured for itself, does not count.
fn after_death(dead: &Hold<'_>, died: u64, lives: &[Life], gaps: &[Gap], verdict: &mut Verdict) {
    let bar = 2 * ns(TTL) + ns(DELAY);
    let others = || {
        let others =
            lives.iter().filter(|life| life.key == dead.life.key && life.session != dead.life.session);
        others.flat_map(|life| &life.notes).filter(|note| note.returned > died)
    };
    // From here on somebody else may have it, known or not.
    let taken = others().filter(|note| matches!(note.what, What::Acquire(Said::Yes | Said::Unknown)));
    let taken = taken.map(|note| note.called).min().unwrap_or(u64::MAX);
    let still = others().filter(|note| match &note.what {
        What::Look(holder) => holder.as_ref() == Some(&dead.life.session),
        What::Acquire(Said::No) => note.returned <= taken,
        _ => false,
    });
    let last = still.map(|note| note.called).max().unwrap_or(0);
    let allowed = died + bar + leaderless(gaps, died, last);
    if last > allowed {
        verdict.wrong.push(format!(
            "lock {}: {} died at {:.3} s, and its lock is not free at {:.3} s, {:.1} s later ({:.1} s without a leader)",
            dead.life.key,
            dead.life.session,
            seconds(died),
            seconds(last),
            seconds(last - died),
            seconds(leaderless(gaps, died, last))
        ));
    }
    let grants = others().filter(|note| note.what == What::Acquire(Said::Yes));
    if let Some(granted) = grants.map(|note| note.returned).min() {
        verdict.deaths += 1;
        let took = Duration::from_nanos(granted - died);
        if took > verdict.longest {
            verdict.longest = took;
            verdict.of_it_leaderless = Duration::from_nanos(leaderless(gaps, died, granted));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const S: u64 = 1_000_000_000;

    fn note(at: u64, what: What) -> Note {
        Note { called: at * S, returned: at * S + S / 10, what }
    }

    fn life(session: &str, created: u64, notes: Vec<Note>) -> Life {
        Life { key: 1, session: session.into(), created: created * S, notes }
    }

    fn wrong(lives: &[Life]) -> Vec<String> {
        judge(lives, &[]).wrong
    }

    const GOT: What = What::Acquire(Said::Yes);
    const NOT: What = What::Acquire(Said::No);

    #[test]
    fn two_that_hold_one_lock_are_found() {
        let one = life("a", 0, vec![note(1, GOT)]);
        let found = wrong(&[one.clone(), life("b", 0, vec![note(5, GOT)])]);
        assert!(found.len() == 1 && found[0].contains("while a did, from 1.100 to 10.000 s"), "{found:?}");
        // By its renewal the first is promised more.
        let renewed = life("a", 0, vec![note(1, GOT), note(8, What::Renew(Said::Yes))]);
        assert_eq!(wrong(&[renewed, life("b", 12, vec![note(16, GOT)])]).len(), 1);
        // One that was not answered promises nothing.
        let asked = life("a", 0, vec![note(1, GOT), note(8, What::Renew(Said::Unknown))]);
        assert!(wrong(&[asked, life("b", 12, vec![note(16, GOT)])]).is_empty());
        // Another lock is another matter; and the same session may ask again.
        let other = Life { key: 2, ..life("b", 0, vec![note(5, GOT)]) };
        assert!(wrong(&[one, other]).is_empty());
        assert!(wrong(&[life("a", 0, vec![note(1, GOT), note(2, GOT)])]).is_empty());
    }

    #[test]
    fn who_let_go_holds_no_more_and_who_did_not_is_followed_by_the_delay() {
        let second = |at: u64| life("b", 0, vec![note(at, What::Renew(Said::Yes)), note(at, GOT)]);
        let ended = |what| life("a", 0, vec![note(1, GOT), note(3, what)]);
        assert!(wrong(&[ended(What::Release), second(4)]).is_empty());
        assert!(wrong(&[ended(What::Destroy), second(4)]).is_empty());
        assert_eq!(wrong(&[ended(What::Release), second(2)]).len(), 1);
        let found = wrong(&[ended(What::Die), second(10)]);
        assert!(found.len() == 1 && found[0].contains("within the lock delay"), "{found:?}");
        assert!(wrong(&[ended(What::Die), second(11)]).is_empty());
    }

    #[test]
    fn a_session_that_ends_too_early_is_found() {
        for what in [What::Renew(Said::Gone), What::Acquire(Said::Gone)] {
            assert_eq!(wrong(&[life("a", 0, vec![note(9, what.clone())])]).len(), 1);
            assert!(wrong(&[life("a", 0, vec![note(10, what)])]).is_empty());
        }
    }

    #[test]
    fn a_lock_that_a_dead_one_keeps_is_found() {
        let dead = life("a", 0, vec![note(1, GOT), note(2, What::Die)]);
        let asks = |notes: &[(u64, What)]| {
            life("b", 0, notes.iter().map(|(at, what)| note(*at, what.clone())).collect())
        };
        let late = asks(&[(23, NOT), (24, NOT), (30, GOT)]);
        let found = wrong(&[dead.clone(), late.clone()]);
        assert!(found.len() == 1 && found[0].contains("not free at 24.000 s, 22.0 s later"), "{found:?}");
        let verdict = judge(&[dead.clone(), asks(&[(22, NOT), (23, GOT)])], &[]);
        assert!(verdict.wrong.is_empty() && verdict.deaths == 1, "{verdict}");
        assert_eq!(verdict.longest, Duration::from_millis(21_100));
        // Nobody led for two seconds: nobody can have decided anything.
        let gap = Gap { from: 20 * S, to: 22 * S };
        assert!(judge(&[dead.clone(), late], &[gap]).wrong.is_empty());
        // Somebody else may have had it meanwhile, unless it was seen who.
        let lost = asks(&[(10, What::Acquire(Said::Unknown)), (30, NOT)]);
        assert!(wrong(&[dead.clone(), lost]).is_empty());
        let seen = asks(&[(10, What::Acquire(Said::Unknown)), (24, What::Look(Some("a".into())))]);
        assert_eq!(wrong(&[dead, seen]).len(), 1);
    }
}
