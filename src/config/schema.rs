//! The JSON Schema of runbook.toml, for editors: completion, types and descriptions.
//!
//! Made from the same data that the loader checks by, so the two cannot differ. It is draft-07, which is what TOML language
//! servers read; what a schema cannot say (a slot that exists, a bound that fits its unit) is the loader's.

use std::collections::BTreeMap;

use serde_json::{Map, Value, json};

use super::shape::{Default, Key, Kind, RUNBOOK, Shape};

/// The schema as pretty-printed JSON with a line end, as it stands in `assets/runbook.schema.json`.
pub fn json_schema() -> String {
    let mut shapes = BTreeMap::new();
    collect(&RUNBOOK, &mut shapes);
    let definitions: Map<String, Value> = shapes
        .iter()
        .filter(|(id, _)| **id != RUNBOOK.id)
        .map(|(id, shape)| ((*id).to_owned(), table(shape)))
        .collect();
    let mut root = Map::new();
    root.insert("$schema".to_owned(), json!("http://json-schema.org/draft-07/schema#"));
    root.insert("title".to_owned(), json!("runbook.toml"));
    if let Value::Object(fields) = table(&RUNBOOK) {
        root.extend(fields);
    }
    root.insert("definitions".to_owned(), Value::Object(definitions));
    format!("{:#}\n", Value::Object(root))
}

/// Every shape that can be reached from one.
fn collect(shape: &'static Shape, shapes: &mut BTreeMap<&'static str, &'static Shape>) {
    if shapes.insert(shape.id, shape).is_none() {
        for key in shape.all_keys() {
            reach(&key.kind, shapes);
        }
    }
}

fn reach(kind: &'static Kind, shapes: &mut BTreeMap<&'static str, &'static Shape>) {
    match kind {
        Kind::Table(shape) => collect(shape, shapes),
        Kind::List(inner) | Kind::Map(inner) => reach(inner, shapes),
        Kind::Either(kinds) => kinds.iter().for_each(|kind| reach(kind, shapes)),
        _ => {}
    }
}

/// Keys that mean nothing without one other. Where several would do, the schema has no word for it, and the loader tells.
fn dependencies(shape: &Shape) -> Map<String, Value> {
    shape
        .all_keys()
        .filter(|key| key.with.len() == 1)
        .map(|key| (key.name.to_owned(), json!(key.with)))
        .collect()
}

fn table(shape: &Shape) -> Value {
    let properties: Map<String, Value> =
        shape.all_keys().map(|key| (key.name.to_owned(), property(key))).collect();
    let required: Vec<&str> = shape.all_keys().filter(|key| key.required).map(|key| key.name).collect();
    let mut object = json!({
        "description": shape.about,
        "type": "object",
        "properties": properties,
        "additionalProperties": false,
    });
    if !required.is_empty() {
        object["required"] = json!(required);
    }
    let dependencies = dependencies(shape);
    if !dependencies.is_empty() {
        object["dependencies"] = Value::Object(dependencies);
    }
    if let Some(choice) = &shape.choice {
        let mut ways: Vec<Value> = choice.keys.iter().map(|key| json!({ "required": [key] })).collect();
        if choice.optional {
            // None of them: a person's.
            ways.push(json!({ "not": { "anyOf": ways } }));
        }
        object["oneOf"] = json!(ways);
    }
    object
}

fn property(key: &Key) -> Value {
    let mut value = kind(&key.kind);
    if value.get("$ref").is_some() {
        // Beside `$ref`, draft-07 ignores everything else.
        value = json!({ "allOf": [value] });
    }
    let about = match key.default {
        Default::With(cases) => format!("{} {}", key.about, by_case(cases)),
        Default::None | Default::Is(_) => key.about.to_owned(),
    };
    value["description"] = json!(about);
    if let Default::Is(default) = key.default {
        value["default"] = match key.kind {
            Kind::Bool => json!(default == "true"),
            Kind::Integer(..) => json!(default.parse::<i64>().unwrap_or_default()),
            _ => json!(default),
        };
    }
    value
}

/// A default that depends on other keys, in words.
fn by_case(cases: &[(&[&str], &str)]) -> String {
    let cases: Vec<String> = cases
        .iter()
        .map(|(keys, value)| match keys {
            [] => format!("`{value}` otherwise"),
            keys => format!(
                "`{value}` with {}",
                keys.iter().map(|key| format!("`{key}`")).collect::<Vec<_>>().join(", ")
            ),
        })
        .collect();
    format!("Default {}.", cases.join("; "))
}

