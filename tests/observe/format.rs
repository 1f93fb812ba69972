//! Metrics keep Prometheus' rules, and are the ones that are documented.

use std::{
    collections::BTreeSet,
    process::{Command, Stdio},
};

use restock::meter::{CATALOGUE, Metric};

use super::{
    deployment::{CLI, Deployment, FLUSHER, WORKER},
    tools::missing,
};

const DOCUMENTATION: &str = include_str!("../../docs/observability.md");
const RULES: &str = include_str!("../../deploy/prometheus/restock.rules.yml");

/// Asks Prometheus' own tool, where it is installed.
fn lint(text: &str) {
    use std::io::Write;
    let tool = Command::new("promtool").args(["check", "metrics"]).stdin(Stdio::piped()).stderr(Stdio::piped()).spawn();
    let Ok(mut tool) = tool else {
        return missing("promtool", "prometheus", "only our own parser has read the metrics");
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
    let rows: Vec<&str> = DOCUMENTATION.lines().filter(|line| line.starts_with("| `restock_")).collect();
    let wanted: Vec<String> = CATALOGUE.iter().map(row).collect();
    assert_eq!(rows, wanted, "the table in docs/observability.md is to be:\n{}", wanted.join("\n"));
}

#[test]
fn alerts_and_dashboard_name_metrics_that_exist() {
    for file in [RULES, include_str!("../../deploy/grafana/restock.json")] {
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

/// The alerts of the rules with their severity, in their order.
fn alerts() -> Vec<(&'static str, &'static str)> {
    let after = |line: &'static str, what| line.trim().strip_prefix(what);
    let names = RULES.lines().filter_map(|line| after(line, "- alert: "));
    let severities = RULES.lines().filter_map(|line| after(line, "labels: { severity: ")?.strip_suffix(" }"));
    names.zip(severities).collect()
}

#[test]
fn the_documentation_says_of_each_alert_what_to_do_and_each_was_seen_to_fire() {
    let documented = DOCUMENTATION.lines().filter_map(|line| {
        let mut cells = line.strip_prefix("| `Restock")?.split(" | ");
        let (name, severity, deed) = (cells.next()?.trim_end_matches('`'), cells.next()?, cells.next()?);
        assert!(deed.len() > 20, "{line}");
        Some((name, severity))
    });
    let wanted: Vec<_> = alerts().into_iter().map(|(name, severity)| (&name["Restock".len()..], severity)).collect();
    assert_eq!(documented.collect::<Vec<_>>(), wanted);
    let tests = include_str!("../../deploy/prometheus/restock.test.yml");
    for (name, _) in alerts() {
        let fires = |case: &str| case.starts_with(name) && case[name.len()..].starts_with("\n        exp_alerts:\n");
        assert!(tests.split("alertname: ").any(fires), "no unit test lets {name} fire");
    }
}

#[test]
fn the_alerts_go_by_the_job_that_prometheus_is_told_of() {
    let configured = include_str!("../../deploy/prometheus/prometheus.yml");
    let jobs: BTreeSet<&str> = RULES.split("job=\"").skip(1).filter_map(|rest| rest.split('"').next()).collect();
    assert!(!jobs.is_empty());
    for job in jobs {
        assert!(configured.contains(&format!("- job_name: {job}\n")), "{job}");
    }
    assert!(!RULES.contains("job=~"), "each by its name");
    assert!(configured.contains("target_label: role\n"), "the alerts count by it");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_commands_that_are_named_to_whoever_is_on_duty_exist() {
    let mut named = BTreeSet::new();
    for text in [DOCUMENTATION, RULES] {
        for rest in text.split("restock-cli ").skip(1) {
            let command: Vec<&str> =
                rest.split(['`', '\n', '"', ',', ';']).next().unwrap_or_default().split(' ').collect();
            let option = command.iter().find(|word| word.starts_with("--")).copied();
            named.insert((command[0].to_owned(), option.map(str::to_owned)));
        }
    }
    assert!(named.len() >= 4, "{named:?}");
    for (command, option) in named {
        let shown = Command::new(CLI).args([&command, "--help"]).output().expect("it runs");
        assert!(shown.status.success(), "restock-cli {command}");
        let help = String::from_utf8_lossy(&shown.stdout).into_owned();
        assert!(option.as_ref().is_none_or(|option| help.contains(option)), "restock-cli {command} {option:?}");
    }
}
