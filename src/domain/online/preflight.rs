//! What `check --online` and `doctor` find while a new run waits on its checklist.

use super::finding::{Findings, Mark};
use crate::domain::safe_text::SafeText;

/// How far the look is. It is for eyes only: no check and no trigger hears of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Preflight {
    /// It is under way.
    Looking,
    /// It is done.
    Done {
        /// What was found, the worst first.
        findings: Findings,
        /// What could not be looked at as a whole, and why. Never taken for healthy.
        failed: Vec<String>,
    },
}

impl Preflight {
    /// Puts the parts together, each of them found or failed.
    pub fn of(parts: impl IntoIterator<Item = Result<Findings, String>>) -> Self {
        let (mut findings, mut failed) = (Findings::default(), Vec::new());
        for part in parts {
            match part {
                Ok(found) => findings.0.extend(found.0),
                Err(why) => failed.push(why),
            }
        }
        findings.0.sort_by_key(|finding| std::cmp::Reverse(finding.mark));
        Self::Done { findings, failed }
    }

    /// Whether something was found that the run would fail of, or the look itself failed.
    pub fn is_bad(&self) -> bool {
        match self {
            Self::Looking => false,
            Self::Done { findings, failed } => !findings.pass(false) || !failed.is_empty(),
        }
    }

    /// In one line.
    pub fn summary(&self) -> String {
        match self {
            Self::Looking => "looking at cluster, metrics, URLs and this machine".to_owned(),
            Self::Done { findings, failed } => {
                let not = if failed.is_empty() { "" } else { "not all could be looked at; " };
                format!("{not}{}", findings.summary())
            }
        }
    }

    /// What line mode says of it: the summary, then a line for all that is not as it should be, the worst first.
    pub fn lines(&self) -> Vec<String> {
        let mut lines = vec![format!("looked before the start: {}", self.summary())];
        if let Self::Done { findings, failed } = self {
            lines.extend(failed.iter().map(|why| format!("not looked at: {}", SafeText::new(why))));
            let bad = findings.0.iter().filter(|finding| finding.mark != Mark::Ok);
            lines.extend(bad.map(|finding| {
                let (word, area) = (finding.mark.word(), finding.area.word());
                let cure = finding.cure.as_ref().map(|cure| format!("; do: {cure}")).unwrap_or_default();
                format!("{word}: {area}: {}: {}{cure}", finding.about, finding.found)
            }));
        }
        lines
    }

    /// How many faults there are.
    pub fn faults(&self) -> usize {
        match self {
            Self::Looking => 0,
            Self::Done { findings, .. } => findings.count(Mark::Fault),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::online::finding::{Area, Finding};

    fn findings(all: &[Finding]) -> Findings {
        Findings(all.to_vec())
    }

    #[test]
    fn the_worst_comes_first_and_a_look_that_failed_is_never_healthy() {
        let fine = Finding::fine(Area::Clock, "clock", "right");
        let fault = Finding::fault(Area::Metrics, "error_rate", "no series", "mend the query");
        let both = Preflight::of([Ok(findings(std::slice::from_ref(&fine))), Ok(findings(&[fault]))]);
        let Preflight::Done { findings: all, .. } = &both else { unreachable!("both have answered") };
        assert_eq!(all.0[0].mark, Mark::Fault);
        assert!(both.is_bad());
        assert_eq!(both.summary(), "1 fault, 0 warnings, 0 not looked at, 1 ok");
        assert_eq!(
            both.lines(),
            [
                "looked before the start: 1 fault, 0 warnings, 0 not looked at, 1 ok",
                "FAULT: metrics: error_rate: no series; do: mend the query",
            ]
        );

        let half = Preflight::of([Ok(findings(&[fine])), Err("doctor: no answer within 60s".to_owned())]);
        assert!(half.is_bad());
        assert_eq!(half.faults(), 0);
        assert_eq!(half.lines()[1], "not looked at: doctor: no answer within 60s");
        assert!(half.summary().starts_with("not all could be looked at"), "{}", half.summary());
        assert!(!Preflight::Looking.is_bad());
    }
}
