//! What customers, guests, wallets, rails and operators do that goes well. Together they call nearly every operation.

#[path = "walks/merchant.rs"]
mod merchant;
#[path = "walks/people.rs"]
mod people;
#[path = "walks/sale.rs"]
mod sale;
#[path = "walks/wallets.rs"]
mod wallets;

use std::{collections::BTreeMap, panic::AssertUnwindSafe, pin::Pin, sync::Arc};

use futures_util::FutureExt;

use crate::{
    document::OperationId,
    place::{Place, Sent, Walk},
};

type Walking = Pin<Box<dyn Future<Output = ()>>>;

/// A walk by its name.
pub struct Named {
    pub name: &'static str,
    go: fn(Walk) -> Walking,
}

/// Names a walk.
macro_rules! walk {
    ($walk:path) => {
        $crate::walks::Named { name: stringify!($walk), go: |walk| Box::pin($walk(walk)) }
    };
}
pub(crate) use walk;

/// All of them.
pub fn all() -> Vec<Named> {
    [people::walks(), wallets::walks(), sale::walks(), merchant::walks()].into_iter().flatten().collect()
}

/// Where each operation goes well: in which walks, and at which of its requests there.
pub struct Ways {
    walks: Vec<Named>,
    found: BTreeMap<OperationId, Vec<(usize, usize)>>,
}

impl Ways {
    /// Walks each of them once.
    pub async fn learn(place: &Arc<Place>) -> Self {
        let walks = all();
        let mut found: BTreeMap<OperationId, Vec<(usize, usize)>> = BTreeMap::new();
        let mut lost = Vec::new();
        for (index, named) in walks.iter().enumerate() {
            let walk = Walk::new(place, None);
            if AssertUnwindSafe((named.go)(walk.clone())).catch_unwind().await.is_err() {
                lost.push(named.name);
            }
            let mut met: BTreeMap<OperationId, usize> = BTreeMap::new();
            for (operation, status) in walk.seen() {
                let number = met.entry(operation.clone()).or_default();
                if status.is_success() || status.is_redirection() {
                    let ways = found.entry(operation).or_default();
                    if ways.last().is_none_or(|(walk, _)| *walk != index) {
                        ways.push((index, *number));
                    }
                }
                *number += 1;
            }
        }
        assert!(lost.is_empty(), "these walks did not go well: {lost:?}");
        Self { walks, found }
    }

    pub fn operations(&self) -> impl Iterator<Item = &OperationId> {
        self.found.keys()
    }

    /// A request that goes well, not sent yet, and the walk that it belongs to. `turn` chooses among them.
    pub async fn request(&self, place: &Arc<Place>, operation: &OperationId, turn: usize) -> Option<(Walk, Sent)> {
        let ways = self.found.get(operation)?;
        let (index, number) = ways.get(turn % ways.len())?;
        let walk = Walk::new(place, Some((operation.clone(), *number)));
        let walked = (self.walks.get(*index)?.go)(walk.clone());
        let sent = tokio::select! {
            sent = walk.stopped() => Some(sent),
            () = walked => None,
        };
        sent.map(|sent| (walk, sent))
    }
}
