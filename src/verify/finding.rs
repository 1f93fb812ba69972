//! What a checker says.

use std::{collections::BTreeMap, fmt};

use super::{kind::Kind, mend::Mend};
use crate::{
    ids::{Channel, LaneId, Partition, ProductId, Round},
    redis::{inspect::JobStream, jobs::Line},
};

/// The most findings kept in a report; of more, only the number.
pub const FINDINGS_MAX: usize = 1_000;

/// What it is about.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Subject {
    /// All of a partition.
    Partition(Partition),
    /// A job stream.
    Stream(JobStream),
    /// An entry of a job stream, by its id there.
    Entry(JobStream, String),
    /// A consumer of the workers' group, by its name.
    Consumer(String),
    /// A product.
    Product(ProductId),
    /// A lane.
    Lane(LaneId),
    /// A round of a lane.
    Round(LaneId, Round),
    /// A round of a product, on whatever channel.
    RoundOf(ProductId, Round),
}

impl Subject {
    /// The product, if it is about one.
    #[must_use]
    pub fn product(&self) -> Option<ProductId> {
        match self {
            Self::Product(product) | Self::RoundOf(product, _) => Some(*product),
            Self::Lane(lane) | Self::Round(lane, _) => Some(lane.product),
            Self::Partition(_) | Self::Stream(_) | Self::Entry(..) | Self::Consumer(_) => None,
        }
    }

    /// The round, if it is about one.
    #[must_use]
    pub fn round(&self) -> Option<Round> {
        match self {
            Self::Round(_, round) | Self::RoundOf(_, round) => Some(*round),
            _ => None,
        }
    }

    /// The channel, if it is about one.
    #[must_use]
    pub fn channel(&self) -> Option<&Channel> {
        match self {
            Self::Stream(stream) | Self::Entry(stream, _) => Some(&stream.channel),
            Self::Lane(lane) | Self::Round(lane, _) => Some(&lane.channel),
            _ => None,
        }
    }
}

struct Named<'a>(&'a JobStream);

impl fmt::Display for Named<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let again = if self.0.line == Line::Again { ":again" } else { "" };
        write!(f, "jobs:{}{again} of partition {}", self.0.channel, self.0.partition)
    }
}

impl fmt::Display for Subject {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Partition(partition) => write!(f, "partition {partition}"),
            Self::Stream(stream) => Named(stream).fmt(f),
            Self::Entry(stream, id) => write!(f, "entry {id} on {}", Named(stream)),
            Self::Consumer(name) => write!(f, "consumer {name}"),
            Self::Product(product) => write!(f, "product {product}"),
            Self::Lane(lane) => write!(f, "lane {lane}"),
            Self::Round(lane, round) => write!(f, "round {round} of {lane}"),
            Self::RoundOf(product, round) => write!(f, "round {round} of product {product}"),
        }
    }
}

/// Something wrong.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finding {
    /// What is wrong.
    pub kind: Kind,
    /// With what.
    pub subject: Subject,
    /// In words, with figures.
    pub detail: String,
    /// What mends it without a risk to anybody; `None` when a person must decide.
    pub mend: Option<Mend>,
}

impl Finding {
    pub(super) fn new(kind: Kind, subject: Subject, detail: impl Into<String>) -> Self {
        Self { kind, subject, detail: detail.into(), mend: None }
    }

    pub(super) fn mended_by(self, mend: Mend) -> Self {
        Self { mend: Some(mend), ..self }
    }

    /// Whether both say the same of the same, though perhaps with other figures.
    #[must_use]
    pub fn is_same(&self, other: &Self) -> bool {
        self.kind == other.kind && self.subject == other.subject
    }
}

/// How much was looked at.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, serde::Serialize)]
pub struct Checked {
    /// Products compared in both stores.
    pub products: u64,
    /// Lanes compared in both stores.
    pub lanes: u64,
    /// Entries of job streams.
    pub entries: u64,
    /// Rounds in MySQL.
    pub rounds: u64,
    /// Outcomes of people.
    pub people: u64,
}

/// What was found.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Report {
    /// The first [`FINDINGS_MAX`] findings.
    pub findings: Vec<Finding>,
    /// How many of each kind there were beyond those.
    pub more: BTreeMap<Kind, u64>,
    /// How much was looked at.
    pub checked: Checked,
    /// Products of which Redis knows more than MySQL while the log does not move, so that nobody can tell.
    pub unjudged: u64,
}

impl Report {
    /// Whether nothing is wrong.
    #[must_use]
    pub fn is_ok(&self) -> bool {
        self.findings.is_empty()
    }

    /// Keeps a finding, once.
    pub(super) fn add(&mut self, finding: Finding) {
        if self.findings.len() >= FINDINGS_MAX {
            *self.more.entry(finding.kind).or_default() += 1;
        } else if !self.findings.iter().any(|known| known.is_same(&finding)) {
            self.findings.push(finding);
        }
    }

    pub(super) fn extend(&mut self, findings: impl IntoIterator<Item = Finding>) {
        findings.into_iter().for_each(|finding| self.add(finding));
    }

    /// The kinds found, for whoever expects some.
    #[must_use]
    pub fn kinds(&self) -> Vec<Kind> {
        let mut kinds: Vec<Kind> = self.findings.iter().map(|finding| finding.kind).collect();
        kinds.sort_unstable();
        kinds.dedup();
        kinds
    }
}
