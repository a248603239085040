//! What a page of a list must be, whatever the state of the backends.

use std::time::{Duration, Instant};

use image_service::SourceState;

use crate::door::Answer;
use crate::fault::Listed;
use crate::upstream::Where;
use crate::world::{Entry, FAULTY, World};

/// How long it may take until a backend that is well is found to be well. Until then it is asked for again and again:
/// one that hangs at times has a short deadline, which a busy machine can make it miss at other times too, and a
/// breaker must not ask again at once.
const RECOVERY: Duration = Duration::from_secs(20);

/// A page that has been checked.
#[derive(Debug)]
pub(crate) struct Checked {
    pub(crate) ids: Vec<String>,
    pub(crate) next: Option<String>,
    /// How the misbehaving backend fared.
    pub(crate) state: SourceState,
}

impl World {
    /// Checks a page of at most `limit` images behind the image `after`: the backends that never misbehave are all
    /// there, and the page is the beginning of what those that answered hold behind it, in order. If it promises no
    /// more, it is all of that.
    pub(crate) fn check(&self, answer: &Answer, after: Option<&str>, limit: usize) -> Checked {
        let case = self.case;
        assert_eq!(answer.status, 200, "{case}: {answer:?}");
        let states = answer.states();
        let names: Vec<&str> = states.iter().map(|(name, _)| name.as_str()).collect();
        assert_eq!(names, self.members, "{case}");
        for (name, state) in &states {
            assert!(name == FAULTY || *state == SourceState::Ok, "{case}: {name} is {state}");
        }
        let state = states[case.position].1;
        let ids = answer.ids();
        // Of a backend that falls silent in the middle of a page, what it gave before may be there.
        let may_be_there = |entry: &Entry| {
            entry.member != FAULTY
                || state == SourceState::Ok
                || (!self.is_meant_absent() && ids.iter().any(|id| id == entry.id()))
        };
        let expected: Vec<&str> = self.behind(after).filter(|it| may_be_there(it)).map(Entry::id).collect();
        assert!(ids.len() <= limit, "{case}");
        assert!(expected.starts_with(&refs(&ids)), "{case}: {ids:?} does not begin {expected:?}");
        let next = answer.json()["next"].as_str().map(str::to_owned);
        assert!(next.is_none() || !ids.is_empty(), "{case}: an empty page that promises more");
        assert!(next.is_some() || ids.len() == expected.len(), "{case}: ends early before {expected:?}");
        Checked { ids, next, state }
    }

    /// The images behind this one, or all.
    fn behind(&self, after: Option<&str>) -> impl Iterator<Item = &Entry> {
        let place = after.map_or(0, |after| 1 + self.place_of(after));
        self.catalogue[place..].iter()
    }

    /// Where an image stands among all.
    pub(crate) fn place_of(&self, id: &str) -> usize {
        self.catalogue.iter().position(|entry| entry.id() == id).unwrap()
    }

    /// Checks that a whole walk met every image of the others once, and in order.
    pub(crate) fn check_walk(&self, walked: &[String]) {
        let case = self.case;
        assert!(walked.is_sorted_by_key(|id| self.place_of(id)), "{case}: {walked:?}");
        let twice = walked.windows(2).find(|pair| pair[0] == pair[1]);
        assert_eq!(twice, None, "{case}");
        for entry in self.catalogue.iter().filter(|entry| entry.member != FAULTY) {
            assert!(walked.iter().any(|id| id == entry.id()), "{case}: {entry:?} is missing");
        }
    }

    /// Asks for a page and checks it. While all is well, until all is found to be well.
    pub(crate) async fn page(&self, path: &str, after: Option<&str>, limit: usize) -> Checked {
        let start = Instant::now();
        loop {
            let answer = self.door.get(path).await;
            let page = self.check(&answer, after, limit);
            if !self.lists_well() || page.state == SourceState::Ok {
                return page;
            }
            assert!(start.elapsed() < RECOVERY, "{}: is never found to be well again", self.case);
        }
    }

    /// Asks, while all is well, until nobody is silent.
    pub(crate) async fn get(&self, path: &str) -> Answer {
        assert_eq!(self.mood, None);
        let start = Instant::now();
        loop {
            let answer = self.door.get(path).await;
            if answer.status != 503 && answer.states().iter().all(|(_, state)| *state == SourceState::Ok) {
                return answer;
            }
            assert!(start.elapsed() < RECOVERY, "{}: is never found to be well again", self.case);
        }
    }

    /// Whether the misbehaving backend can give nothing at all.
    fn is_meant_absent(&self) -> bool {
        !self.lists_well() && matches!(self.case.fault.listed(), Listed::Absent(_))
    }

    fn lists_well(&self) -> bool {
        self.mood.is_none_or(|(_, place)| place == Where::InData)
    }

    /// All images are listed, once the federation has noticed that its backend is well. Nothing was learned as gone.
    pub(crate) async fn check_nothing_is_lost(&self) {
        assert!(self.lists_well());
        assert_eq!(
            self.page("/v2/images?limit=100", None, 100).await.state,
            SourceState::Ok,
            "{}",
            self.case
        );
    }
}

fn refs(ids: &[String]) -> Vec<&str> {
    ids.iter().map(String::as_str).collect()
}
