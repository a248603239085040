//! Rounds of steps, and the least of them that fails.

use crate::deeds::{Step, Urn, draw};
use crate::people::PEOPLE;
use crate::play::{Play, Violation};
use crate::seeds;
use crate::world::{Memories, Plan, World};

/// Most times that a failure is played again to cut it down.
const REPLAYS: usize = 200;

/// What is played.
#[derive(Debug, Clone)]
pub(crate) struct Round {
    plan: Plan,
    steps: usize,
    images: usize,
    silences: bool,
    memories: Memories,
    times: u64,
}

/// A failure, cut down.
#[derive(Debug)]
pub(crate) struct Failure {
    pub(crate) steps: Vec<Step>,
    pub(crate) violation: Violation,
}

impl Round {
    pub(crate) const fn on(plan: Plan, steps: usize) -> Self {
        Self { plan, steps, images: 0, silences: false, memories: Memories::Usual, times: 3 }
    }

    /// The same with images in the stores from the beginning.
    pub(crate) fn with_images(self, images: usize) -> Self {
        Self { images, ..self }
    }

    pub(crate) fn with_silences(self) -> Self {
        Self { silences: true, ..self }
    }

    pub(crate) fn with_memories(self, memories: Memories) -> Self {
        Self { memories, ..self }
    }

    pub(crate) fn times(self, times: u64) -> Self {
        Self { times, ..self }
    }

    /// How many steps there are in all.
    pub(crate) const fn total(&self) -> u64 {
        self.steps as u64 * self.times
    }

    /// With how many of its seeds it fails.
    pub(crate) async fn failures(&self) -> u64 {
        let mut failures = 0;
        for seed in 1..=self.times {
            let steps = draw(seed, self.steps, self.urn().await);
            failures += u64::from(self.play(seed, &steps).await.is_err());
        }
        failures
    }

    /// Plays the steps of a seed. Tells how many answers were checked, and a failure, after how many steps it came.
    async fn play(&self, seed: u64, steps: &[Step]) -> Result<usize, (usize, Violation)> {
        let world = World::of(&self.plan, self.memories).await;
        let images = seeds::sow(&world, seed, self.images).await;
        let mut play = Play::new(world, images);
        // Once all is known that can be remembered.
        if self.silences {
            let everything = crate::deeds::Scope { visibility: Some("all"), ..Default::default() };
            for hidden in [false, true] {
                let scope = crate::deeds::Scope { hidden, ..everything.clone() };
                play.walk(PEOPLE[3], &scope, 50, false, "").await.map_err(|violation| (0, violation))?;
            }
        }
        for (number, step) in steps.iter().enumerate() {
            play.take(step).await.map_err(|violation| (number + 1, violation))?;
        }
        Ok(play.checks)
    }

    async fn urn(&self) -> Urn {
        let world = World::of(&self.plan, self.memories).await;
        let images = seeds::sow(&world, 0, self.images).await.len();
        let (stores, names) = (world.stores.len(), world.names.len().max(1));
        Urn { images, stores, names, silences: self.silences }
    }

    /// Plays the steps of a seed, and cuts a failure down.
    pub(crate) async fn find(&self, seed: u64) -> Result<(), Failure> {
        let mut steps = draw(seed, self.steps, self.urn().await);
        let (failed, mut violation) = match self.play(seed, &steps).await {
            Ok(checks) => {
                assert!(
                    checks * 3 > steps.len() * 2,
                    "only {checks} answers to {} were checked",
                    steps.len()
                );
                return Ok(());
            }
            Err(failure) => failure,
        };
        steps.truncate(failed);
        let mut replays = 0;
        let mut size = (steps.len() / 2).max(1);
        loop {
            let mut at = 0;
            while at < steps.len() && replays < REPLAYS {
                let mut fewer = steps.clone();
                fewer.drain(at..(at + size).min(steps.len()));
                replays += 1;
                match self.play(seed, &fewer).await {
                    Err((failed, other)) => {
                        fewer.truncate(failed);
                        (steps, violation) = (fewer, other);
                    }
                    Ok(_) => at += size,
                }
            }
            if size == 1 || replays >= REPLAYS {
                return Err(Failure { steps, violation });
            }
            size /= 2;
        }
    }
}

fn number(variable: &str) -> Option<u64> {
    std::env::var(variable).ok()?.parse().ok()
}

/// Plays a round with several seeds.
#[track_caller]
pub(crate) fn check(round: &Round) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let first = number("PORTICO_TENANCY_SEED").unwrap_or(1);
    let times = round.times * number("PORTICO_TENANCY_ROUNDS").unwrap_or(1);
    for seed in first..first + times {
        if let Err(Failure { steps, violation }) = runtime.block_on(round.find(seed)) {
            let told: Vec<String> = steps
                .iter()
                .map(|step| format!("  {} to image {}: {:?}", PEOPLE[step.who].token, step.image, step.deed))
                .collect();
            panic!("{violation}\nseed {seed} of {round:?}, cut down to\n{}", told.join("\n"));
        }
    }
}
