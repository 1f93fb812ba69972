//! Every kind of thing that can be wrong, with what a person does about it.

use std::fmt;

/// What is wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Kind {
    /// Entries of the log that MySQL does not get.
    LogUnflushed,
    /// The log is not the one that MySQL followed, or one of them was set back.
    LogReplaced,
    /// Requests that are held because MySQL was set back.
    RequestsHeld,
    /// Redis was told of other channels than the settings name.
    ChannelsDiffer,
    /// A stream with work and without the workers' group.
    GroupMissing,
    /// A consumer whose process is gone.
    ConsumerDead,
    /// An entry that names no product.
    EntryUnreadable,
    /// An entry that no lane points at.
    EntryOrphaned,
    /// A pending entry that its stream does not hold.
    PendingOrphaned,
    /// An entry that was acknowledged by hand: nobody is ever given it again.
    EntryUnclaimable,
    /// A product whose fields in Redis cannot be read.
    ProductUnreadable,
    /// Redis holds a product that MySQL does not have.
    ProductUnknown,
    /// Redis holds lanes of a product and not the product.
    ProductAbsent,
    /// Redis' state of a product is older than MySQL's.
    ProductBehind,
    /// The same version of a product, and not the same content.
    ProductDiffers,
    /// A change of a product that MySQL lacks although the log is flushed.
    ProductUnrecorded,
    /// A lane whose fields cannot be read.
    LaneUnreadable,
    /// An open round of MySQL whose lane Redis does not hold.
    LaneAbsent,
    /// Redis' state of a lane is older than MySQL's.
    LaneBehind,
    /// The same version of a lane, and not the same content.
    LaneDiffers,
    /// A change of a lane that MySQL lacks although the log is flushed.
    LaneUnrecorded,
    /// An open lane that no entry stands for.
    LaneWithoutEntry,
    /// A lane whose owner fell silent and that nobody takes over.
    LaneStuck,
    /// A lane that stands still while its product does not, or the other way round.
    LanePauseDiffers,
    /// An open lane of a channel that is not enabled.
    LaneDisabled,
    /// An open round of MySQL that its lane has left behind.
    RoundForgotten,
    /// A round that was given out and has no row.
    RoundMissing,
    /// From, cursor and upto of a round are not in this order.
    RoundBounds,
    /// A round that does not start where the one before it stopped.
    ChainBroken,
    /// People who were active throughout and have no outcome.
    PersonLost,
    /// People with two outcomes in one round.
    PersonRepeated,
    /// Outcomes outside of what the round has passed.
    OutcomeStray,
    /// Outcomes of a round that has no row.
    OutcomeWithoutRound,
    /// Somebody was told although a person too far ahead of them was not settled.
    OrderBroken,
    /// The counts of a round are not those of its outcomes.
    CountDiffers,
    /// The last user of a round is not who stands at its cursor.
    LastUserDiffers,
    /// A round that has ended and whose people were never counted.
    TotalMissing,
    /// Requests of the outbox that nobody relays.
    RequestStuck,
    /// Rows that MySQL refused.
    RowRefused,
}