fn kind(of: &Kind) -> Value {
    match of {
        Kind::Text | Kind::Template | Kind::Script => json!({ "type": "string" }),
        Kind::Slot => json!({ "type": "string", "examples": ["new", "previous"] }),
        Kind::Duration => {
            json!({ "type": "string", "pattern": DURATION, "examples": ["30s", "5m", "1h30m"] })
        }
        Kind::DurationRange => {
            let number = DURATION.trim_start_matches('^').trim_end_matches('$');
            json!({ "type": "string", "pattern": format!("^{number}(\\.\\.{number})?$"), "examples": ["5m", "2m..5m"] })
        }
        Kind::Bool => json!({ "type": "boolean" }),
        Kind::Integer(low, high) => json!({ "type": "integer", "minimum": low, "maximum": high }),
        Kind::Share => json!({ "type": "number", "minimum": 0, "maximum": 1 }),
        Kind::Percent => {
            json!({ "type": "string", "pattern": "^\\s*[0-9]+(\\.[0-9]+)?\\s*%\\s*$", "examples": ["5%", "12.5%"] })
        }
        // Language servers hand TOML's own dates over as strings.
        Kind::Date => json!({ "type": "string", "format": "date" }),
        Kind::ClockTime => json!({ "type": "string", "pattern": "^([01][0-9]|2[0-3]):[0-5][0-9]$" }),
        Kind::Word(words) => json!({ "enum": words }),
        Kind::Bound => {
            json!({ "type": "string", "pattern": "^\\s*[<>]=?", "examples": ["< 0.1%", "> 500ms"] })
        }
        Kind::BoundOrClaim => {
            json!({ "type": "string", "pattern": "^\\s*([<>]=?|worse than )", "examples": ["> 1%", "worse than 0.1%"] })
        }
        Kind::Regex => json!({ "type": "string", "format": "regex" }),
        Kind::List(item) => json!({ "type": "array", "items": kind(item) }),
        Kind::Table(shape) => json!({ "$ref": format!("#/definitions/{}", shape.id) }),
        Kind::Map(of) => json!({ "type": "object", "additionalProperties": kind(of) }),
        Kind::Either(kinds) => json!({ "anyOf": kinds.iter().map(kind).collect::<Vec<_>>() }),
        Kind::Any => json!({}),
    }
}

/// What a duration looks like, as far as a pattern can say.
const DURATION: &str = "^(\\s*[0-9]+\\s*(ms|s|min|m|h|d|w))+$";

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::verdict::claimed::{parse_at_least, parse_certainty};

    #[test]
    fn every_shape_has_an_id_of_its_own() {
        fn walk(shape: &'static Shape, seen: &mut Vec<&'static Shape>) {
            for other in seen.iter() {
                assert!(other.id != shape.id || std::ptr::eq(*other, shape), "two shapes `{}`", shape.id);
            }
            if seen.iter().any(|other| std::ptr::eq(*other, shape)) {
                return;
            }
            seen.push(shape);
            for key in shape.all_keys() {
                inner(&key.kind, seen);
            }
        }
        fn inner(kind: &'static Kind, seen: &mut Vec<&'static Shape>) {
            match kind {
                Kind::Table(shape) => walk(shape, seen),
                Kind::List(of) | Kind::Map(of) => inner(of, seen),
                Kind::Either(kinds) => kinds.iter().for_each(|kind| inner(kind, seen)),
                _ => {}
            }
        }
        let mut seen = Vec::new();
        walk(&RUNBOOK, &mut seen);
        assert!(seen.len() > 30);
    }

    #[test]
    fn choices_and_companions_name_keys_that_exist() {
        let mut shapes = BTreeMap::new();
        collect(&RUNBOOK, &mut shapes);
        for shape in shapes.values() {
            let names: Vec<&str> = shape.all_keys().map(|key| key.name).collect();
            for (index, name) in names.iter().enumerate() {
                assert!(!names[..index].contains(name), "`{name}` twice in {}", shape.what);
            }
            for name in shape.choice.iter().flat_map(|choice| choice.keys) {
                assert!(names.contains(name), "{name} in {}", shape.what);
            }
            for key in shape.all_keys() {
                assert!(key.about.ends_with('.'), "{}: {}", key.name, key.about);
                assert!(!key.about.contains("efault "), "{}: a default stands beside its key", key.name);
                let defaults: Vec<&str> = match key.default {
                    Default::None => Vec::new(),
                    Default::Is(value) => vec![value],
                    Default::With(cases) => {
                        assert!(cases.iter().flat_map(|(keys, _)| *keys).all(|name| names.contains(name)));
                        cases.iter().map(|(_, value)| *value).collect()
                    }
                };
                for value in defaults {
                    let fits = match key.kind {
                        Kind::Bool => matches!(value, "true" | "false"),
                        Kind::Integer(low, high) => {
                            value.parse().is_ok_and(|n: i64| (low..=high).contains(&n))
                        }
                        Kind::Duration => value.parse::<crate::domain::time::Span>().is_ok(),
                        Kind::Word(words) => words.contains(&value),
                        Kind::Text => parse_certainty(value).is_ok() || parse_at_least(value).is_ok(),
                        _ => false,
                    };
                    assert!(fits, "{}: {value}", key.name);
                }
                assert!(key.with.iter().all(|name| names.contains(name)), "{}", key.name);
            }
        }
    }
}
