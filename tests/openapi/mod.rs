//! The OpenAPI document. That the service's answers are as it says is tested
//! with schemathesis (`tests/schemathesis`).

mod committed;
mod errors;
mod references;
mod routes;

use std::collections::BTreeMap;

use kootask::app;
use serde_json::Value;

/// The document as a client reads it.
fn document() -> Value {
    serde_json::to_value(app::openapi()).unwrap()
}

/// The operations, by path and method.
fn operations(document: &Value) -> BTreeMap<(String, String), Value> {
    let paths = document["paths"].as_object().unwrap();
    let operations = paths.iter().flat_map(|(path, item)| {
        let operation = move |(method, operation): (&String, &Value)| {
            ((path.clone(), method.to_uppercase()), operation.clone())
        };
        item.as_object().unwrap().iter().map(operation)
    });
    operations.collect()
}
