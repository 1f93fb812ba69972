//! What the exit codes mean, for the manual. A test compares this with the contract's table.

use super::Exit;

impl Exit {
    /// All codes, in ascending order.
    pub const ALL: [Self; 11] = [
        Self::Done,
        Self::Failure,
        Self::Usage,
        Self::NotFound,
        Self::Conflict,
        Self::Unreachable,
        Self::Findings,
        Self::SoldOut,
        Self::Error,
        Self::Admin,
        Self::Superseded,
    ];

    /// What it says, in the words of the contract.
    #[must_use]
    pub fn meaning(self) -> &'static str {
        match self {
            Self::Done => "done; with `--wait`, every lane completed",
            Self::Failure => "failed for a reason that has no code of its own",
            Self::Usage => {
                "usage: it makes no sense, as a negative stock or a bad CSV (nothing was imported unless `--skip-bad`)"
            }
            Self::NotFound => "no such product, round or user",
            Self::Conflict => {
                "conflict: nothing to resume or cancel, no stock to announce or resume for, a key used with another \
                 quantity, a stock below zero, or above 1,000,000,000,000, the most that a product can have"
            }
            Self::Unreachable => "Redis or MySQL does not answer (before 3)",
            Self::Findings => "`verify` or `doctor` found something",
            Self::SoldOut => "with `--wait`: the stock ran out",
            Self::Error => "with `--wait`: the channel could not go on",
            Self::Admin => "with `--wait`: somebody ended the round",
            Self::Superseded => "with `--wait`: a newer round overtook it",
        }
    }

    /// Whether only commands that wait end with it.
    #[must_use]
    pub fn is_of_waiting(self) -> bool {
        matches!(self, Self::SoldOut | Self::Error | Self::Admin | Self::Superseded)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_contract_lists_these_codes_in_these_words() {
        let contract = include_str!("../../../docs/contract.md");
        let rows: Vec<&str> = contract
            .lines()
            .skip_while(|line| !line.starts_with("| exit code |"))
            .skip(2)
            .take_while(|line| line.starts_with('|'))
            .collect();
        let expected = Exit::ALL.map(|exit| format!("| {} | {} |", exit as u8, exit.meaning()));
        assert_eq!(rows, expected);
    }
}
