//! What is around the cluster: clocks, URLs, programs, variables.

use super::{
    finding::{Area, Finding},
    picture::{Looked, Picture, Tool, Tried, TriedKind, VarSeen, VarState},
};

/// Up to here clocks are told as equal; answers take time.
const NEAR: i64 = 3_000;
/// From here on numbers are refused as too new, and certificates, leases and triggers count wrong.
const FAR: i64 = 10_000;

/// A clock of somebody else, against ours.
pub(super) fn clock(whose: &str, ahead: &Looked<i64>, found: &mut Vec<Finding>) {
    let ahead = match ahead {
        Ok(ahead) => *ahead,
        Err(why) => return found.push(Finding::not_looked_at(Area::Clock, whose, why)),
    };
    let seconds = ahead.unsigned_abs().div_ceil(1000);
    let way = if ahead > 0 { "ahead of" } else { "behind" };
    let words = format!("its clock is {seconds} s {way} this machine's");
    let cure = "set both by NTP: `timedatectl` here, and ask the owners of that host; triggers and the lock count by clocks";
    found.push(match ahead.abs() {
        ..NEAR => Finding::fine(
            Area::Clock,
            whose,
            format!("its clock and ours are less than {} s apart", NEAR / 1000),
        ),
        NEAR..FAR => Finding::warn(Area::Clock, whose, words, cure),
        _ => Finding::fault(Area::Clock, whose, words, cure),
    });
}

pub(super) fn judge(picture: &Picture, found: &mut Vec<Finding>) {
    for tried in &picture.tried {
        found.push(network(tried));
    }
    tools(&picture.tools, found);
    variables(&picture.vars, found);
}

fn network(tried: &Tried) -> Finding {
    let Tried { about, kind, seen } = tried;
    let area = Area::Network;
    let seen = match seen {
        Ok(seen) => seen,
        Err(why) => return Finding::not_looked_at(area, about, why),
    };
    let wrong = match kind {
        TriedKind::Http => "correct the URL, or see to it that the service answers from this machine",
        TriedKind::Tls => "renew the certificate, or correct `host` of the check",
        TriedKind::Dns => "correct the name or its record",
        TriedKind::Connect => "correct the URL, or open the way from this machine",
        TriedKind::Webhook => {
            "correct the webhook's URL, or open the way from this machine; nothing was posted"
        }
    };
    match (seen, kind) {
        (Ok((true, evidence)), _) => Finding::fine(area, about, evidence.clone()),
        // What a check wants may only be true later: the version that is not deployed yet.
        (Ok((false, evidence)), TriedKind::Http) => Finding::warn(
            area,
            about,
            format!("it answers, but not as the check wants: {evidence}"),
            "look whether that is so until the run has deployed; otherwise correct the check",
        ),
        (Ok((false, evidence)), _) => Finding::fault(area, about, evidence.clone(), wrong),
        (Err(why), _) => Finding::fault(area, about, why.clone(), wrong),
    }
}

fn tools(all: &[Tool], found: &mut Vec<Finding>) {
    let mut there: Vec<&str> = Vec::new();
    for tool in all {
        if tool.found.is_some() {
            there.push(&tool.name);
            continue;
        }
        let more = tool.places.len().saturating_sub(1);
        let place = tool.places.first().map_or("", String::as_str);
        let more = if more > 0 { format!(" and {more} more places") } else { String::new() };
        found.push(if tool.name.contains('/') {
            Finding::fault(
                Area::Tools,
                &tool.name,
                format!("{place}{more} runs it, and there is no such program"),
                "correct the path (it counts from the runbook's directory), or make the file executable",
            )
        } else {
            Finding::fault(
                Area::Tools,
                &tool.name,
                format!("{place}{more} runs it, and it is not on the PATH"),
                format!("install {} on this machine, or correct the script", tool.name),
            )
        });
    }
    if !there.is_empty() {
        found.push(Finding::fine(Area::Tools, "PATH", format!("has {}", there.join(", "))));
    }
}

fn variables(all: &[VarSeen], found: &mut Vec<Finding>) {
    let mut known: Vec<String> = Vec::new();
    for var in all {
        let about = format!("${}", var.name);
        match &var.state {
            VarState::Known(source) => known.push(format!("{about} ({source})")),
            VarState::Asked => known.push(format!("{about} (asked when the run opens)")),
            VarState::Captured => known.push(format!("{about} (from an action's output)")),
            VarState::Unset(name) => found.push(Finding::fault(
                Area::Variables,
                about,
                format!("it comes from the environment variable {name}, which is not set"),
                format!("export {name}, or give --var {}=VALUE when you start the run", var.name),
            )),
            VarState::Unfit(why) => found.push(Finding::fault(
                Area::Variables,
                about,
                why.clone(),
                "give a value that fits its pattern, or correct the pattern",
            )),
        }
    }
    if !known.is_empty() {
        found.push(Finding::fine(Area::Variables, "resolvable", known.join(", ")));
    }
}
