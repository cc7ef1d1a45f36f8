//! How traffic is directed to the slots: by a Service's labels, by an `HTTPRoute`'s weights, or by which pods are ready.
//!
//! ```text
//!   selector   a Service selects one slot            all or nothing, at once
//!   route      an HTTPRoute weighs the slots' Services   any share, at once
//!   replicas   a Service selects the pods of both    share = ready pods
//!   rollout    one Deployment, two revisions         share = ready pods of each
//! ```

use std::{collections::BTreeMap, fmt};

use serde::{Deserialize, Serialize};

use super::id::SlotName;

/// With one Deployment, the name of the slot that stands for the revision it had when the run opened.
pub const OLD_REVISION: &str = "old";
/// … and of the one that stands for every other revision.
pub const NEW_REVISION: &str = "new";

/// What moves traffic between the slots of a target.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Director {
    /// The Service's selector: all of the traffic, or none.
    #[default]
    Selector,
    /// Weights of an `HTTPRoute` of the Gateway API, v1, over the slots' own Services.
    Route(RouteRef),
    /// The Service selects the pods of both slots: each gets as much as it has ready pods.
    Replicas,
    /// One Deployment: each of its revisions gets as much as it has ready pods.
    Rollout,
}

/// Which rule of which route.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RouteRef {
    /// The `HTTPRoute`'s name.
    pub name: String,
    /// The rule whose backends are the slots' Services.
    pub rule: RuleRef,
}

/// A rule of a route.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RuleRef {
    /// By its place, from 0.
    Number(usize),
    /// By its name; names of rules are an extension of later releases of the Gateway API.
    Name(String),
}

impl fmt::Display for RuleRef {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Number(number) => write!(f, "rule {number}"),
            Self::Name(name) => write!(f, "rule `{name}`"),
        }
    }
}

/// A part of the traffic, in thousandths of all: 0 to 1000.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Share(u16);

impl Share {
    /// None of it.
    pub const NONE: Self = Self(0);
    /// All of it.
    pub const ALL: Self = Self(1000);

    /// So many thousandths, at most all.
    pub fn of_thousand(thousandths: u32) -> Self {
        Self(u16::try_from(thousandths.min(1000)).unwrap_or(1000))
    }

    /// `part` of `whole`, rounded, but never to nothing or to all where it is neither. Nothing where the whole is nothing.
    pub fn of(part: u64, whole: u64) -> Self {
        if part == 0 || whole == 0 {
            return Self::NONE;
        }
        if part >= whole {
            return Self::ALL;
        }
        let rounded = (part.saturating_mul(2000) / whole).div_ceil(2).clamp(1, 999);
        Self(u16::try_from(rounded).unwrap_or(999))
    }

    /// Thousandths.
    pub fn thousandths(self) -> u32 {
        u32::from(self.0)
    }

    /// The rest of the traffic.
    #[must_use]
    pub fn rest(self) -> Self {
        Self(1000 - self.0.min(1000))
    }

    /// How far two shares are apart.
    #[must_use]
    pub fn apart(self, other: Self) -> Self {
        Self(self.0.abs_diff(other.0))
    }
}

/// `5 %`, `12.5 %`.
impl fmt::Display for Share {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let text = match (self.0 / 10, self.0 % 10) {
            (whole, 0) => format!("{whole} %"),
            (whole, tenths) => format!("{whole}.{tenths} %"),
        };
        f.pad(&text)
    }
}

/// How much of the traffic each slot gets; slots with nothing may be left out. Empty where nobody gets any.
pub type Shares = BTreeMap<SlotName, Share>;

/// The share of a slot.
pub fn share_of(shares: &Shares, slot: &SlotName) -> Share {
    shares.get(slot).copied().unwrap_or(Share::NONE)
}

/// Shares by what each slot weighs: ready pods, or a route's weights.
pub fn shares_by(weights: impl IntoIterator<Item = (SlotName, u64)>) -> Shares {
    let weights: Vec<_> = weights.into_iter().filter(|(_, weight)| *weight > 0).collect();
    let all: u64 = weights.iter().map(|(_, weight)| weight).sum();
    weights.into_iter().map(|(name, weight)| (name, Share::of(weight, all))).collect()
}

/// The slot with the most of it; of equals, the first by name. None where nobody gets any.
pub fn leading(shares: &Shares) -> Option<&SlotName> {
    let mut best: Option<(&SlotName, Share)> = None;
    for (name, share) in shares {
        if *share > best.map_or(Share::NONE, |(_, share)| share) {
            best = Some((name, *share));
        }
    }
    best.map(|(name, _)| name)
}

/// `67 % old, 33 % new`, the most first.
pub fn in_words(shares: &Shares) -> String {
    let mut parts: Vec<_> = shares.iter().filter(|(_, share)| **share > Share::NONE).collect();
    parts.sort_by_key(|(_, share)| std::cmp::Reverse(**share));
    if parts.is_empty() {
        return "nobody".to_owned();
    }
    parts.iter().map(|(name, share)| format!("{share} {name}")).collect::<Vec<_>>().join(", ")
}

/// Pods that a slot must run for a share of the traffic, beside `others` pods that keep running: rounded up.
///
/// Nothing for all of the traffic, which the others would have to stop for.
pub fn pods_for(share: Share, others: u32) -> Option<u32> {
    let (part, rest) = (share.thousandths(), share.rest().thousandths());
    match (part, rest) {
        (0, _) => Some(0),
        (_, 0) => None,
        _ => u32::try_from((u64::from(others) * u64::from(part)).div_ceil(u64::from(rest)).max(1)).ok(),
    }
}

/// Weights for the backends of a route's rule, out of a hundred, or a thousand where the share has tenths.
pub fn weights_for(share: Share) -> (u32, u32) {
    let by = if share.thousandths().is_multiple_of(10) { 10 } else { 1 };
    (share.thousandths() / by, share.rest().thousandths() / by)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shares(of: &[(&str, u64)]) -> Shares {
        shares_by(of.iter().map(|(name, weight)| (SlotName::from(*name), *weight)))
    }

    #[test]
    fn shares_are_of_what_there_is() {
        assert_eq!(in_words(&shares(&[("old", 2), ("new", 1)])), "66.7 % old, 33.3 % new");
        assert_eq!(in_words(&shares(&[("old", 3), ("new", 0)])), "100 % old");
        assert_eq!(in_words(&shares(&[])), "nobody");
        // A pod of ten thousand is not nothing, and the others are not all.
        let one = shares(&[("old", 9_999), ("new", 1)]);
        assert_eq!((share_of(&one, &"new".into()), share_of(&one, &"old".into())), (Share(1), Share(999)));
        assert_eq!(leading(&one).map(SlotName::as_str), Some("old"));
        assert_eq!(leading(&Shares::new()), None);
    }

    #[test]
    fn pods_for_a_share_round_up() {
        for (percent, others, pods) in [(5, 3, 1), (25, 3, 1), (26, 3, 2), (50, 3, 3), (5, 100, 6), (0, 3, 0)]
        {
            assert_eq!(
                pods_for(Share::of_thousand(percent * 10), others),
                Some(pods),
                "{percent} % of {others}"
            );
        }
        assert_eq!(pods_for(Share::ALL, 3), None);
    }

    #[test]
    fn weights_are_hundreds_where_they_can_be() {
        assert_eq!(weights_for(Share::of_thousand(50)), (5, 95));
        assert_eq!(weights_for(Share::of_thousand(5)), (5, 995));
        assert_eq!(weights_for(Share::ALL), (100, 0));
        assert_eq!(weights_for(Share::NONE), (0, 100));
    }
}
