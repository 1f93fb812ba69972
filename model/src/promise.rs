//! Promises that are broken by something that happens; those of a state are in `search.rs`.

use crate::{
    round::{Status, at, between, bit},
    state::State,
};

pub(crate) const NUMBERS: &str = "a number is given to one round only";
pub(crate) const ONCE: &str = "a request counts once";
pub(crate) const SOLD_OUT: &str = "nobody is started after a sold-out that an authorisation had to see";
pub(crate) const ENDED: &str = "nobody is started in a round that has ended";
pub(crate) const ORDER: &str = "first attempts start in line order";
pub(crate) const REPEATS: &str = "repeats stay within one window a crash";
pub(crate) const GO_ON: &str = "a round goes on where the one before was cut off";
pub(crate) const UPTO: &str = "the end of a round stands once it is begun";
pub(crate) const FORWARD: &str = "MySQL never goes back";

impl State {
    /// An attempt for a person starts.
    pub(crate) fn send(&mut self, round: u8, place: u8, life: u8) {
        let (from, _) = self.truth.span[at(round)];
        let told = self.truth.sent[at(round)];
        if told & bit(place) != 0 {
            match self.truth.slack.checked_sub(1) {
                Some(slack) => self.truth.slack = slack,
                None => self.breaks(REPEATS),
            }
        } else if between(from, place - 1) & !(told | self.truth.inherited[at(round)]) != 0 {
            self.breaks(ORDER);
        }
        self.truth.sent[at(round)] |= bit(place);
        let current = self.redis.lane.filter(|lane| lane.row.round == round);
        if life == self.truth.life && !current.is_some_and(|lane| lane.row.status.is_open()) {
            self.breaks(ENDED);
        }
        let before = self.mysql.rounds[..at(round)].iter().flatten().rfind(|row| row.status != Status::Superseded);
        let (_, upto) = self.truth.span[at(round)];
        if before.is_some_and(|row| row.status.is_cut() && place <= row.cursor && row.cursor < upto) {
            self.breaks(GO_ON);
        }
    }

    /// So many people may be told again, because of what just happened.
    pub(crate) fn excuse(&mut self, people: u8) {
        self.truth.slack = self.truth.slack.saturating_add(people);
    }
}
