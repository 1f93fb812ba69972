//! `restock-cli verify`: both stores against each other and against the invariants, and repairs.

use std::collections::BTreeMap;

use indicatif::ProgressBar;
use serde::Serialize;

use super::{
    Context,
    exit::Exit,
    output::{self, Output, Record},
};
use crate::{
    ids::{Channel, ProductId, ProductRef, Round},
    mysql::action::Deed,
    verify::{Checked, Finding, Patience, Report, Scope, Verifier},
};

/// How often what was mended is looked at again: a repair can bring to light what stood behind it.
const PASSES_MAX: usize = 3;

/// Options of `verify`.
#[derive(Debug, clap::Args)]
#[command(after_help = "Exits 6 when something is wrong.")]
pub struct Args {
    /// 42, or sku:85123A; everything without it
    product: Option<ProductRef>,
    /// Mend what can be mended without a risk to anybody
    #[arg(long)]
    repair: bool,
    /// With --repair: only say what would be done
    #[arg(long, requires = "repair")]
    dry_run: bool,
    /// As --output json
    #[arg(long)]
    json: bool,
    /// How long anything may wait before it counts as wrong; by default 10 s for the log, 30 s for requests, 60 s for
    /// silent workers
    #[arg(long, value_name = "MS", value_parser = clap::value_parser!(u64).range(..=86_400_000))]
    patience_ms: Option<u64>,
    /// The largest --window of your workers: the smaller, the more exact is the check of the order
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=5_000))]
    window: Option<u32>,
}

#[derive(Debug, Clone, Serialize)]
struct Row {
    kind: &'static str,
    subject: String,
    product: Option<ProductId>,
    round: Option<Round>,
    channel: Option<Channel>,
    detail: String,
    advice: &'static str,
    /// What `--repair` does about it.
    repair: Option<String>,
}

impl From<&Finding> for Row {
    fn from(finding: &Finding) -> Self {
        Self {
            kind: finding.kind.as_str(),
            subject: finding.subject.to_string(),
            product: finding.subject.product(),
            round: finding.subject.round(),
            channel: finding.subject.channel().cloned(),
            detail: finding.detail.clone(),
            advice: finding.kind.advice(),
            repair: finding.mend.as_ref().map(ToString::to_string),
        }
    }
}

impl Record for Row {
    const HEADINGS: &'static [&'static str] = &["KIND", "SUBJECT", "WHAT IS WRONG", "WHAT TO DO"];

    fn cells(&self) -> Vec<String> {
        let to_do = match &self.repair {
            Some(repair) => format!("--repair: {repair}"),
            None => self.advice.to_owned(),
        };
        vec![self.kind.to_owned(), self.subject.clone(), self.detail.clone(), to_do]
    }
}

#[derive(Debug, Serialize)]
struct Document {
    ok: bool,
    findings: Vec<Row>,
    /// How many more there are of each kind.
    more: BTreeMap<&'static str, u64>,
    /// What was mended.
    repaired: Vec<Row>,
    unjudged: u64,
    checked: Checked,
}

pub(super) async fn run(context: &Context, args: Args) -> anyhow::Result<Exit> {
    let stores = context.stores().await?;
    let scope = match &args.product {
        Some(product) => Scope::Product(context.product(&stores.mysql, product).await?.id),
        None => Scope::All,
    };
    let bar = bar();
    let mut verifier = Verifier::new(stores).bar(bar.clone());
    if let Some(ms) = args.patience_ms {
        verifier = verifier.patience(Patience::of(ms));
    }
    if let Some(window) = args.window {
        verifier = verifier.window_max(window as usize);
    }
    let mut report = verifier.run(scope).await?;
    let mut repaired = Vec::new();
    if args.repair && !args.dry_run && report.findings.iter().any(|finding| finding.mend.is_some()) {
        let deed = match scope {
            Scope::All => Deed::of_all("verify --repair"),
            Scope::Product(product) => Deed::of_product("verify --repair", product),
        };
        let work = async {
            (report, repaired) = repair(&verifier, scope, std::mem::take(&mut report)).await?;
            Ok(format!("mended {}, left {}{}", repaired.len(), report.findings.len(), kinds(&repaired)))
        };
        context.act(&verifier.stores().mysql, &deed, work).await?;
    }
    bar.finish_and_clear();
    let output = if args.json { Output::Json } else { context.output };
    print(output, &report, &repaired, args.dry_run)?;
    Ok(if report.is_ok() { Exit::Done } else { Exit::Findings })
}

/// Mends what can be, and looks again, until nothing more can be: what is left, and what is not there any more.
async fn repair(verifier: &Verifier, scope: Scope, first: Report) -> anyhow::Result<(Report, Vec<Finding>)> {
    let (mut report, mut repaired) = (first, Vec::new());
    for _ in 0..PASSES_MAX {
        let mut tried = Vec::new();
        for finding in &report.findings {
            let Some(mend) = &finding.mend else { continue };
            let changed = verifier.mend(mend).await?;
            tracing::info!(kind = %finding.kind, subject = %finding.subject, %mend, changed, "repair");
            tried.push(finding.clone());
        }
        if tried.is_empty() {
            break;
        }
        let after = verifier.run_again(scope, &report).await?;
        let is_gone = |finding: &Finding| !after.findings.iter().any(|left| left.is_same(finding));
        let (gone, left): (Vec<Finding>, Vec<Finding>) = tried.into_iter().partition(is_gone);
        repaired.extend(gone);
        let is_progress = after.findings.iter().any(|finding| !left.iter().any(|before| before.is_same(finding)));
        report = after;
        if !is_progress {
            break;
        }
    }
    Ok((report, repaired))
}

fn kinds(findings: &[Finding]) -> String {
    let mut kinds: Vec<&str> = findings.iter().map(|finding| finding.kind.as_str()).collect();
    kinds.sort_unstable();
    kinds.dedup();
    if kinds.is_empty() { String::new() } else { format!(": {}", kinds.join(", ")) }
}

fn print(output: Output, report: &Report, repaired: &[Finding], dry_run: bool) -> anyhow::Result<()> {
    let rows: Vec<Row> = report.findings.iter().map(Row::from).collect();
    if output == Output::Json {
        return output::json(&Document {
            ok: report.is_ok(),
            findings: rows,
            more: report.more.iter().map(|(kind, count)| (kind.as_str(), *count)).collect(),
            repaired: repaired.iter().map(Row::from).collect(),
            unjudged: report.unjudged,
            checked: report.checked,
        });
    }
    let Checked { products, lanes, entries, rounds, people } = report.checked;
    for finding in repaired {
        output::note(&format!("mended: {}: {}", finding.subject, finding.kind));
    }
    if !rows.is_empty() {
        output::records(output, &rows)?;
    }
    for (kind, count) in &report.more {
        output::note(&format!("and {count} more of {kind}"));
    }
    if dry_run {
        let count = rows.iter().filter(|row| row.repair.is_some()).count();
        output::note(&format!("without --dry-run, {count} of {} findings would be mended", rows.len()));
    }
    let looked = format!(
        "looked at {products} products, {lanes} lanes and {entries} entries in Redis, {rounds} rounds and {people} \
         outcomes in MySQL"
    );
    output::note(&if report.is_ok() {
        format!("all is well: {looked}")
    } else {
        format!("{} findings: {looked}", rows.len())
    });
    Ok(())
}

fn bar() -> ProgressBar {
    output::styled(ProgressBar::new(0), "checking {msg} {wide_bar} {human_pos}/{human_len} rounds {eta}")
}
