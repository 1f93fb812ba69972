//! Metrics keep Prometheus' rules, and are the ones that are documented.

use std::{
    collections::BTreeSet,
    process::{Command, Stdio},
};

use restock::meter::{CATALOGUE, Metric};

use super::deployment::{Deployment, FLUSHER, WORKER};

/// Asks Prometheus' own tool, where it is installed.
fn lint(text: &str) {
    use std::io::Write;
    let tool = Command::new("promtool").args(["check", "metrics"]).stdin(Stdio::piped()).stderr(Stdio::piped()).spawn();
    let Ok(mut tool) = tool else {
        eprintln!("promtool is not installed: only our own parser has read the metrics");
        return;
    };
    tool.stdin.take().expect("a pipe").write_all(text.as_bytes()).expect("it reads");
    let ended = tool.wait_with_output().expect("it ends");
    assert!(ended.status.success() && ended.stderr.is_empty(), "{}", String::from_utf8_lossy(&ended.stderr));
}

#[tokio::test(flavor = "multi_thread")]
async fn every_metric_is_in_the_catalogue_and_keeps_the_rules() {
    let deployment = Deployment::open("null", 0).await;
    let crew =
        [deployment.start(FLUSHER, &[]).await, deployment.start(WORKER, &[]).await, deployment.start_api(&[]).await];
    assert_eq!(crew[2].get("/api/products/0").await.map(|(status, _)| status / 100), Some(4));
    let mut seen = BTreeSet::new();
    for process in &crew {
        process.until_ready(true).await;
        let text = process.text().await;
        lint(&text);
        let metrics = process.metrics().await;
        for (name, kind) in metrics.families.iter().filter(|(name, _)| !name.starts_with("process_")) {
            let metric = CATALOGUE.iter().find(|metric| metric.name == name);
            let metric = metric.unwrap_or_else(|| panic!("{name} is not in the catalogue"));
            assert_eq!(metric.kind.name(), kind, "{name}");
            let labels: BTreeSet<String> = metric.labels.iter().map(|label| (*label).to_owned()).collect();
            assert_eq!(metrics.labels(name), labels, "{name}");
            assert!(metrics.count(name) <= 8, "{name} has few series");
            seen.insert(name.clone());
        }
    }
    let all: BTreeSet<String> = CATALOGUE.iter().map(|metric| metric.name.to_owned()).collect();
    assert_eq!(seen, all, "each is shown by somebody");
}

/// A row of the documentation's table.
fn row(metric: &Metric) -> String {
    let labels: Vec<String> = metric.labels.iter().map(|label| format!("`{label}`")).collect();
    format!("| `{}` | {} | {} | {} |", metric.name, metric.kind.name(), labels.join(", "), metric.help)
}

#[test]
fn the_documentation_lists_every_metric() {
    let documentation = include_str!("../../docs/observability.md");
    let rows: Vec<&str> = documentation.lines().filter(|line| line.starts_with("| `restock_")).collect();
    let wanted: Vec<String> = CATALOGUE.iter().map(row).collect();
    assert_eq!(rows, wanted, "the table in docs/observability.md is to be:\n{}", wanted.join("\n"));
}

#[test]
fn alerts_and_dashboard_name_metrics_that_exist() {
    let files =
        [include_str!("../../deploy/prometheus/restock.rules.yml"), include_str!("../../deploy/grafana/restock.json")];
    for file in files {
        let words = file.split(|c: char| !(c.is_ascii_alphanumeric() || c == '_'));
        let named: BTreeSet<&str> = words.filter(|word| word.starts_with("restock_") && *word != "restock_").collect();
        assert!(named.len() > 5, "{named:?}");
        for name in named {
            let is_of = |metric: &&Metric| {
                name.strip_prefix(metric.name).is_some_and(|rest| ["", "_bucket", "_sum", "_count"].contains(&rest))
            };
            assert!(CATALOGUE.iter().any(|metric| is_of(&metric)), "there is no {name}");
        }
    }
}