impl Kind {
    /// Its name in JSON.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::LogUnflushed => "log_unflushed",
            Self::LogReplaced => "log_replaced",
            Self::RequestsHeld => "requests_held",
            Self::ChannelsDiffer => "channels_differ",
            Self::GroupMissing => "group_missing",
            Self::ConsumerDead => "consumer_dead",
            Self::EntryUnreadable => "entry_unreadable",
            Self::EntryOrphaned => "entry_orphaned",
            Self::PendingOrphaned => "pending_orphaned",
            Self::EntryUnclaimable => "entry_unclaimable",
            Self::ProductUnreadable => "product_unreadable",
            Self::ProductUnknown => "product_unknown",
            Self::ProductAbsent => "product_absent",
            Self::ProductBehind => "product_behind",
            Self::ProductDiffers => "product_differs",
            Self::ProductUnrecorded => "product_unrecorded",
            Self::LaneUnreadable => "lane_unreadable",
            Self::LaneAbsent => "lane_absent",
            Self::LaneBehind => "lane_behind",
            Self::LaneDiffers => "lane_differs",
            Self::LaneUnrecorded => "lane_unrecorded",
            Self::LaneWithoutEntry => "lane_without_entry",
            Self::LaneStuck => "lane_stuck",
            Self::LanePauseDiffers => "lane_pause_differs",
            Self::LaneDisabled => "lane_disabled",
            Self::RoundForgotten => "round_forgotten",
            Self::RoundMissing => "round_missing",
            Self::RoundBounds => "round_bounds",
            Self::ChainBroken => "chain_broken",
            Self::PersonLost => "person_lost",
            Self::PersonRepeated => "person_repeated",
            Self::OutcomeStray => "outcome_stray",
            Self::OutcomeWithoutRound => "outcome_without_round",
            Self::OrderBroken => "order_broken",
            Self::CountDiffers => "count_differs",
            Self::LastUserDiffers => "last_user_differs",
            Self::TotalMissing => "total_missing",
            Self::RequestStuck => "request_stuck",
            Self::RowRefused => "row_refused",
        }
    }

    /// What a person does about it, where `--repair` cannot.
    #[must_use]
    pub fn advice(self) -> &'static str {
        match self {
            Self::LogUnflushed | Self::RequestStuck => "start restock-flusher, or see its log for what MySQL refuses",
            Self::LogReplaced => "start restock-flusher: it finds out which of the two is newer and goes on from there",
            Self::RequestsHeld => {
                "run `restock-cli verify --repair`: requests that Redis knows go on, older ones are refused"
            }
            Self::ChannelsDiffer | Self::LaneDisabled | Self::ProductBehind | Self::LaneBehind | Self::LaneAbsent => {
                "start restock-flusher, which mends it within 10 s, or run `restock-cli verify --repair`"
            }
            Self::GroupMissing => "start restock-worker, which creates it, or run `restock-cli verify --repair`",
            Self::ConsumerDead => {
                "start restock-worker: it takes over what is pending; then `restock-cli verify --repair`"
            }
            Self::EntryUnreadable | Self::EntryOrphaned | Self::PendingOrphaned | Self::EntryUnclaimable => {
                "run `restock-cli verify --repair`; do not acknowledge or delete entries by hand"
            }
            Self::ProductUnreadable => {
                "`restock-cli stock set P N` writes its stock anew; for another field delete its key in Redis and run \
                 `restock-cli verify --repair`: MySQL rebuilds it"
            }
            Self::ProductUnknown => "add the product again with `restock-cli product add`, or delete its keys in Redis",
            Self::ProductAbsent | Self::LaneWithoutEntry | Self::LanePauseDiffers => {
                "run `restock-cli verify --repair`"
            }
            Self::ProductDiffers | Self::LaneDiffers => {
                "somebody changed a row or a key by hand: find out which of the two is right, `--repair` mends what the \
                 outcomes decide"
            }
            Self::ProductUnrecorded | Self::LaneUnrecorded => {
                "a row was deleted by hand or refused: see `row_refused`, then run `restock-cli verify --repair`"
            }
            Self::LaneUnreadable => {
                "delete the lane's key in Redis and run `restock-cli verify --repair`: MySQL rebuilds it"
            }
            Self::LaneStuck => "start restock-worker, or see the log of the ones that run",
            Self::RoundForgotten => {
                "see `restock-cli history P --round R`; end its row by hand once you know what became of it"
            }
            Self::RoundMissing => "MySQL lost rows: restore them from a backup, or accept that this round is not known",
            Self::RoundBounds | Self::ChainBroken | Self::CountDiffers | Self::LastUserDiffers => {
                "somebody changed a row by hand, or MySQL was set back: compare with a backup"
            }
            Self::PersonLost => {
                "tell them by hand: they are in `restock-cli history`'s gaps, see the first one named here"
            }
            Self::PersonRepeated => "somebody was moved in line while the round ran: rows were changed by hand",
            Self::OutcomeStray => "the next round may tell them again: set the cursor back to what the outcomes say",
            Self::OutcomeWithoutRound => {
                "a `history prune` did not finish: run it again; else restore the round's row from a backup"
            }
            Self::OrderBroken => "see which worker told them: its clock, its version and its --window",
            Self::TotalMissing => {
                "run `restock-cli verify --repair`: it is counted now, without who unsubscribed since"
            }
            Self::RowRefused => "see `restock-cli dead list` for the reason, mend that, then `restock-cli dead replay`",
        }
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}
