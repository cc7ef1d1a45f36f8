//! One line of the table: what was looked at, what was found, what to do.

use serde::{Deserialize, Serialize};

use super::picture::Unseen;
use crate::domain::safe_text::SafeText;

/// How a finding weighs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Mark {
    /// As it should be.
    Ok,
    /// The run can do its work; something is worth a look.
    Warning,
    /// It was not possible to look. Never taken for healthy.
    NotLookedAt,
    /// The run would fail or be undone.
    Fault,
}

impl Mark {
    /// The sign in front of the line.
    pub fn sign(self) -> &'static str {
        match self {
            Self::Ok => "✔",
            Self::Warning | Self::NotLookedAt => "!",
            Self::Fault => "✖",
        }
    }

    /// The same as a word, for those who see no signs.
    pub fn word(self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::Warning => "warning",
            Self::NotLookedAt => "not seen",
            Self::Fault => "FAULT",
        }
    }
}

/// What a finding is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Area {
    /// The API server, and whether it is the right one.
    Cluster,
    /// What we may do there.
    Permissions,
    /// Deployments, Services, containers, images.
    Objects,
    /// Who gets the traffic, and from which pods.
    Traffic,
    /// Who else writes to our objects.
    Owners,
    /// Quotas, nodes, disruption budgets.
    Room,
    /// Queries and sources.
    Metrics,
    /// Rollback triggers.
    Triggers,
    /// URLs, certificates, names, webhooks.
    Network,
    /// Programs that scripts call.
    Tools,
    /// Variables.
    Variables,
    /// Clocks of others.
    Clock,
    /// The kubeconfig.
    Kubeconfig,
    /// How we log in.
    Credentials,
    /// The terminal.
    Terminal,
    /// The state directory.
    State,
    /// What restarts an engine.
    Service,
    /// Programs and their versions.
    Versions,
}

impl Area {
    /// As the table shows it.
    pub fn word(self) -> &'static str {
        match self {
            Self::Cluster => "cluster",
            Self::Permissions => "permissions",
            Self::Objects => "objects",
            Self::Traffic => "traffic",
            Self::Owners => "owners",
            Self::Room => "room",
            Self::Metrics => "metrics",
            Self::Triggers => "triggers",
            Self::Network => "network",
            Self::Tools => "tools",
            Self::Variables => "variables",
            Self::Clock => "clock",
            Self::Kubeconfig => "kubeconfig",
            Self::Credentials => "credentials",
            Self::Terminal => "terminal",
            Self::State => "state",
            Self::Service => "service",
            Self::Versions => "versions",
        }
    }
}

/// One line. All its texts are safe to show.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Finding {
    /// How it weighs.
    pub mark: Mark,
    /// What it is about.
    pub area: Area,
    /// Which object, metric, URL.
    pub about: String,
    /// What was found.
    pub found: String,
    /// What to do; nothing where all is well.
    #[serde(default, rename = "do", skip_serializing_if = "Option::is_none")]
    pub cure: Option<String>,
}

impl Finding {
    fn new(
        mark: Mark,
        area: Area,
        about: impl Into<String>,
        found: impl Into<String>,
        cure: Option<String>,
    ) -> Self {
        // Names and messages come from the cluster, from servers and from files that anybody may have written.
        let safe = |text: String| String::from(SafeText::from(text.replace(['\n', '\t'], " ")));
        let (about, found) = (safe(about.into()), safe(found.into()));
        Self { mark, area, about, found, cure: cure.map(safe) }
    }

    /// As it should be.
    pub fn fine(area: Area, about: impl Into<String>, found: impl Into<String>) -> Self {
        Self::new(Mark::Ok, area, about, found, None)
    }

    /// Worth a look.
    pub fn warn(
        area: Area,
        about: impl Into<String>,
        found: impl Into<String>,
        cure: impl Into<String>,
    ) -> Self {
        Self::new(Mark::Warning, area, about, found, Some(cure.into()))
    }

    /// The run would fail, or be undone.
    pub fn fault(
        area: Area,
        about: impl Into<String>,
        found: impl Into<String>,
        cure: impl Into<String>,
    ) -> Self {
        Self::new(Mark::Fault, area, about, found, Some(cure.into()))
    }

    /// It could not be looked at.
    pub fn unseen(
        area: Area,
        about: impl Into<String>,
        why: impl Into<String>,
        cure: impl Into<String>,
    ) -> Self {
        let found = format!("not looked at: {}", why.into());
        Self::new(Mark::NotLookedAt, area, about, found, Some(cure.into()))
    }

    /// All of it in one sentence.
    pub fn sentence(&self) -> String {
        let cure = self.cure.as_ref().map(|cure| format!("; {cure}")).unwrap_or_default();
        format!("{}: {}{cure}", self.about, self.found)
    }

    /// Whether it says that a login is not valid any more.
    pub(super) fn is_ended_login(&self) -> bool {
        self.area == Area::Credentials && self.mark == Mark::Fault
    }

    /// The same from the reason that looking gave.
    pub fn not_looked_at(area: Area, about: impl Into<String>, why: &Unseen) -> Self {
        Self::unseen(area, about, why.why.clone(), why.cure.clone())
    }
}

/// All findings of a look.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Findings(pub Vec<Finding>);

impl Findings {
    /// How many have this mark.
    pub fn count(&self, mark: Mark) -> usize {
        self.0.iter().filter(|finding| finding.mark == mark).count()
    }

    /// Whether all is well: no fault, and with `strict` no warning and nothing that was not looked at.
    pub fn pass(&self, strict: bool) -> bool {
        let worst = self.0.iter().map(|finding| finding.mark).max().unwrap_or(Mark::Ok);
        if strict { worst == Mark::Ok } else { worst < Mark::Fault }
    }

    /// How many of each mark, in words.
    pub fn summary(&self) -> String {
        let count = |mark, one: &str, many: &str| match self.count(mark) {
            1 => format!("1 {one}"),
            count => format!("{count} {many}"),
        };
        format!(
            "{}, {}, {} not looked at, {} ok",
            count(Mark::Fault, "fault", "faults"),
            count(Mark::Warning, "warning", "warnings"),
            self.count(Mark::NotLookedAt),
            self.count(Mark::Ok)
        )
    }

    /// With one line for neighbours that say the same of two things, as of a metric of both slots.
    #[must_use]
    pub fn merged(self) -> Self {
        let mut all: Vec<Finding> = Vec::new();
        for finding in self.0 {
            match all.last_mut() {
                Some(last)
                    if finding.mark != Mark::Ok
                        && (last.mark, last.area, &last.found, &last.cure)
                            == (finding.mark, finding.area, &finding.found, &finding.cure) =>
                {
                    last.about = format!("{}, {}", last.about, finding.about);
                }
                _ => all.push(finding),
            }
        }
        Self(all)
    }

    /// With secrets taken out of every text.
    #[must_use]
    pub fn masked(mut self, mask: impl Fn(&str) -> String) -> Self {
        for finding in &mut self.0 {
            finding.about = mask(&finding.about);
            finding.found = mask(&finding.found);
            finding.cure = finding.cure.as_deref().map(&mask);
        }
        self
    }
}
