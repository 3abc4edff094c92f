//! `balance first`: the server with the lowest id that has room; weights are ignored.

use crate::base::{Live, Millis};
use crate::model::{Balancer, Pick, Server};

use super::spec::Spec;
use super::usable::{self, Serving};

#[derive(Debug, Default)]
struct State {
    serving: Serving,
    /// Those who serve, by id.
    order: Vec<usize>,
}

#[derive(Debug)]
pub struct First {
    all_backups: bool,
    fullconn: u32,
    state: Live<State>,
}

impl First {
    pub fn new(spec: &Spec, list: &[Server], now: Millis) -> First {
        let first = First { all_backups: spec.all_backups, fullconn: spec.fullconn, state: Live::default() };
        first.refresh(list, now);
        first
    }
}

impl Balancer for First {
    fn refresh(&self, list: &[Server], _now: Millis) {
        let serving = Serving::now(list, self.all_backups);
        let mut order: Vec<usize> = (0..list.len()).filter(|&i| serving.has(i, &list[i])).collect();
        order.sort_by_key(|&i| list[i].spec.id);
        self.state.store(State { serving, order }.into());
    }

    fn pick(&self, list: &[Server], pick: &Pick) -> Option<usize> {
        self.state.with(|state| {
            if let Serving::OneBackup(i) = state.serving {
                return Some(i);
            }
            let mut open =
                state.order.iter().copied().filter(|&i| usable::has_room(&list[i], pick, self.fullconn));
            let first = open.next()?;
            if Some(first) == pick.avoid { open.next().or(Some(first)) } else { Some(first) }
        })
    }
}
