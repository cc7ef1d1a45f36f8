//! Holds docs/runbook-reference.md to the format: no key of the schema is missing there or made up, and its examples,
//! taken together, are a runbook without a fault.

#![expect(clippy::expect_used, reason = "a test that cannot read the files it compares has failed")]

use std::{collections::BTreeSet, fs, path::Path};

fn file(path: &str) -> String {
    fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join(path)).expect("a file of ours can be read")
}

fn reference() -> String {
    file("docs/runbook-reference.md")
}

/// The keys of each table on the page: the first column under a heading `key`.
fn documented() -> Vec<BTreeSet<String>> {
    let mut tables: Vec<BTreeSet<String>> = Vec::new();
    let mut inside = false;
    for line in reference().lines() {
        if line.starts_with("| key |") {
            tables.push(BTreeSet::new());
            inside = true;
        } else if !line.starts_with('|') {
            inside = false;
        } else if let (true, Some(table), Some(row)) = (inside, tables.last_mut(), line.strip_prefix("| `")) {
            table.insert(row.chars().take_while(|c| *c != '`').collect());
        }
    }
    tables
}

#[test]
fn every_key_of_the_format_is_documented_and_no_other() {
    let schema: serde_json::Value =
        serde_json::from_str(&file("assets/runbook.schema.json")).expect("the schema is JSON");
    let keys = |table: &serde_json::Value| -> BTreeSet<String> {
        table["properties"].as_object().into_iter().flatten().map(|(key, _)| key.clone()).collect()
    };
    let mut declared = vec![("the file", keys(&schema))];
    let definitions = schema["definitions"].as_object().expect("the schema has definitions");
    // An item's check takes the keys of a check but three, and has no table of its own.
    declared.extend(
        definitions.iter().filter(|(id, _)| *id != "look").map(|(id, table)| (id.as_str(), keys(table))),
    );
    let documented = documented();
    assert!(declared.len() > 30, "the schema's tables were found: {}", declared.len());
    for (id, keys) in &declared {
        assert!(
            documented.contains(keys),
            "no table of the reference has exactly the keys of {id}: {keys:?}"
        );
    }
    for keys in &documented {
        assert!(declared.iter().any(|(_, known)| known == keys), "the format has no table with {keys:?}");
    }
}

/// The column "default" of each table's rows, by key, in the order of [`documented`].
fn documented_defaults() -> Vec<std::collections::BTreeMap<String, String>> {
    let reference = reference();
    let mut tables = Vec::new();
    let mut rows: Option<std::collections::BTreeMap<String, String>> = None;
    for line in reference.lines() {
        if line.starts_with("| key |") {
            rows = Some(std::collections::BTreeMap::new());
        } else if !line.starts_with('|') {
            tables.extend(rows.take());
        } else if let Some(rows) = &mut rows
            && let [key, _, default, ..] = line.trim_matches('|').split(" | ").collect::<Vec<_>>()[..]
            && let Some(key) = key.trim().strip_prefix('`')
        {
            rows.insert(key.trim_end_matches('`').to_owned(), default.trim().to_owned());
        }
    }
    tables
}

#[test]
fn every_default_stands_in_the_reference_as_it_is() {
    let schema: serde_json::Value =
        serde_json::from_str(&file("assets/runbook.schema.json")).expect("the schema is JSON");
    let mut seen = 0;
    for (id, table) in schema["definitions"].as_object().expect("the schema has definitions") {
        if id == "look" {
            continue;
        }
        let properties = table["properties"].as_object().expect("a table has keys");
        let rows = documented_defaults()
            .into_iter()
            .find(|rows| {
                rows.len() == properties.len() && rows.keys().all(|key| properties.contains_key(key))
            })
            .unwrap_or_else(|| panic!("no table of the reference has the keys of {id}"));
        for (key, property) in properties {
            let described = property["description"].as_str().unwrap_or_default();
            let default = match &property["default"] {
                serde_json::Value::Null => {
                    described.split_once(" Default ").map(|(_, cases)| cases.trim_end_matches('.').to_owned())
                }
                serde_json::Value::String(text) => Some(format!("`{text}`")),
                other => Some(format!("`{other}`")),
            };
            let shown = &rows[key];
            match default {
                Some(default) => {
                    seen += 1;
                    assert_eq!(*shown, default, "{id}.{key}");
                }
                None => {
                    assert!(!shown.starts_with('`'), "{id}.{key} has no default, and the page says {shown}");
                }
            }
        }
    }
    assert!(seen >= 25, "{seen}");
}

#[test]
fn the_examples_are_a_runbook_without_a_fault() {
    let mut runbook = String::new();
    let mut inside = false;
    for line in reference().lines() {
        match (inside, line) {
            (false, "```toml") => inside = true,
            (true, "```") => inside = false,
            (true, line) => runbook.extend([line, "\n"]),
            _ => {}
        }
    }
    let loaded = cutover::config::load_str("the examples", &runbook);
    assert!(loaded.diagnostics.is_empty(), "{}", loaded.render(false));
    assert!(loaded.runbook.is_some_and(|runbook| runbook.steps.len() > 4), "the examples were found");
}
