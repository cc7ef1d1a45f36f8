//! Findings as a table or as JSON, for `check --online` and `doctor`.

use std::io::IsTerminal as _;

use crate::{
    domain::online::finding::{Findings, Mark},
    flight::{
        exit::Exit,
        runbook,
        say::{data, json_document, talk},
    },
};

/// Prints them; exit code 3 where one is a fault, with `strict` also where one is a warning or was not seen.
pub(super) fn print(what: &str, findings: &Findings, form: &Form) -> Exit {
    let pass = findings.pass(form.strict);
    if form.json {
        let document = serde_json::json!({
            "schema_version": 1,
            "subject": what,
            "pass": pass,
            "faults": findings.count(Mark::Fault),
            "warnings": findings.count(Mark::Warning),
            "not_looked_at": findings.count(Mark::NotLookedAt),
            "findings": findings,
        });
        data(&json_document(&document));
    } else {
        let color = runbook::use_color(&form.color, std::io::stdout().is_terminal());
        for line in lines(findings, color) {
            data(&line);
        }
        talk(&format!("{what}: {}", findings.summary()));
    }
    if pass { Exit::Done } else { Exit::InvalidRunbook }
}

/// How they are printed.
pub(super) struct Form {
    /// Whether as JSON.
    pub(super) json: bool,
    /// `auto`, `always`, `never`.
    pub(super) color: String,
    /// Whether warnings are faults.
    pub(super) strict: bool,
}

/// One line each, and what to do below it.
fn lines(findings: &Findings, color: bool) -> Vec<String> {
    let widest = findings.0.iter().map(|finding| finding.area.word().len()).max().unwrap_or(0);
    let mut lines = Vec::new();
    for finding in &findings.0 {
        let (on, off) = match finding.mark {
            _ if !color => ("", ""),
            Mark::Ok => ("\x1b[32m", "\x1b[0m"),
            Mark::Warning | Mark::NotLookedAt => ("\x1b[33m", "\x1b[0m"),
            Mark::Fault => ("\x1b[1;31m", "\x1b[0m"),
        };
        let (sign, word, area) = (finding.mark.sign(), finding.mark.word(), finding.area.word());
        lines.push(format!("{on}{sign} {word:8}{off}  {area:widest$}  {}: {}", finding.about, finding.found));
        if let Some(cure) = &finding.cure {
            lines.push(format!("{:indent$}do: {cure}", "", indent = 14 + widest));
        }
    }
    lines
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::online::finding::{Area, Finding};

    #[test]
    fn a_line_says_sign_word_area_and_what_to_do() {
        let findings = Findings(vec![
            Finding::fine(Area::Cluster, "context a", "answers"),
            Finding::fault(Area::Permissions, "patch services", "not\x1b[31m allowed", "ask for it"),
            Finding::unseen(Area::Room, "quota", "denied", "ask"),
        ]);
        let plain = lines(&findings, false);
        assert_eq!(plain[0], "✔ ok        cluster      context a: answers");
        assert!(
            plain[1].starts_with("✖ FAULT     permissions  patch services: not")
                && !plain[1].contains('\x1b')
        );
        assert_eq!(plain[2], "                         do: ask for it");
        assert_eq!(plain[3], "! not seen  room         quota: not looked at: denied");
        assert!(lines(&findings, true)[1].starts_with("\x1b[1;31m✖ FAULT"));
        assert_eq!(findings.summary(), "1 fault, 0 warnings, 1 not looked at, 1 ok");
        assert!(!findings.pass(false));
    }
}
