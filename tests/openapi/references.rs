//! The document holds together.

use serde_json::Value;

use super::document;

/// Every `$ref` in this part of the document.
fn references(part: &Value) -> Vec<&str> {
    match part {
        Value::Object(fields) => {
            let own = fields.get("$ref").and_then(Value::as_str);
            own.into_iter()
                .chain(fields.values().flat_map(references))
                .collect()
        }
        Value::Array(items) => items.iter().flat_map(references).collect(),
        _ => Vec::new(),
    }
}

#[test]
fn every_reference_leads_somewhere() {
    let document = document();
    let references = references(&document);
    assert!(!references.is_empty());
    for reference in references {
        let pointer = reference.strip_prefix('#').unwrap();
        assert!(document.pointer(pointer).is_some(), "{reference}");
    }
}

#[test]
fn nothing_is_named_that_is_not_used() {
    let document = document();
    let references = references(&document);
    for kind in ["schemas", "responses", "parameters", "headers"] {
        for name in document["components"][kind].as_object().unwrap().keys() {
            let reference = format!("#/components/{kind}/{name}");
            assert!(references.contains(&reference.as_str()), "{reference}");
        }
    }
}

#[test]
fn an_optional_field_of_an_answer_is_absent_rather_than_null() {
    let document = document();
    let schemas = document["components"]["schemas"].as_object().unwrap();
    let answers = schemas
        .iter()
        .filter(|(name, _)| !name.ends_with("Request"));
    for (name, schema) in answers {
        let types = schema["properties"].as_object().into_iter().flatten();
        for (field, schema) in types {
            assert!(!schema["type"].is_array(), "{field} of {name}");
        }
    }
}
