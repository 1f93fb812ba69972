//! Prometheus' text format, read strictly: what its rules forbid is a panic.

use std::collections::{BTreeMap, BTreeSet};

/// The metrics of one answer.
#[derive(Debug, Default)]
pub struct Exposition {
    /// Type by name.
    pub families: BTreeMap<String, String>,
    help: BTreeMap<String, String>,
    /// Value by series, its labels in the order of their names.
    series: BTreeMap<String, f64>,
}

impl Exposition {
    /// Reads an answer.
    pub fn parse(text: &str) -> Self {
        assert!(text.ends_with('\n'), "the last line ends");
        let mut all = Self::default();
        let mut ended: BTreeSet<String> = BTreeSet::new();
        let mut current = String::new();
        for line in text.lines().filter(|line| !line.is_empty()) {
            let family = match line.split_once(' ').expect("a name and a value") {
                ("#", comment) => all.describe(comment),
                (..) => all.sample(line),
            };
            if family != current {
                assert!(!ended.contains(&family), "the lines of {family} stand together");
                ended.insert(std::mem::replace(&mut current, family));
            }
        }
        all.check();
        all
    }

    fn describe(&mut self, comment: &str) -> String {
        let (keyword, rest) = comment.split_once(' ').expect("a keyword");
        let (name, text) = rest.split_once(' ').expect("a name and a text");
        let before = match keyword {
            "HELP" => self.help.insert(name.to_owned(), text.to_owned()),
            "TYPE" => {
                assert!(["counter", "gauge", "histogram"].contains(&text), "{name} is a {text}");
                self.families.insert(name.to_owned(), text.to_owned())
            }
            _ => panic!("{comment}"),
        };
        assert_eq!(before, None, "{keyword} of {name} comes once");
        name.to_owned()
    }

    fn sample(&mut self, line: &str) -> String {
        let (series, value) = line.rsplit_once(' ').expect("a value");
        let value: f64 = value.parse().unwrap_or_else(|_| panic!("{line}: no number"));
        let (name, labels) = match series.split_once('{') {
            Some((name, labels)) => (name, labels.strip_suffix('}').expect("the labels end")),
            None => (series, ""),
        };
        let is_word = |text: &str| {
            !text.starts_with(|c: char| c.is_ascii_digit())
                && text.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'_')
        };
        assert!(is_word(name), "{name}");
        let mut pairs: Vec<(&str, &str)> = labels
            .split_terminator("\",")
            .map(|pair| pair.split_once("=\"").map(|(name, value)| (name, value.trim_end_matches('"'))).expect(line))
            .collect();
        pairs.sort_unstable();
        for (label, value) in &pairs {
            assert!(is_word(label) && !label.starts_with("__"), "{line}");
            assert!(!value.contains(['"', '\\', '\n']), "{line}: none of ours needs an escape");
        }
        let labels: Vec<String> = pairs.iter().map(|(label, value)| format!("{label}=\"{value}\"")).collect();
        let key = if labels.is_empty() { name.to_owned() } else { format!("{name}{{{}}}", labels.join(",")) };
        assert_eq!(self.series.insert(key, value), None, "{series} comes once");
        let of = |suffix| {
            name.strip_suffix(suffix).filter(|base| self.families.get(*base).is_some_and(|kind| kind == "histogram"))
        };
        let family = ["_bucket", "_sum", "_count"].into_iter().find_map(of).unwrap_or(name);
        assert!(self.families.contains_key(family), "{line}: its type comes first");
        family.to_owned()
    }

    fn check(&self) {
        for (name, kind) in &self.families {
            assert!(self.help.get(name).is_some_and(|help| help.len() > 10), "{name} has no help");
            assert_eq!(kind == "counter", name.ends_with("_total"), "{name} is a {kind}");
            for suffix in ["_bucket", "_sum", "_count", "_counter", "_gauge", "_ms", "_milliseconds", "_info_total"] {
                assert!(!name.ends_with(suffix), "{name} ends in {suffix}");
            }
            if kind == "histogram" {
                self.check_histogram(name);
            }
        }
        for (series, value) in self.series.iter().filter(|(series, _)| series.contains("_total")) {
            assert!(*value >= 0.0, "{series} is {value}");
        }
    }

    /// Buckets are cumulative, and the last one holds all.
    fn check_histogram(&self, name: &str) {
        let mut by_labels: BTreeMap<String, Vec<(f64, f64)>> = BTreeMap::new();
        for (series, value) in self.series.iter().filter(|(series, _)| series.starts_with(&format!("{name}_bucket{{")))
        {
            let (before, rest) = series.split_once("le=\"").expect("a bound");
            let (bound, after) = rest.split_once('"').expect("a bound");
            by_labels.entry(format!("{before}{after}")).or_default().push((bound.parse().expect("a number"), *value));
        }
        assert!(!by_labels.is_empty(), "{name} has buckets");
        let mut counts: Vec<f64> = Vec::new();
        for mut buckets in by_labels.into_values() {
            buckets.sort_by(|a, b| a.0.total_cmp(&b.0));
            assert!(buckets.is_sorted_by(|a, b| a.0 < b.0 && a.1 <= b.1), "{name}: {buckets:?}");
            let (last, count) = *buckets.last().expect("a bucket");
            assert!(last.is_infinite(), "{name}: {buckets:?}");
            counts.push(count);
        }
        let of = |what: &str| {
            self.series
                .iter()
                .filter(move |(series, _)| {
                    series
                        .strip_prefix(name)
                        .and_then(|rest| rest.strip_prefix(what))
                        .is_some_and(|rest| rest.is_empty() || rest.starts_with('{'))
                })
                .map(|(_, value)| *value)
                .collect::<Vec<f64>>()
        };
        assert_eq!(of("_count").iter().sum::<f64>(), counts.iter().sum::<f64>(), "{name}");
        assert_eq!(of("_sum").len(), counts.len(), "{name}");
    }

    /// The value of a series, its labels in the order of their names.
    pub fn value(&self, series: &str) -> Option<f64> {
        self.series.get(series).copied()
    }

    /// Series of a metric.
    pub fn count(&self, name: &str) -> usize {
        self.series.keys().filter(|series| series.split('{').next() == Some(name)).count()
    }

    /// The names of the labels of a metric, but for a bucket's bound.
    pub fn labels(&self, name: &str) -> BTreeSet<String> {
        let of = |series: &String| {
            series.strip_prefix(name)?.trim_start_matches("_bucket").strip_prefix('{').map(str::to_owned)
        };
        let labels = self.series.keys().filter_map(of);
        labels
            .flat_map(|labels| {
                labels.split("\",").filter_map(|pair| Some(pair.split_once('=')?.0.to_owned())).collect::<Vec<_>>()
            })
            .filter(|label| label != "le")
            .collect()
    }
}
