//! One Deployment: its revisions are the slots.
//!
//! The slot `old` is the revision that the run began with, by its `pod-template-hash`; the slot `new` is every other one. Before
//! a run has begun, `old` is the Deployment's template as it is, so that pods of `new` are those of a rollout that somebody
//! else has under way.

use std::collections::BTreeMap;

use crate::domain::director::{NEW_REVISION, OLD_REVISION};

/// Revisions of which the image is remembered: more than a Deployment keeps by itself.
const KEPT: usize = 32;

/// What is remembered of a Deployment's revisions.
#[derive(Debug, Clone, Default)]
pub(in super::super) struct Revisions {
    /// The revision that the run began with.
    began: Option<String>,
    /// The image of each revision by its hash, as last seen.
    images: BTreeMap<String, String>,
}

impl Revisions {
    /// The run has begun with this revision.
    pub(in super::super) fn begin(&mut self, hash: Option<&str>) {
        self.began = hash.filter(|hash| !hash.is_empty()).map(str::to_owned);
    }

    /// A revision was seen to have this image.
    pub(in super::super) fn note(&mut self, hash: &str, image: &str) {
        if hash.is_empty() || image.is_empty() || self.images.get(hash).is_some_and(|known| known == image) {
            return;
        }
        if self.images.len() >= KEPT {
            let began = self.began.clone().unwrap_or_default();
            self.images.retain(|known, _| *known == began);
        }
        self.images.insert(hash.to_owned(), image.to_owned());
    }

    /// The image that a revision was last seen to have.
    pub(in super::super) fn image(&self, hash: &str) -> Option<&str> {
        self.images.get(hash).map(String::as_str)
    }

    /// The parting of the pods of a Deployment whose template has this hash now, where that is known, and this image.
    pub(in super::super) fn parting(&self, template: Option<&str>, image: &str) -> Parting {
        let old = self.began.clone().or_else(|| template.map(str::to_owned));
        Parting { old, image: image.to_owned() }
    }
}

/// Which pods are the old slot's, and which the new one's.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in super::super) struct Parting {
    /// The hash of the old slot's revision.
    old: Option<String>,
    /// The template's image, which decides where no hash is known.
    image: String,
}

impl Parting {
    /// The hash of the old slot's revision, where it is known.
    pub(in super::super) fn old(&self) -> Option<&str> {
        self.old.as_deref()
    }

    /// The slot of a pod with this hash and image. Nothing for a pod that no Deployment has made.
    pub(in super::super) fn slot_of(&self, hash: Option<&str>, image: &str) -> Option<&'static str> {
        let is_old = match (&self.old, hash) {
            (_, None) => return None,
            (Some(old), Some(hash)) => old == hash,
            (None, Some(_)) => image == self.image,
        };
        Some(if is_old { OLD_REVISION } else { NEW_REVISION })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pods_are_parted_by_the_revision_that_the_run_began_with() {
        let mut revisions = Revisions::default();
        let before = revisions.parting(Some("a"), "v1");
        let slot = |parting: &Parting, hash, image| parting.slot_of(hash, image);
        assert_eq!(slot(&before, Some("a"), "v1"), Some(OLD_REVISION));
        assert_eq!(slot(&before, Some("b"), "v1"), Some(NEW_REVISION), "somebody's rollout is under way");
        revisions.begin(Some("a"));
        // The template is another one now: what was the template then stays the old slot's.
        let mid = revisions.parting(Some("b"), "v2");
        assert_eq!(slot(&mid, Some("a"), "v1"), Some(OLD_REVISION));
        assert_eq!(slot(&mid, Some("b"), "v2"), Some(NEW_REVISION));
        assert_eq!(
            slot(&mid, Some("c"), "v1"),
            Some(NEW_REVISION),
            "the same image is not the same revision"
        );
        assert_eq!(slot(&mid, None, "v1"), None, "no Deployment has made it");
        // Nobody knows a hash: the image is what there is to go by.
        revisions.begin(Some(""));
        let blind = revisions.parting(None, "v1");
        assert_eq!(slot(&blind, Some("x"), "v1"), Some(OLD_REVISION));
        assert_eq!(slot(&blind, Some("x"), "v0"), Some(NEW_REVISION));
    }

    #[test]
    fn the_image_of_the_revision_that_counts_is_never_forgotten() {
        let mut revisions = Revisions::default();
        revisions.begin(Some("began"));
        revisions.note("began", "v1");
        for number in 0..100 {
            revisions.note(&format!("h{number}"), "v2");
        }
        assert_eq!((revisions.image("began"), revisions.image("h99")), (Some("v1"), Some("v2")));
        assert!(revisions.images.len() <= KEPT);
    }
}
