//! The arithmetic of the load tool: who comes when, percentiles, what the system says of a process, and the plots.
//! Here, for the tool is a program of its own, whose harness runs no tests.

use std::time::Duration;

use crate::tool::{
    Arrivals, Mix,
    chart::{Chart, Line, step},
    plan::{Visit, arrivals},
    program::{Usage, parent, ticks},
    run::come,
    tally::{Errors, Summary, Times},
};

const MINUTE: Duration = Duration::from_secs(60);

#[test]
fn people_who_know_nothing_of_each_other_come_in_gaps_of_every_length() {
    let planned = arrivals(Arrivals::Poisson, 100.0, MINUTE, Mix::USUAL, 7);
    // 6,000 are awaited; the deviation is 77.
    assert!((5_600..6_400).contains(&planned.len()), "{}", planned.len());
    assert!(planned.is_sorted_by_key(|(at, _)| *at) && planned.last().unwrap().0 < MINUTE);
    let gaps: Vec<f64> = planned.windows(2).map(|pair| (pair[1].0 - pair[0].0).as_secs_f64()).collect();
    let mean = gaps.iter().sum::<f64>() / gaps.len() as f64;
    let deviation = (gaps.iter().map(|gap| (gap - mean).powi(2)).sum::<f64>() / gaps.len() as f64).sqrt();
    assert!(
        (deviation / mean - 1.0).abs() < 0.1,
        "an exponential distribution deviates by its mean: {deviation} {mean}"
    );
    assert_eq!(planned, arrivals(Arrivals::Poisson, 100.0, MINUTE, Mix::USUAL, 7), "the same people again");
    assert_ne!(planned, arrivals(Arrivals::Poisson, 100.0, MINUTE, Mix::USUAL, 8));
}

#[test]
fn like_a_clock() {
    let planned = arrivals(Arrivals::Even, 50.0, Duration::from_secs(2), Mix::only(Visit::Page), 0);
    assert_eq!(planned.len(), 99, "at 20, 40, ... 1980 ms");
    assert!((planned[49].0.as_secs_f64() - 1.0).abs() < 1e-9);
}

#[test]
fn a_mix_is_kept() {
    let planned = arrivals(Arrivals::Even, 1_000.0, MINUTE, Mix::USUAL, 3);
    for (visit, awaited) in Visit::ALL.into_iter().zip([0.90, 0.06, 0.04]) {
        let share = planned.iter().filter(|(_, is)| *is == visit).count() as f64 / planned.len() as f64;
        assert!((share - awaited).abs() < 0.005, "{visit:?}: {share}");
    }
    for visit in Visit::ALL {
        let alone = arrivals(Arrivals::Even, 100.0, MINUTE, Mix::only(visit), 3);
        assert!(alone.iter().all(|(_, is)| *is == visit));
    }
    assert_eq!("90,6,4".parse(), Ok(Mix::USUAL));
    for no_mix in ["", "1", "1,2", "1,2,3,4", "0,0,0", "a,b,c", "-1,2,3"] {
        assert!(no_mix.parse::<Mix>().is_err(), "{no_mix}");
    }
}

/// A shop that serves nobody for half a second, and then everybody at once. Who politely waited until the first was served
/// would have seen one long time.
#[test]
fn whoever_comes_to_a_shop_that_stalls_is_counted_from_when_they_were_to_come() {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    let planned = arrivals(Arrivals::Even, 100.0, Duration::from_secs(1), Mix::only(Visit::Page), 0);
    let opens = tokio::time::Instant::now() + Duration::from_millis(500);
    let mut come = come(runtime.handle(), &planned, |_| async move {
        tokio::time::sleep_until(opens).await;
        Ok(())
    });
    assert_eq!(come.errors, Errors::default());
    let waited = come.waited.remove(&Visit::Page).and_then(Times::summary).unwrap();
    // The first waits for 490 ms, the next for 480, and half of them not at all.
    assert_eq!(waited.count, 99);
    assert!(waited.max_ms >= 480.0 && waited.p90_ms >= 380.0, "{waited:?}");
    assert_eq!(come.late.count(), 99, "each set out");
    assert!(come.took >= planned.last().unwrap().0);
}

