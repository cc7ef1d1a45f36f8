//! The traffic so far.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use crate::world::stage::Picture;

/// Who gets traffic: a slot, and the hash of one template where the templates of a slot are told apart.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(in crate::world::cluster) struct Receiver {
    pub(in crate::world::cluster) slot: String,
    /// Empty for the whole slot.
    pub(in crate::world::cluster) hash: String,
}

/// From when on who had traffic.
#[derive(Debug, Clone)]
pub(in crate::world::cluster) struct Traffic {
    pub(in crate::world::cluster) since: i64,
    pub(in crate::world::cluster) live: BTreeSet<Receiver>,
}

/// The traffic so far.
#[derive(Debug, Default)]
pub(in crate::world::cluster) struct Directed {
    pub(in crate::world::cluster) history: Vec<Traffic>,
    /// When each one got its first traffic.
    pub(super) first: BTreeMap<Receiver, i64>,
    pub(super) pictures: VecDeque<(i64, Picture)>,
}
