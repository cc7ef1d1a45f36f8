//! Checks of logs: what has been read of them so far, and what that shows.

use std::collections::BTreeSet;

use regex::Regex;

use super::Looker;
use crate::{
    domain::{id::SlotName, time::Timestamp, workload::LogLine},
    engine::ports::{LogMarks, LogsRead, Seen},
};

/// Pods that are named where their logs could not be read.
const NAMED: usize = 3;
/// Characters of a log line that are quoted.
const QUOTED: usize = 400;

impl Looker {
    /// Reads on where the last look ended. A line that must not be there is caught for good; one that must be there is
    /// enough once. What could not be read is "cannot tell", and no pass.
    pub(super) async fn look_logs(
        &self,
        slot: &SlotName,
        without: Option<&str>,
        with: Option<&str>,
        memory: &mut LogMemory,
    ) -> Result<Seen, String> {
        let compile = |pattern: Option<&str>| {
            pattern.map(Regex::new).transpose().map_err(|error| format!("not a valid pattern: {error}"))
        };
        let (without, wanted) = (compile(without)?, compile(with)?);
        if let Some(caught) = &memory.caught {
            return Ok(Seen::no(caught.clone()));
        }
        let cluster = self.ports.cluster()?;
        let read = cluster.logs_after(slot, &mut memory.marks).await.map_err(super::message)?;
        Ok(memory.judge(read, without.as_ref(), wanted.as_ref()))
    }
}

/// What a check of logs has read so far.
pub(super) struct LogMemory {
    marks: LogMarks,
    lines: usize,
    pods: BTreeSet<String>,
    /// A line that must not be there. It stays: its pod may be gone at the next look.
    pub(super) caught: Option<String>,
    /// A line that must be there.
    found: Option<String>,
}

impl LogMemory {
    pub(super) fn new(since: Timestamp) -> Self {
        Self { marks: LogMarks::new(since), lines: 0, pods: BTreeSet::new(), caught: None, found: None }
    }

    /// What a check makes of the lines that were read again.
    fn judge(&mut self, read: LogsRead, without: Option<&Regex>, with: Option<&Regex>) -> Seen {
        self.lines += read.lines.len();
        self.pods.extend(read.pods);
        if let Some(pattern) = without.filter(|_| self.caught.is_none()) {
            self.caught = read.lines.iter().find_map(|line| quote(line, pattern));
        }
        if let Some(pattern) = with.filter(|_| self.found.is_none()) {
            self.found = read.lines.iter().rev().find_map(|line| quote(line, pattern));
        }
        if let Some(caught) = &self.caught {
            return Seen::no(caught.clone());
        }
        let unread = (!read.unread.is_empty()).then(|| format!("unknown: {}", named(&read.unread)));
        let so_far = format!(
            "{} lines of {} read since {}",
            thousands(self.lines),
            counted(self.pods.len(), "pod"),
            self.marks.since.clock()
        );
        match (&self.found, with, unread) {
            (Some(found), ..) if without.is_none() => Seen::yes(found.clone()),
            (_, _, Some(unread)) => Seen::no(format!("{unread}; {so_far}")),
            (Some(found), ..) => Seen::yes(found.clone()),
            (None, Some(pattern), None) => Seen::no(format!("{so_far}, none matches `{pattern}`")),
            (None, None, None) => Seen::yes(format!("{so_far}, none matches")),
        }
    }
}

/// A line that matches, with its pod; of a long one the part around the match.
fn quote(line: &LogLine, pattern: &Regex) -> Option<String> {
    let found = pattern.find(&line.text)?;
    let before = line.text.get(..found.start())?.chars().count();
    if line.text.chars().count() <= QUOTED {
        return Some(format!("{}: {}", line.pod, line.text));
    }
    let skipped = before.saturating_sub(QUOTED / 4);
    let part: String = line.text.chars().skip(skipped).take(QUOTED).collect();
    let dots = if skipped > 0 { "… " } else { "" };
    Some(format!("{}: {dots}{part} …", line.pod))
}

/// The first pods with unread logs, and why.
fn named(unread: &[(String, String)]) -> String {
    let mut parts: Vec<String> =
        unread.iter().take(NAMED).map(|(pod, why)| format!("{pod}: {why}")).collect();
    if unread.len() > NAMED {
        parts.push(format!("{} more", unread.len() - NAMED));
    }
    parts.join("; ")
}

fn counted(count: usize, what: &str) -> String {
    if count == 1 { format!("1 {what}") } else { format!("{count} {what}s") }
}

