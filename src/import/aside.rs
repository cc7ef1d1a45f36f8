//! Words that say that what follows is not simply the next thing to do: another way to the same end, or only in some cases.
//!
//! A run goes one way. Commands of another way, and those for some cases only, are kept for a person to choose.

/// The first word, in lower case.
fn first_word(text: &str) -> String {
    let text = text.trim_start_matches(|c: char| !c.is_alphanumeric());
    text.split(|c: char| !c.is_alphanumeric() && c != '\'').next().unwrap_or_default().to_lowercase()
}

/// Whether what follows is another way to do what stands before: `Or via Git:`, `Alternatively, …`.
pub(super) fn is_another_way(text: &str) -> bool {
    let lower = text.to_lowercase();
    let start = lower.trim_start_matches(|c: char| !c.is_alphanumeric());
    matches!(
        first_word(text).as_str(),
        "or" | "alternatively" | "alternative" | "ou" | "oder" | "alternativement"
    ) || ["as an alternative", "if you prefer", "another way", "another option"]
        .iter()
        .any(|words| start.starts_with(words))
}

/// Whether it goes on with what stands before: `Then run …`.
pub(super) fn goes_on(text: &str) -> bool {
    matches!(first_word(text).as_str(), "then" | "ensuite" | "puis" | "dann" | "luego")
}

/// Whether what follows is for some cases only: `If the pods are stuck`, `On rollback`.
pub(super) fn is_condition(text: &str) -> bool {
    let lower = text.to_lowercase();
    let start = lower.trim_start_matches(|c: char| !c.is_alphanumeric());
    let cases = ["rollback", "failure", "error", "success", "promotion", "abort", "timeout"];
    let end = start.trim_end_matches([':', '.', ')', ' ']);
    let ends = ["if required", "if needed", "if necessary", "if applicable", "si nécessaire", "falls nötig"];
    if ends.iter().any(|words| end.ends_with(words)) {
        return true;
    }
    match first_word(text).as_str() {
        "if" | "falls" => true,
        "si" => true,
        "on" => cases.iter().any(|case| start.strip_prefix("on ").is_some_and(|rest| rest.starts_with(case))),
        "in" => start.starts_with("in case"),
        "only" => start.starts_with("only if") || start.starts_with("only when"),
        _ => false,
    }
}

/// Whether the comments of one block are ways of which a person takes one: `For Docker deployments`, `For PM2`;
/// `Using Helm`, `Using kubectl`; `Option 1`, `Option 2`.
pub(super) fn are_ways<'t>(comments: impl Iterator<Item = &'t str>) -> Vec<&'t str> {
    let all: Vec<&str> = comments.collect();
    let kinds: [fn(&str) -> bool; 3] = [
        |text| first_word(text) == "for",
        |text| matches!(first_word(text).as_str(), "using" | "with" | "via"),
        is_variant,
    ];
    for (at, is_one) in kinds.iter().enumerate() {
        let these: Vec<&str> = all.iter().copied().filter(|text| is_one(text)).collect();
        // `For the API` and `For the worker` are both done.
        let kinds_of_install = |text: &str| {
            let last =
                text.trim_end_matches([':', '.']).rsplit(' ').next().unwrap_or_default().to_lowercase();
            ["deployment", "deployments", "setup", "setups", "install", "installs", "installations", "users"]
                .contains(&last.as_str())
        };
        let apart = at > 0 || these.iter().any(|text| kinds_of_install(text));
        if these.len() > 1 && apart {
            return these;
        }
    }
    Vec::new()
}

/// Whether it names one of several ways: `Option B`, `Level 2: image rollback`, `Method 1`.
pub(super) fn is_variant(text: &str) -> bool {
    let word = first_word(text);
    let named = ["option", "method", "approach", "variant", "alternative", "level", "méthode", "variante"];
    let mut rest = text.trim_start_matches(|c: char| !c.is_alphanumeric()).split_whitespace().skip(1);
    let mark = rest.next().unwrap_or_default().trim_end_matches([':', '.', ')', '-', '–']);
    named.contains(&word.as_str())
        && (mark.len() == 1 && mark.chars().all(char::is_alphanumeric)
            || !mark.is_empty() && mark.chars().all(|c| c.is_ascii_digit()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn other_ways_and_cases_are_known_by_their_first_words() {
        for text in
            ["Or via Git push (auto-deploy)", "OR for Helm:", "Alternatively, use the console", "⚡ Or KEDA"]
        {
            assert!(is_another_way(text), "{text}");
        }
        for text in ["Order the pods", "Origin: main", "Deploy to A or B"] {
            assert!(!is_another_way(text), "{text}");
        }
        for text in
            ["If unhealthy: roll back", "On rollback", "Only if the schema changed", "Roll back if required:"]
        {
            assert!(is_condition(text), "{text}");
        }
        for text in ["On the bastion", "Identify the pods", "Onboard the team", "On production"] {
            assert!(!is_condition(text), "{text}");
        }
    }

    #[test]
    fn ways_are_several_and_places_are_not() {
        let ways = |comments: &[&'static str]| are_ways(comments.iter().copied()).len();
        assert_eq!(ways(&["For Git-based deployments", "For PM2", "Check"]), 2);
        assert_eq!(ways(&["Using Helm", "Using kubectl"]), 2);
        assert_eq!(ways(&["Option 1: Helm", "Option 2: by hand"]), 2);
        assert_eq!(ways(&["For the API", "For the worker"]), 0);
        assert_eq!(ways(&["For manual deployment"]), 0);
        assert!(
            is_variant("Level 1: Quick Rollback") && is_variant("Method B") && !is_variant("Option list")
        );
    }
}