#[test]
fn a_visit_that_fails_is_an_error_and_no_time() {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
    let planned = arrivals(Arrivals::Even, 1_000.0, Duration::from_millis(50), Mix::only(Visit::Checkout), 0);
    let come = come(runtime.handle(), &planned, |_| async { Err("complete: 503".to_owned()) });
    assert_eq!((come.errors.said().as_str(), come.waited.len()), ("49 complete: 503", 0));
}

fn waited(times_ms: impl IntoIterator<Item = u64>) -> Option<Summary> {
    let mut times = Times::default();
    times_ms.into_iter().for_each(|time| times.add(Duration::from_millis(time)));
    times.summary()
}

#[test]
fn a_percentile_is_a_time_that_somebody_waited() {
    let summary = |count, p50_ms, p90_ms, p99_ms, max_ms| Some(Summary { count, p50_ms, p90_ms, p99_ms, max_ms });
    assert_eq!(waited([]), None);
    assert_eq!(waited([7]), summary(1, 7.0, 7.0, 7.0, 7.0));
    assert_eq!(waited([3, 1]), summary(2, 1.0, 3.0, 3.0, 3.0));
    assert_eq!(waited((1..=100).rev()), summary(100, 50.0, 90.0, 99.0, 100.0));
    assert_eq!(waited(1..=1_000), summary(1_000, 500.0, 900.0, 990.0, 1_000.0));
    // One of a hundred does not move the 99th percentile; two do.
    assert_eq!(waited([vec![1; 99], vec![500]].concat()), summary(100, 1.0, 1.0, 1.0, 500.0));
    assert_eq!(waited([vec![1; 98], vec![500; 2]].concat()), summary(100, 1.0, 1.0, 500.0, 500.0));
}

#[test]
fn errors_are_counted_by_name() {
    let mut errors = Errors::default();
    assert_eq!(errors.said(), "none");
    for name in ["page: 503", "page: timeout", "page: 503"] {
        errors.add(name);
    }
    assert_eq!(errors.said(), "2 page: 503, 1 page: timeout");
}

#[test]
fn the_time_of_a_process_is_read_past_its_name() {
    let stat = "4711 (a (b) c) S 12 4711 4711 0 -1 4194304 900 0 0 0 151 49 7 3 20 0 9 0 100 200 300\n";
    assert_eq!((ticks(stat, 0), ticks(stat, 1), parent(stat)), (200, 210, Some(12)));
    assert_eq!((ticks("", 1), parent("")), (0, None));
    let own = Usage::of(std::process::id());
    assert!(own.resident_mb > 1.0, "{own:?}");
}

#[test]
fn steps_are_round() {
    for (least, round) in [(0.9, 1.0), (1.0, 1.0), (1.1, 2.0), (31.0, 50.0), (62.5, 100.0), (500.0, 500.0)] {
        assert_eq!(step(least), round);
    }
}

#[test]
fn a_chart_has_its_axes_and_a_legend_and_stays_within_its_frame() {
    let line = |name: &str, dashed, points: &[(f64, f64)]| Line { name: name.into(), dashed, points: points.to_vec() };
    let lines = vec![line("a & b", false, &[(0.0, 0.2), (800.0, 4_000.0)]), line("c", true, &[(100.0, 1.0)])];
    let chart = Chart { title: "Latency".into(), across: "visits".into(), up: "ms".into(), lines };
    let svg = chart.svg();
    for part in [">Latency<", ">visits<", ">ms<", ">a &amp; b<", ">c<", ">0.1<", ">10000<", ">800<", "stroke-dasharray"]
    {
        assert!(svg.contains(part), "{part}: {svg}");
    }
    let attribute = |name: &str| -> Vec<f64> {
        svg.split(&format!(" {name}=\"")).skip(1).map(|rest| rest.split('"').next().unwrap().parse().unwrap()).collect()
    };
    assert!(attribute("cx").iter().all(|x| (70.0..=630.0).contains(x)));
    assert!(attribute("cy").iter().all(|y| (40.0..=400.0).contains(y)));
}
