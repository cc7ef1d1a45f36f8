//! What the gateway knows.

use std::collections::BTreeMap;

use serde_json::Value;

use crate::world::cluster::store::Key;

/// The gateway's memory.
#[derive(Debug, Default)]
pub(in crate::world::cluster) struct Gateway {
    /// Whether a look at the routes is on the agenda.
    pub(super) planned: bool,
    /// The specs that requests go by.
    pub(super) serves: BTreeMap<Key, Value>,
    /// The weights of each route that was there from the beginning.
    pub(super) first: BTreeMap<Key, Vec<Vec<i64>>>,
}
