//! A breaker opens for failures and slowness alone, lets one probe through at a time, and always another in time.

use proptest::prelude::*;

use super::*;

const SECOND: Duration = Duration::from_secs(1);

fn rules() -> Rules {
    Rules {
        failures: 5,
        slow_percent: 50,
        slow_least: 10,
        slow_window: 30 * SECOND,
        pause: SECOND,
        longest_pause: 10 * SECOND,
        lease: 2 * SECOND,
    }
}

fn call(breaker: &mut Breaker, now: Instant, finding: Finding) -> bool {
    let Some(pass) = breaker.admit(now) else { return false };
    breaker.settle(now, pass, finding, 1.0);
    true
}

/// A breaker that opened `now`, for a pause of one second.
fn opened(now: Instant) -> Breaker {
    let mut breaker = Breaker::new(rules());
    (0..5).for_each(|_| assert!(call(&mut breaker, now, Finding::Failed)));
    assert_eq!(breaker.phase(), Phase::Open { until: now + SECOND });
    breaker
}

#[test]
fn failures_in_a_row_open_it_and_an_answer_in_between_does_not_let_them() {
    let now = Instant::now();
    let mut breaker = Breaker::new(rules());
    for _ in 0..20 {
        (0..4).for_each(|_| assert!(call(&mut breaker, now, Finding::Failed)));
        assert!(call(&mut breaker, now, Finding::Good));
    }
    assert_eq!(breaker.phase(), Phase::Closed);
    assert!(!call(&mut opened(now), now, Finding::Good));
}

#[test]
fn half_of_the_calls_slow_open_it_once_there_are_enough() {
    let now = Instant::now();
    let mut breaker = Breaker::new(rules());
    for _ in 0..4 {
        call(&mut breaker, now, Finding::Good);
        call(&mut breaker, now, Finding::Slow);
    }
    call(&mut breaker, now, Finding::Good);
    assert_eq!(breaker.phase(), Phase::Closed);
    call(&mut breaker, now, Finding::Slow);
    assert_ne!(breaker.phase(), Phase::Closed);
}

#[test]
fn slow_calls_of_long_ago_count_no_more() {
    let mut now = Instant::now();
    let mut breaker = Breaker::new(rules());
    (0..9).for_each(|_| assert!(call(&mut breaker, now, Finding::Slow)));
    now += 31 * SECOND;
    (0..9).for_each(|_| assert!(call(&mut breaker, now, Finding::Slow)));
    assert_eq!(breaker.phase(), Phase::Closed);
}

#[test]
fn a_good_probe_closes_it_and_everything_starts_anew() {
    let now = Instant::now() + SECOND;
    let mut breaker = opened(now - SECOND);
    assert!(call(&mut breaker, now, Finding::Good));
    assert_eq!(breaker.phase(), Phase::Closed);
    (0..4).for_each(|_| assert!(call(&mut breaker, now, Finding::Failed)));
    assert_eq!(breaker.phase(), Phase::Closed);
}

#[test]
fn each_bad_probe_doubles_the_pause_up_to_the_bound_and_a_good_one_resets_it() {
    let mut now = Instant::now();
    let mut breaker = opened(now);
    now += SECOND;
    for pause in [2, 4, 8, 10, 10] {
        assert!(call(&mut breaker, now, Finding::Failed));
        assert_eq!(breaker.phase(), Phase::Open { until: now + pause * SECOND });
        assert!(breaker.admit(now + pause * SECOND - Duration::from_millis(1)).is_none());
        now += pause * SECOND;
    }
    assert!(call(&mut breaker, now, Finding::Good));
    (0..5).for_each(|_| assert!(call(&mut breaker, now, Finding::Failed)));
    assert_eq!(breaker.phase(), Phase::Open { until: now + SECOND });
}

#[test]
fn the_time_that_a_probe_hangs_is_part_of_the_pause() {
    let now = Instant::now();
    let mut breaker = opened(now);
    let probe = breaker.admit(now + SECOND).unwrap();
    breaker.settle(now + 2 * SECOND, probe, Finding::Late, 1.0);
    assert_eq!(breaker.phase(), Phase::Open { until: now + 3 * SECOND });
}

#[test]
fn one_probe_is_under_way_at_a_time_and_one_that_comes_to_nothing_makes_room() {
    let now = Instant::now() + SECOND;
    let mut breaker = opened(now - SECOND);
    let probe = breaker.admit(now).unwrap();
    assert_eq!(breaker.admit(now), None);
    breaker.withdraw(now, probe);
    assert!(breaker.admit(now).is_some());
}

