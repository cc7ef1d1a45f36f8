//! What the query of a `per_slot` metric can name of the slot that it is asked for.

use super::{id::SlotName, metric::Missing, run::tag_of, runbook::Target, workload::Workload};

/// The names, each written after a `$`: the slot, its Deployment, its revision by its `pod-template-hash`, and the tag of its
/// image.
pub const SLOT_PLACES: &[&str] = &["slot", "deployment", "hash", "version"];

/// A slot that a metric is measured of, with what is known of it now.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SlotLabels {
    /// Its name.
    pub name: SlotName,
    /// Its Deployment.
    pub deployment: Option<String>,
    /// Its revision's `pod-template-hash`, once the cluster has told it.
    pub hash: Option<String>,
    /// Its image's tag, likewise.
    pub version: Option<String>,
}

impl SlotLabels {
    /// A slot of a target, by the newest picture of the cluster, where there is one.
    pub fn of(name: &SlotName, target: &Target, seen: Option<&Workload>) -> Self {
        let slot = seen.and_then(|seen| seen.slots.get(name));
        let told = |text: &str| (!text.is_empty()).then(|| text.to_owned());
        Self {
            name: name.clone(),
            deployment: target.slots.get(name).map(|slot| slot.deployment.clone()),
            hash: slot.and_then(|slot| told(&slot.hash)),
            version: slot.and_then(|slot| {
                // The template says what a new revision's pods run only where there is one; after a revert it is the old one.
                let one = target.is_one_deployment();
                let pods = slot.pods.first().filter(|_| one).map(|pod| pod.version.as_str());
                let known = !one || !slot.hash.is_empty();
                pods.or(known.then(|| tag_of(&slot.image))).and_then(told)
            }),
        }
    }

    /// What stands for one of [`SLOT_PLACES`]; nothing for any other name.
    ///
    /// # Errors
    /// Where it is not known yet. A query with an empty label would be about something else.
    pub fn value(&self, place: &str) -> Option<Result<&str, Missing>> {
        let (value, what) = match place {
            "slot" => (Some(self.name.as_str()), "name"),
            "deployment" => (self.deployment.as_deref(), "Deployment"),
            "hash" => (self.hash.as_deref(), "pod-template-hash"),
            "version" => (self.version.as_deref(), "version"),
            _ => return None,
        };
        Some(value.ok_or_else(|| Missing::NotYet(format!("the {what} of {}", self.name))))
    }

    /// A query with `$slot` and the like replaced by what they are for this slot, escaped as a string in PromQL is, so that no
    /// value can ever end the string it stands in. Everything else after a `$` is left alone.
    ///
    /// # Errors
    /// If something that it names is not known yet.
    pub fn fill(&self, text: &str) -> Result<String, Missing> {
        let mut out = String::with_capacity(text.len());
        let mut rest = text;
        while let Some(at) = rest.find('$') {
            let (before, place) = rest.split_at(at);
            let tail = &place[1..];
            let braced = tail.strip_prefix('{').and_then(|inner| Some((inner.split_once('}')?.0, 2)));
            let (name, brackets) = braced.unwrap_or_else(|| {
                let end = tail.find(|c: char| !c.is_ascii_alphanumeric() && c != '_').unwrap_or(tail.len());
                (&tail[..end], 0)
            });
            out.push_str(before);
            if let Some(value) = self.value(name) {
                out.extend(value?.chars().map(escaped));
                rest = &tail[name.len() + brackets..];
            } else {
                out.push('$');
                rest = tail;
            }
        }
        out.push_str(rest);
        Ok(out)
    }
}

/// A character of a string in PromQL.
fn escaped(c: char) -> String {
    match c {
        '\\' | '"' => ['\\', c].iter().collect(),
        '\n' => r"\n".to_owned(),
        '\r' => r"\r".to_owned(),
        '\t' => r"\t".to_owned(),
        _ => c.to_string(),
    }
}

/// A slot of which only the name is known.
impl From<&str> for SlotLabels {
    fn from(name: &str) -> Self {
        Self { name: name.into(), deployment: None, hash: None, version: None }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::{fixture, workload::SlotWorkload};

    #[test]
    fn a_revision_has_labels_once_the_cluster_has_told_them() {
        let runbook = fixture::runbook();
        let target = runbook.target.as_ref().unwrap();
        let blue: SlotName = "blue".into();
        let before = SlotLabels::of(&blue, target, None);
        assert_eq!((before.value("slot"), before.value("color")), (Some(Ok("blue")), None));
        assert_eq!(before.value("deployment"), Some(Ok("backend-blue")));
        let unknown = |what: &str| Some(Err(Missing::NotYet(format!("the {what} of blue"))));
        assert_eq!(before.value("hash"), unknown("pod-template-hash"));
        assert_eq!(before.value("version"), unknown("version"));

        let slot = SlotWorkload {
            image: "registry:5000/shop:v1.6.0".to_owned(),
            hash: "7f9c".to_owned(),
            ..SlotWorkload::default()
        };
        let seen = Workload { slots: [(blue.clone(), slot)].into(), ..Workload::default() };
        let after = SlotLabels::of(&blue, target, Some(&seen));
        assert_eq!((after.value("hash"), after.value("version")), (Some(Ok("7f9c")), Some(Ok("v1.6.0"))));
        assert!(SLOT_PLACES.iter().all(|place| after.value(place).is_some_and(|value| value.is_ok())));
        let query = r#"a{s="$slot",h="${hash}",d="$deployment",v="$version",c=~"5..$"}"#;
        assert_eq!(
            after.fill(query).as_deref(),
            Ok(r#"a{s="blue",h="7f9c",d="backend-blue",v="v1.6.0",c=~"5..$"}"#)
        );
        let hostile = SlotLabels { hash: Some("x\"}\\ or\n1".to_owned()), ..after };
        assert_eq!(hostile.fill("a{h=\"$hash\"}").as_deref(), Ok(r#"a{h="x\"}\\ or\n1"}"#));
    }
}
