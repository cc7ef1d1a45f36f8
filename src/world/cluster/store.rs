//! All objects, their one ever-growing resourceVersion, and the recent changes that watches read.

use std::{
    collections::{BTreeMap, VecDeque},
    ops::Bound,
    sync::Arc,
};

use serde_json::{Value, json};

use super::{
    object::{name, put, text},
    resource::Kind,
};

/// Changes that are remembered. A watch that asks for an older one is answered with 410, as by a real server
/// whose watch cache has moved on.
const HISTORY: usize = 4096;

/// Where an object is stored.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Key {
    pub(super) kind: Kind,
    /// Empty for objects outside namespaces.
    pub(super) namespace: String,
    pub(super) name: String,
}

impl Key {
    pub(super) fn new(kind: Kind, namespace: &str, name: &str) -> Self {
        Self { kind, namespace: namespace.to_owned(), name: name.to_owned() }
    }

    /// The key of an object of this kind.
    pub(super) fn of(kind: Kind, object: &Value) -> Self {
        Self::new(kind, text(object, "/metadata/namespace"), name(object))
    }
}

/// One write.
#[derive(Debug, Clone)]
pub(super) struct Change {
    pub(super) version: u64,
    pub(super) key: Key,
    /// The object before, where there was one.
    pub(super) before: Option<Arc<Value>>,
    /// The object after; for a removal the last state, with the removal's version.
    pub(super) object: Arc<Value>,
    pub(super) removed: bool,
}

/// What etcd is to an API server: objects, one number that rises with every change, and so much of the past.
#[derive(Debug)]
pub(super) struct Store {
    version: u64,
    objects: BTreeMap<Key, Arc<Value>>,
    history: VecDeque<Change>,
    /// The oldest version that a watch may start from.
    compacted: u64,
    /// Writes that the controllers have not looked at.
    unseen: Vec<Change>,
    /// Tells watches that there is something to read.
    published: tokio::sync::watch::Sender<u64>,
}

impl Store {
    pub(super) fn new(first_version: u64) -> Self {
        Self {
            version: first_version,
            objects: BTreeMap::new(),
            history: VecDeque::new(),
            compacted: first_version,
            unseen: Vec::new(),
            published: tokio::sync::watch::Sender::new(first_version),
        }
    }

    /// The version of the newest write.
    pub(super) fn version(&self) -> u64 {
        self.version
    }

    /// The oldest version that a watch may start from.
    pub(super) fn compacted(&self) -> u64 {
        self.compacted
    }

    /// Follows the version of the newest write.
    pub(super) fn subscribe(&self) -> tokio::sync::watch::Receiver<u64> {
        self.published.subscribe()
    }

    pub(super) fn get(&self, key: &Key) -> Option<&Arc<Value>> {
        self.objects.get(key)
    }

    /// The objects of a kind, in one namespace or in all, by name.
    pub(super) fn list<'a>(
        &'a self,
        kind: Kind,
        namespace: Option<&'a str>,
    ) -> impl Iterator<Item = (&'a Key, &'a Arc<Value>)> {
        let from = Key::new(kind, namespace.unwrap_or_default(), "");
        self.objects.range((Bound::Included(from), Bound::Unbounded)).take_while(move |(key, _)| {
            key.kind == kind && namespace.is_none_or(|wanted| key.namespace == wanted)
        })
    }

    /// Puts an object, new or changed, under the next version; gives back what was stored.
    pub(super) fn put(&mut self, kind: Kind, mut object: Value) -> Arc<Value> {
        self.version += 1;
        put(&mut object, "/metadata/resourceVersion", json!(self.version.to_string()));
        let object = Arc::new(object);
        let key = Key::of(kind, &object);
        let before = self.objects.insert(key.clone(), Arc::clone(&object));
        self.remember(Change {
            version: self.version,
            key,
            before,
            object: Arc::clone(&object),
            removed: false,
        });
        object
    }

    /// Takes an object away; gives back its last state.
    pub(super) fn remove(&mut self, key: &Key) -> Option<Arc<Value>> {
        let before = self.objects.remove(key)?;
        self.version += 1;
        let mut last = Value::clone(&before);
        put(&mut last, "/metadata/resourceVersion", json!(self.version.to_string()));
        let object = Arc::new(last);
        self.remember(Change {
            version: self.version,
            key: key.clone(),
            before: Some(before),
            object: Arc::clone(&object),
            removed: true,
        });
        Some(object)
    }

    /// What is forgotten is told by its version: a watch from before it gets "too old" and has to list anew, which clients
    /// must be able to do.
    fn remember(&mut self, change: Change) {
        self.unseen.push(change.clone());
        self.history.push_back(change);
        while self.history.len() > HISTORY {
            if let Some(forgotten) = self.history.pop_front() {
                self.compacted = forgotten.version;
            }
        }
        self.published.send_replace(self.version);
    }

    /// Writes since the last call.
    pub(super) fn take_unseen(&mut self) -> Vec<Change> {
        std::mem::take(&mut self.unseen)
    }

    /// Changes after `version`; `None` when some of them are forgotten.
    pub(super) fn since(&self, version: u64) -> Option<impl Iterator<Item = &Change>> {
        let first = self.history.partition_point(|change| change.version <= version);
        (version >= self.compacted).then(|| self.history.range(first..))
    }

    /// Forgets all changes so far: a watch from before now will be told 410.
    pub(super) fn compact(&mut self) {
        self.history.clear();
        self.compacted = self.version;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pod(name: &str) -> Value {
        json!({"metadata": {"name": name, "namespace": "n"}})
    }

    #[test]
    fn history_is_bounded_and_says_when_it_forgot() {
        let mut store = Store::new(100);
        for _ in 0..=HISTORY {
            store.put(Kind::Pod, pod("a"));
        }
        assert_eq!(store.compacted(), 101);
        assert!(store.since(100).is_none());
        assert_eq!(store.since(101).unwrap().count(), HISTORY);
        assert_eq!(store.since(store.version()).unwrap().count(), 0);
        store.compact();
        assert!(store.since(store.version() - 1).is_none());
        assert_eq!(store.since(store.version()).unwrap().count(), 0);
    }

    #[test]
    fn lists_keep_to_their_kind_and_namespace() {
        let mut store = Store::new(1);
        store.put(Kind::Pod, pod("b"));
        store.put(Kind::Pod, pod("a"));
        store.put(Kind::Pod, json!({"metadata": {"name": "c", "namespace": "other"}}));
        store.put(Kind::Lease, json!({"metadata": {"name": "l", "namespace": "n"}}));
        let names =
            |namespace| store.list(Kind::Pod, namespace).map(|(key, _)| key.name.clone()).collect::<Vec<_>>();
        assert_eq!(names(Some("n")), ["a", "b"]);
        assert_eq!(names(None), ["a", "b", "c"]);
    }
}