#[test]
fn a_probe_that_takes_longer_than_its_lease_holds_up_no_other_and_still_closes() {
    let now = Instant::now() + SECOND;
    let mut breaker = opened(now - SECOND);
    let upload = breaker.admit(now).unwrap();
    let later = now + 3 * SECOND;
    let other = breaker.admit(later).unwrap();
    breaker.settle(later, upload, Finding::Failed, 1.0);
    assert_eq!(breaker.phase(), Phase::Probing { since: later });
    breaker.settle(later, upload, Finding::Good, 1.0);
    assert_eq!(breaker.phase(), Phase::Closed);
    breaker.settle(later, other, Finding::Failed, 1.0);
    assert_eq!(breaker.phase(), Phase::Closed);
}

#[test]
fn what_began_before_it_opened_says_nothing_about_it_afterwards() {
    let now = Instant::now();
    let mut breaker = Breaker::new(rules());
    let early = breaker.admit(now).unwrap();
    (0..5).for_each(|_| assert!(call(&mut breaker, now, Finding::Failed)));
    let open = breaker.phase();
    breaker.settle(now, early, Finding::Good, 1.0);
    breaker.withdraw(now, early);
    assert_eq!(breaker.phase(), open);
}

#[test]
fn a_slow_probe_leaves_it_open() {
    let now = Instant::now() + SECOND;
    let mut breaker = opened(now - SECOND);
    assert!(call(&mut breaker, now, Finding::Slow));
    assert!(matches!(breaker.phase(), Phase::Open { .. }));
}

/// What may happen next.
#[derive(Debug, Clone)]
enum Step {
    Wait(u64),
    Begin,
    /// Ends one of the calls under way, as `None` by withdrawing it.
    End(usize, Option<Finding>, f64),
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let finding = prop_oneof![
        1 => Just(None),
        2 => Just(Some(Finding::Good)),
        1 => Just(Some(Finding::Slow)),
        4 => Just(Some(Finding::Failed)),
        4 => Just(Some(Finding::Late)),
    ];
    let step = prop_oneof![
        1 => (0_u64..4000).prop_map(Step::Wait),
        3 => Just(Step::Begin),
        3 => (any::<usize>(), finding, 0.0..1.0).prop_map(|(which, finding, chance)| Step::End(which, finding, chance)),
    ];
    proptest::collection::vec(step, 0..200)
}

proptest! {
    #[test]
    fn whatever_happens_one_probe_is_under_way_at_most_and_the_next_comes_within_the_longest_pause(
        steps in steps(),
    ) {
        let mut now = Instant::now();
        let mut breaker = Breaker::new(rules());
        let mut under_way: Vec<(Pass, Instant)> = Vec::new();
        for step in steps {
            match step {
                Step::Wait(millis) => now += Duration::from_millis(millis),
                Step::Begin => {
                    let was = breaker.phase();
                    let allowed = breaker.would_admit(now);
                    let pass = breaker.admit(now);
                    prop_assert_eq!(pass.is_some(), allowed);
                    if let Some(pass) = pass {
                        prop_assert_eq!(pass.probe.is_none(), was == Phase::Closed);
                        let rival = under_way.iter().any(|(other, since)| {
                            other.probe.is_some() && other.spell == pass.spell && now - *since <= rules().lease
                        });
                        prop_assert!(pass.probe.is_none() || !rival, "two probes at once");
                        under_way.push((pass, now));
                    }
                }
                Step::End(which, finding, chance) if !under_way.is_empty() => {
                    let (pass, _) = under_way.remove(which % under_way.len());
                    match finding {
                        Some(finding) => breaker.settle(now, pass, finding, chance),
                        None => breaker.withdraw(now, pass),
                    }
                }
                Step::End(..) => {}
            }
            if let Phase::Open { until } = breaker.phase() {
                prop_assert!(until <= now + rules().longest_pause);
            }
            prop_assert!(breaker.would_admit(now + rules().longest_pause));
        }
    }

    #[test]
    fn it_is_open_after_some_calls_just_when_the_rules_say_so(
        findings in proptest::collection::vec(
            prop_oneof![
                3 => Just(Finding::Good),
                1 => Just(Finding::Slow),
                2 => Just(Finding::Failed),
                1 => Just(Finding::Late),
            ],
            0..60,
        ),
    ) {
        let now = Instant::now();
        let mut breaker = Breaker::new(rules());
        for (number, finding) in findings.iter().enumerate() {
            prop_assert!(call(&mut breaker, now, *finding));
            let seen = &findings[..=number];
            let row = seen.iter().rev().take_while(|finding| finding.is_failure()).count();
            let slow = seen.iter().filter(|finding| finding.is_slow()).count();
            let share = seen.len() >= 10 && slow * 2 >= seen.len() && finding.is_slow();
            let open = breaker.phase() != Phase::Closed;
            prop_assert_eq!(open, row >= 5 || share);
            if open {
                break;
            }
        }
    }
}