/// A number as people read it: `1,412`.
fn thousands(number: usize) -> String {
    let digits = number.to_string();
    let mut out = String::with_capacity(digits.len() + digits.len() / 3);
    for (place, digit) in digits.chars().enumerate() {
        if place > 0 && (digits.len() - place).is_multiple_of(3) {
            out.push(',');
        }
        out.push(digit);
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(lines: &[(&str, &str)], unread: &[(&str, &str)]) -> LogsRead {
        let pair = |(a, b): &(&str, &str)| ((*a).to_owned(), (*b).to_owned());
        LogsRead {
            lines: lines.iter().map(pair).map(|(pod, text)| LogLine { pod, at: None, text }).collect(),
            pods: vec!["web-1".to_owned(), "web-2".to_owned()],
            unread: unread.iter().map(pair).collect(),
        }
    }

    fn memory() -> LogMemory {
        LogMemory::new(Timestamp(1_795_000_000_000))
    }

    fn regex(pattern: &str) -> Regex {
        Regex::new(pattern).unwrap()
    }

    #[test]
    fn what_was_seen_once_stays() {
        let (mut memory, fatal) = (memory(), regex("FATAL"));
        let mut look = |lines: &[(&str, &str)]| memory.judge(read(lines, &[]), Some(&fatal), None);
        assert_eq!(
            look(&[("web-1", "fine")]),
            Seen::yes("1 lines of 2 pods read since 11:06:40, none matches")
        );
        let caught = Seen::no("web-2: FATAL out of memory");
        assert_eq!(look(&[("web-2", "FATAL out of memory"), ("web-2", "FATAL again")]), caught);
        assert_eq!(look(&[]), caught, "two seconds later");
        assert_eq!(look(&[("web-1", "FATAL here too")]), caught);
        assert!(memory.caught.is_some());
    }

    #[test]
    fn what_could_not_be_read_is_no_pass() {
        let (fatal, ready) = (regex("FATAL"), regex("ready"));
        let denied = [("web-2", "not allowed: pods/log")];
        let mut memory = memory();
        assert_eq!(
            memory.judge(read(&[("web-1", "fine")], &denied), Some(&fatal), None),
            Seen::no("unknown: web-2: not allowed: pods/log; 1 lines of 2 pods read since 11:06:40")
        );
        assert_eq!(memory.caught, None, "not being able to tell is not caught");
        assert!(memory.judge(read(&[], &[]), Some(&fatal), None).holds, "it could be read in the end");
        // A line that is there is there, whatever else could not be read; but not where another must be absent.
        let line = [("web-1", "ready")];
        assert!(self::memory().judge(read(&line, &denied), None, Some(&ready)).holds);
        assert!(!self::memory().judge(read(&line, &denied), Some(&fatal), Some(&ready)).holds);
        let many: Vec<(&str, &str)> = ["a", "b", "c", "d", "e"].map(|pod| (pod, "403")).into();
        let told = self::memory().judge(read(&[], &many), Some(&fatal), None).evidence;
        assert!(told.contains("a: 403; b: 403; c: 403; 2 more"), "{told}");
    }

    #[test]
    fn a_line_that_must_be_there_is_enough_once() {
        let (mut memory, ready) = (memory(), regex("ready"));
        let mut look = |lines: &[(&str, &str)]| memory.judge(read(lines, &[]), None, Some(&ready));
        assert_eq!(look(&[]), Seen::no("0 lines of 2 pods read since 11:06:40, none matches `ready`"));
        assert_eq!(look(&[("web-1", "ready")]), Seen::yes("web-1: ready"));
        assert_eq!(look(&[("web-1", "busy")]), Seen::yes("web-1: ready"));
    }

    #[test]
    fn a_long_line_is_looked_at_whole_and_quoted_in_part() {
        let line = LogLine {
            pod: "web-1".to_owned(),
            at: None,
            text: format!("{} FATAL {}", "a".repeat(9_000), "b".repeat(9_000)),
        };
        let quoted = quote(&line, &regex("FATAL")).unwrap();
        assert!(quoted.contains("FATAL") && quoted.chars().count() < 420, "{quoted}");
        assert_eq!(quote(&line, &regex("PANIC")), None);
    }

    #[test]
    fn numbers_are_read_by_people() {
        for (number, text) in [(0, "0"), (999, "999"), (1_412, "1,412"), (1_234_567, "1,234,567")] {
            assert_eq!(thousands(number), text);
        }
    }
}
