//! axe-core: what in a page keeps people out.

use serde_json::Value;

use super::browser::Browser;

const AXE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/node_modules/axe-core/axe.min.js");

/// Fails when axe finds anything that is serious or critical.
pub async fn check(browser: &Browser, what: &str) {
    let axe = std::fs::read_to_string(AXE).expect("axe-core is there: `npm ci` in browser/");
    browser.run(&axe).await;
    // What moves is looked at when it has come to rest.
    let script = "const done = arguments[arguments.length - 1];
        Promise.all(document.getAnimations().map((one) => one.finished.catch(() => {})))
          .then(() => axe.run(document, { resultTypes: ['violations'] }))
          .then((found) => done({ passes: found.passes.length, violations: found.violations }), (error) => done({ error: String(error) }));";
    let found = browser.client.execute_async(script, Vec::new()).await.expect("axe runs");
    assert!(found["error"].is_null(), "{what}: axe fails: {found}");
    assert!(found["passes"].as_u64().is_some_and(|passes| passes > 10), "{what}: axe has looked at nothing: {found}");
    let bad: Vec<String> = found["violations"].as_array().into_iter().flatten().filter(is_bad).map(in_words).collect();
    assert!(bad.is_empty(), "{what}: {bad:#?}");
    println!("axe: {what}: nothing serious, {} rules hold", found["passes"]);
}

fn is_bad(violation: &&Value) -> bool {
    matches!(violation["impact"].as_str(), Some("serious" | "critical"))
}

fn in_words(violation: &Value) -> String {
    let nodes = violation["nodes"].as_array().into_iter().flatten();
    let places: Vec<String> =
        nodes.take(5).map(|node| format!("{} {}", node["target"], node["failureSummary"])).collect();
    format!("{} ({}): {places:#?}", violation["id"], violation["impact"])
}
