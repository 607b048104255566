//! What every implementation of a seam must keep, as suites that its author runs.
#![allow(
    clippy::panic,
    clippy::expect_used,
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "a suite says what is wrong by failing"
)]

use std::{collections::HashSet, future::Future, sync::Arc};

use serde::{Deserialize, Serialize};
use tokio::task::JoinSet;

use crate::{
    store::{
        BoxError, Expect, KEYS_MAX, Key, Persisted, Prefix, Record, SCAN_MAX, Store, StoreError, Stored, Version, Write,
    },
    testing::faulty::{Fault, Faulty},
    time::UnixTime,
};

/// Checks that a store keeps the rules of [`Store`]. `make` gives an empty store each time it is called; the suite runs
/// in a tokio runtime, best in one of several threads.
///
/// ```
/// # use firsthand::{store::Memory, testing::store_conformance};
/// # tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(async {
/// store_conformance(async || Memory::new()).await;
/// # });
/// ```
///
/// # Panics
/// At the first rule that is broken, with its name.
pub async fn store_conformance<S: Store>(make: impl AsyncFn() -> S) {
    loads_what_was_put(&make().await).await;
    every_expectation_of_every_write(&make().await).await;
    all_or_nothing(&make().await).await;
    expiry_follows_the_time_it_is_told(&make().await).await;
    versions_are_never_used_twice(&make().await).await;
    scans_in_the_order_of_bytes(&make().await).await;
    scans_by_pages(&make().await).await;
    sweeps_what_expired(&make().await).await;
    refuses_what_is_too_large(&make().await).await;
    refuses_bad_names_and_bodies(&make().await).await;
    reads_the_schema_before(&make().await).await;
    an_unknown_commit_is_resolved(make().await).await;
    races_for_an_absent_key(Arc::new(make().await)).await;
    races_for_a_version(Arc::new(make().await)).await;
    races_in_opposite_order(Arc::new(make().await)).await;
    no_write_skew(Arc::new(make().await)).await;
    no_torn_read(Arc::new(make().await)).await;
}

const NOW: UnixTime = UnixTime::from_secs(1_790_000_000);
/// How many tasks race.
const TASKS: u64 = 64;

async fn loads_what_was_put(store: &impl Store) {
    const RULE: &str = "load gives what was put, in the order of the keys";
    let bodies = [
        "null",
        "{}",
        r#"{"b":1,"a":[true,null,-7,18446744073709551615,-9223372036854775808,1.5]}"#,
        r#"{"text":"é 😀 \u0001 \u001f \\u0000 \" ' % $1 ?1"}"#,
        r#" [ 1 , 2 ] "#,
    ];
    let key = |n: usize| Key::new("note", format!("p{n}"), format!("s{n}"));
    let writes: Vec<Write> = (0..bodies.len())
        .map(|n| {
            let expires_at = (n % 2 == 0).then(|| UnixTime::from_secs(i64::MAX));
            let schema = if n == 0 { u16::MAX } else { 1 };
            Write::put(key(n), Record { schema, body: bodies[n].into(), expires_at }, Expect::Absent)
        })
        .collect();
    let versions = commit(store, RULE, &writes).await;
    assert!(versions.iter().all(Option::is_some), "{RULE}: a put has a version");
    assert_eq!(versions.iter().collect::<HashSet<_>>().len(), bodies.len(), "{RULE}: versions differ");

    let keys: Vec<Key> = [4, 2, 9, 0, 1, 3, 2].map(key).into();
    let loaded = store.load(&keys, NOW).await.expect(RULE);
    assert_eq!(loaded.len(), keys.len(), "{RULE}");
    for (n, found) in [4, 2, 9, 0, 1, 3, 2].into_iter().zip(loaded) {
        let Some(Write::Put { record, .. }) = writes.get(n) else {
            assert_eq!(found, None, "{RULE}: nothing was put here");
            continue;
        };
        let found = found.expect(RULE);
        assert_eq!(Some(found.version), versions[n], "{RULE}: the version that the commit told");
        assert_eq!(value(&found.record.body), value(&record.body), "{RULE}: the same JSON value");
        assert_eq!((found.record.schema, found.record.expires_at), (record.schema, record.expires_at), "{RULE}");
    }

    // The three parts of a key do not run together.
    for other in [Key::new("not", "ep1", "s1"), Key::new("note", "p1s", "1"), Key::new("note", "p1", "S1")] {
        assert_eq!(load(store, RULE, &other).await, None, "{RULE}: {other:?} was never put");
    }
    assert!(store.load(&[], NOW).await.expect(RULE).is_empty(), "{RULE}: no keys, no records");
    assert!(commit(store, RULE, &[]).await.is_empty(), "{RULE}: no writes, no versions");
}

/// The whole table: what was there, what is expected, what is written.
async fn every_expectation_of_every_write(store: &impl Store) {
    const RULE: &str = "a write happens exactly if its expectation holds, and expired is absent";
    #[derive(Clone, Copy, Debug, PartialEq)]
    enum There {
        Nothing,
        Live,
        Expired,
    }
    #[derive(Clone, Copy, Debug)]
    enum Asked {
        Any,
        Absent,
        Its,
        Another,
        Never,
    }
    let mut n = 0;
    for there in [There::Nothing, There::Live, There::Expired] {
        for asked in [Asked::Any, Asked::Absent, Asked::Its, Asked::Another, Asked::Never] {
            for operation in ["put", "delete", "check"] {
                n += 1;
                let case = format!("{RULE}: {operation} with {asked:?} where there is {there:?}");
                let key = Key::new("note", "table", n.to_string());
                let expires_at = (there == There::Expired).then(|| NOW.minus_s(1));
                let before = Record { schema: 1, body: "1".into(), expires_at };
                let mut its = Version(u64::MAX);
                if there != There::Nothing {
                    let put = Write::put(key.clone(), before, Expect::Absent);
                    its = store.commit(&[put], NOW.minus_s(9)).await.expect(&case)[0].expect(&case);
                }
                let expect = match asked {
                    Asked::Any => Expect::Any,
                    Asked::Absent => Expect::Absent,
                    Asked::Its => Expect::Version(its),
                    Asked::Another => Expect::Version(Version(its.0.wrapping_add(1))),
                    Asked::Never => Expect::Version(Version(0)),
                };
                let write = match operation {
                    "put" => Write::put(key.clone(), note(2), expect),
                    "delete" => Write::delete(key.clone(), expect),
                    _ => Write::check(key.clone(), expect),
                };
                let holds = match asked {
                    Asked::Any => true,
                    Asked::Absent => there != There::Live,
                    Asked::Its => there == There::Live,
                    Asked::Another | Asked::Never => false,
                };
                match store.commit(&[write], NOW).await {
                    Ok(versions) => {
                        assert!(holds, "{case}: was done");
                        assert_eq!(versions.len(), 1, "{case}");
                        assert_eq!(versions[0].is_some(), operation == "put", "{case}: only a put has a version");
                    }
                    Err(StoreError::Conflict(at)) => assert!(!holds && at == key, "{case}: a conflict at {at:?}"),
                    Err(e) => panic!("{case}: {e:?}"),
                }
                let after = load(store, RULE, &key).await.map(|stored| value(&stored.record.body));
                let expected = match operation {
                    "put" if holds => Some(value("2")),
                    "delete" if holds => None,
                    _ => (there == There::Live).then(|| value("1")),
                };
                assert_eq!(after, expected, "{case}: what is there after it");
            }
        }
    }
}

async fn all_or_nothing(store: &impl Store) {
    const RULE: &str = "a commit does all of its writes or none, over keys and partitions";
    let key = |n: u64| Key::new("note", format!("p{}", n % 5), format!("s{n}"));
    commit(store, RULE, &[Write::put(key(50), note(1), Expect::Any), Write::put(key(51), note(1), Expect::Any)]).await;
    for bad in [0, 20, 39] {
        let mut writes: Vec<Write> = (0..40).map(|n| Write::put(key(n), note(2), Expect::Absent)).collect();
        writes.push(Write::put(key(50), note(2), Expect::Any));
        writes.push(Write::delete(key(51), Expect::Any));
        writes[bad] = Write::check(key(bad as u64), Expect::Version(Version(1)));
        let refused = store.commit(&writes, NOW).await;
        let Err(StoreError::Conflict(at)) = refused else { panic!("{RULE}: {refused:?}") };
        assert_eq!(at, key(bad as u64), "{RULE}: the conflict names its key");
        for n in 0..40 {
            assert_eq!(load(store, RULE, &key(n)).await, None, "{RULE}: nothing was written");
        }
        for n in [50, 51] {
            let left = load(store, RULE, &key(n)).await.expect(RULE);
            assert_eq!(value(&left.record.body), value("1"), "{RULE}: nothing was changed");
        }
    }
    // The first of two conflicts is named.
    let both = [Write::check(key(50), Expect::Absent), Write::check(key(1), Expect::Version(Version(1)))];
    let Err(StoreError::Conflict(at)) = store.commit(&both, NOW).await else { panic!("{RULE}: no conflict") };
    assert_eq!(at, key(50), "{RULE}: the first conflict is named");

    let writes: Vec<Write> = (0..40).map(|n| Write::put(key(n), note(2), Expect::Absent)).collect();
    commit(store, RULE, &writes).await;
    for n in 0..40 {
        assert!(load(store, RULE, &key(n)).await.is_some(), "{RULE}: everything was written");
    }
}

async fn expiry_follows_the_time_it_is_told(store: &impl Store) {
    const RULE: &str = "a record is absent from its expiry on, by the time that is passed and no other";
    let key = Key::new("note", "p", "s");
    let at = NOW.plus_s(100);
    let record = Record { expires_at: Some(at), ..note(1) };
    let version = commit(store, RULE, &[Write::put(key.clone(), record, Expect::Absent)]).await[0].expect(RULE);
    let prefix = Prefix { kind: "note", partition: "p".into(), sort: String::new() };
    // Forth and back: nothing but the operation's own time counts.
    for (now, live) in [(NOW, true), (at.minus_s(1), true), (at, false), (at.plus_s(1), false), (NOW, true)] {
        let loaded = store.load(std::slice::from_ref(&key), now).await.expect(RULE);
        assert_eq!(loaded[0].is_some(), live, "{RULE}: load at {now}");
        assert_eq!(store.scan(&prefix, None, 10, now).await.expect(RULE).len(), usize::from(live), "{RULE}: scan");
        let its = store.commit(&[Write::check(key.clone(), Expect::Version(version))], now).await;
        assert_eq!(its.is_ok(), live, "{RULE}: check of the version at {now}");
        let absent = store.commit(&[Write::check(key.clone(), Expect::Absent)], now).await;
        assert_eq!(absent.is_err(), live, "{RULE}: check of absence at {now}");
    }
    // A delete takes what expired with it, so a time that goes back does not bring it back.
    store.commit(&[Write::delete(key.clone(), Expect::Absent)], at).await.expect(RULE);
    assert_eq!(load(store, RULE, &key).await, None, "{RULE}: deleted when expired is deleted");

    // Written when it has expired already: absent, and no obstacle.
    let stale = Record { expires_at: Some(NOW), ..note(1) };
    for _ in 0..2 {
        commit(store, RULE, &[Write::put(key.clone(), stale.clone(), Expect::Absent)]).await;
        assert_eq!(load(store, RULE, &key).await, None, "{RULE}: expired when it was written");
    }
    // A new expiry replaces the old one, and none is for ever.
    commit(store, RULE, &[Write::put(key.clone(), note(2), Expect::Absent)]).await;
    let end = UnixTime::from_secs(i64::MAX);
    assert!(store.load(&[key], end).await.expect(RULE)[0].is_some(), "{RULE}: no expiry is for ever");
}

async fn versions_are_never_used_twice(store: &impl Store) {
    const RULE: &str = "a version is never used twice: not after a delete, an expiry, a sweep, nor for another key";
    let key = Key::new("note", "p", "s");
    let mut seen = HashSet::new();
    for round in 0..8 {
        let expires_at = (round % 4 == 2).then(|| NOW.plus_s(1));
        let put = Write::put(key.clone(), Record { expires_at, ..note(1) }, Expect::Absent);
        let other = Write::put(Key::new("note", "q", round.to_string()), note(1), Expect::Absent);
        for version in commit(store, RULE, &[put, other]).await {
            assert!(seen.insert(version.expect(RULE)), "{RULE}: {version:?} came again");
        }
        let live = load(store, RULE, &key).await.expect(RULE).version;
        for old in seen.iter().filter(|old| **old != live) {
            let stale = store.commit(&[Write::put(key.clone(), note(9), Expect::Version(*old))], NOW).await;
            assert!(matches!(stale, Err(StoreError::Conflict(_))), "{RULE}: {old:?} matched another record");
        }
        if expires_at.is_some() {
            assert_eq!(store.sweep(NOW.plus_s(1), 10).await.expect(RULE), 1, "{RULE}: the expired one is swept");
        } else {
            commit(store, RULE, &[Write::delete(key.clone(), Expect::Version(live))]).await;
        }
    }
    // The same body again is another version too.
    let first = commit(store, RULE, &[Write::put(key.clone(), note(1), Expect::Any)]).await[0];
    let second = commit(store, RULE, &[Write::put(key, note(1), Expect::Any)]).await[0];
    assert_ne!(first, second, "{RULE}: writing the same again");
}

/// Sort texts that a language, a pattern or a number would put elsewhere, in the order of their bytes.
const SORTS: [&str; 26] = [
    "", "\u{1}", " ", "!", "\"", "%", "%%", "'", "10", "2", "A", "B", "\\", "_", "a", "a\u{1}", "a b", "a%", "a_",
    "ab", "b", "\u{7f}", "é", "\u{d7ff}", "\u{ffff}", "😀",
];

async fn scans_in_the_order_of_bytes(store: &impl Store) {
    const RULE: &str = "a scan gives what begins with the prefix, in the order of bytes";
    for chunk in SORTS.iter().rev().collect::<Vec<_>>().chunks(KEYS_MAX) {
        let writes: Vec<_> =
            chunk.iter().map(|sort| Write::put(Key::new("note", "p", **sort), note(1), Expect::Absent)).collect();
        commit(store, RULE, &writes).await;
    }
    // Neighbours in the other parts of the key, which no scan may show.
    let neighbours = [Key::new("note", "p2", "a"), Key::new("note", "", "a"), Key::new("notes", "p", "a")];
    let writes: Vec<_> = neighbours.into_iter().map(|key| Write::put(key, note(2), Expect::Absent)).collect();
    commit(store, RULE, &writes).await;

    for sort in SORTS.into_iter().chain(["aa", "%a", "\u{10ffff}", "zz"]) {
        let prefix = Prefix { kind: "note", partition: "p".into(), sort: sort.into() };
        let found = store.scan(&prefix, None, 100, NOW).await.expect(RULE);
        let expected: Vec<_> = SORTS.into_iter().filter(|text| text.starts_with(sort)).collect();
        let keys: Vec<_> = found.iter().map(|(key, _)| key.sort.as_str()).collect();
        assert_eq!(keys, expected, "{RULE}: the prefix {sort:?}");
        for (key, stored) in &found {
            assert_eq!((key.kind, key.partition.as_str()), ("note", "p"), "{RULE}: the whole key");
            assert_eq!(load(store, RULE, key).await.as_ref(), Some(stored), "{RULE}: as load gives it");
        }
        for after in SORTS {
            let found = store.scan(&prefix, Some(after), 100, NOW).await.expect(RULE);
            let keys: Vec<_> = found.iter().map(|(key, _)| key.sort.as_str()).collect();
            let expected: Vec<_> = expected.iter().copied().filter(|text| *text > after).collect();
            assert_eq!(keys, expected, "{RULE}: the prefix {sort:?} after {after:?}");
        }
    }
}

async fn scans_by_pages(store: &impl Store) {
    const RULE: &str = "a scan goes on after the last sort text, page by page, over what has expired";
    for from in (0..200).step_by(KEYS_MAX) {
        let put = |n: u64| {
            let expires_at = n.is_multiple_of(3).then_some(NOW);
            Write::put(Key::new("note", "p", format!("{n:04}")), Record { expires_at, ..note(n) }, Expect::Absent)
        };
        let writes: Vec<_> = (from..200.min(from + KEYS_MAX as u64)).map(put).collect();
        commit(store, RULE, &writes).await;
    }
    let expected: Vec<_> = (0..200).filter(|n| n % 3 != 0).map(|n| format!("{n:04}")).collect();
    let prefix = Prefix { kind: "note", partition: "p".into(), sort: String::new() };
    for limit in [1, 7, 133, 134, SCAN_MAX] {
        let mut seen: Vec<String> = Vec::new();
        loop {
            let page = store.scan(&prefix, seen.last().map(String::as_str), limit, NOW).await.expect(RULE);
            assert!(page.len() <= limit, "{RULE}: {} on a page of {limit}", page.len());
            if page.is_empty() {
                break;
            }
            assert!(page.len() == limit || seen.len() + page.len() == expected.len(), "{RULE}: a page is full");
            seen.extend(page.into_iter().map(|(key, _)| key.sort));
        }
        assert_eq!(seen, expected, "{RULE}: pages of {limit}");
    }
    assert!(store.scan(&prefix, None, 0, NOW).await.expect(RULE).is_empty(), "{RULE}: none asked, none given");
}

async fn sweeps_what_expired(store: &impl Store) {
    const RULE: &str = "sweep removes up to its limit of what has expired, and nothing else";
    let key = |n: u64| Key::new("note", format!("p{}", n % 3), n.to_string());
    let writes: Vec<_> = (0..30)
        .map(|n| {
            let expires_at = (n < 20).then(|| NOW.plus_s(n));
            Write::put(key(n), Record { expires_at, ..note(n) }, Expect::Absent)
        })
        .collect();
    store.commit(&writes, NOW.minus_s(1)).await.expect(RULE);
    let at = NOW.plus_s(9);
    assert_eq!(store.sweep(NOW.minus_s(1), 100).await.expect(RULE), 0, "{RULE}: nothing has expired yet");
    assert_eq!(store.sweep(at, 0).await.expect(RULE), 0, "{RULE}: a limit of none");
    assert_eq!(store.sweep(at, 4).await.expect(RULE), 4, "{RULE}: its limit");
    // One of them is renewed before it is swept; whichever were swept, it is not among what is left to sweep.
    store.commit(&[Write::put(key(0), note(0), Expect::Absent)], at).await.expect(RULE);
    let rest = store.sweep(at, usize::MAX).await.expect(RULE);
    assert!(rest == 5 || rest == 6, "{RULE}: the rest of ten, without the renewed one; it swept {rest}");
    assert_eq!(store.sweep(at, 100).await.expect(RULE), 0, "{RULE}: nothing is left");
    // The time goes back: what was swept is gone, the others are there.
    let there: Vec<u64> = {
        let loaded = store.load(&(0..30).map(key).collect::<Vec<_>>(), NOW.minus_s(1)).await.expect(RULE);
        loaded.into_iter().zip(0..).filter_map(|(found, n)| found.map(|_| n)).collect()
    };
    let expected: Vec<u64> = std::iter::once(0).chain(10..30).collect();
    assert_eq!(there, expected, "{RULE}: what is left");
}

async fn refuses_what_is_too_large(store: &impl Store) {
    const RULE: &str = "what is larger than its limit is refused, what is as large is not";
    let part = |bytes: usize| "é".repeat(bytes / 2) + &"x".repeat(bytes % 2);
    let most = Key::PART_BYTES_MAX;
    let kind = "abcdefghijklmnopqrstuvwxyz_abcde";
    assert_eq!(kind.len(), Key::KIND_BYTES_MAX);

    let largest = Key::new(kind, part(most), part(most));
    let text = |bytes: usize| format!("\"{}\"", "x".repeat(bytes - 2));
    let body = |bytes: usize| Record { schema: 1, body: text(bytes), expires_at: None };
    commit(store, RULE, &[Write::put(largest.clone(), body(Record::BYTES_MAX), Expect::Absent)]).await;
    assert_eq!(load(store, RULE, &largest).await.expect(RULE).record.body.len(), Record::BYTES_MAX, "{RULE}");
    let prefix = |sort: String| Prefix { kind, partition: part(most), sort };
    assert_eq!(store.scan(&prefix(part(most)), None, SCAN_MAX, NOW).await.expect(RULE).len(), 1, "{RULE}");
    let after = store.scan(&prefix(String::new()), Some(&part(most)), SCAN_MAX, NOW).await;
    assert!(after.expect(RULE).is_empty(), "{RULE}: after the longest sort text");

    let keys: Vec<Key> = (0..=KEYS_MAX).map(|n| Key::new("note", "p", n.to_string())).collect();
    let writes: Vec<Write> = keys.iter().map(|key| Write::put(key.clone(), note(1), Expect::Any)).collect();
    assert_eq!(store.load(&keys[1..], NOW).await.expect(RULE).len(), KEYS_MAX, "{RULE}: {KEYS_MAX} keys");
    refused(RULE, store.load(&keys, NOW).await);
    refused(RULE, store.commit(&writes, NOW).await);
    assert_eq!(load(store, RULE, &keys[0]).await, None, "{RULE}: refused is not written");
    commit(store, RULE, &writes[1..]).await;
    refused(RULE, store.scan(&prefix(String::new()), None, SCAN_MAX + 1, NOW).await);

    let too_large = Write::put(Key::new("note", "p", "large"), body(Record::BYTES_MAX + 1), Expect::Any);
    let fits = Write::put(Key::new("note", "p", "small"), note(1), Expect::Any);
    refused(RULE, store.commit(&[fits, too_large], NOW).await);
    assert_eq!(load(store, RULE, &Key::new("note", "p", "small")).await, None, "{RULE}: refused is not written");
    for key in [Key::new(kind, part(most + 1), ""), Key::new(kind, "", part(most + 1))] {
        refused_everywhere(RULE, store, key).await;
    }
    refused(RULE, store.scan(&prefix(String::new()), Some(&part(most + 1)), 1, NOW).await);
}

async fn refuses_bad_names_and_bodies(store: &impl Store) {
    const RULE: &str = "a bad name, a body that is not JSON, NUL, and a key named twice are refused";
    for kind in ["", "Note", "note1", "note ", "nöte", "note-book", "note.x", "abcdefghijklmnopqrstuvwxyzabcdefg"] {
        refused_everywhere(RULE, store, Key::new(kind, "p", "s")).await;
    }
    for key in [Key::new("note", "p\0", ""), Key::new("note", "p", "\0s")] {
        refused_everywhere(RULE, store, key).await;
    }
    let prefix = Prefix { kind: "note", partition: "p".into(), sort: String::new() };
    refused(RULE, store.scan(&prefix, Some("\0"), 1, NOW).await);

    let key = Key::new("note", "p", "s");
    let bodies = ["", " ", "{", "{}{}", "{'a':1}", "nul", "\"\t\"", r#""\u0000""#, r#"{"\u0000":1}"#, r#""\ud800""#];
    for body in bodies {
        let record = Record { schema: 1, body: body.into(), expires_at: None };
        refused(RULE, store.commit(&[Write::put(key.clone(), record, Expect::Any)], NOW).await);
    }
    for second in [
        Write::put(key.clone(), note(2), Expect::Any),
        Write::delete(key.clone(), Expect::Any),
        Write::check(key.clone(), Expect::Any),
    ] {
        refused(RULE, store.commit(&[Write::put(key.clone(), note(1), Expect::Any), second], NOW).await);
    }
    assert_eq!(load(store, RULE, &key).await, None, "{RULE}: refused is not written");
}

async fn reads_the_schema_before(store: &impl Store) {
    const RULE: &str = "a program reads the records of the one before it, and not those of the one after the next";
    /// What a former program kept.
    #[derive(Serialize, Deserialize)]
    struct OldVisit {
        at: i64,
    }
    impl Persisted for OldVisit {
        const KIND: &'static str = "visit";
        const SCHEMA: u16 = 1;
    }
    #[derive(Serialize, Deserialize)]
    struct OldTally {
        count: u64,
    }
    impl Persisted for OldTally {
        const KIND: &'static str = "tally";
        const SCHEMA: u16 = 6;
    }
    /// What this program keeps.
    #[derive(Serialize, Deserialize, Debug, PartialEq)]
    struct Visit {
        times: Vec<i64>,
    }
    impl Persisted for Visit {
        const KIND: &'static str = "visit";
        const SCHEMA: u16 = 2;
        fn upgrade(previous: serde_json::Value) -> Result<Self, BoxError> {
            let old: OldVisit = serde_json::from_value(previous)?;
            Ok(Self { times: vec![old.at] })
        }
    }
    #[derive(Serialize, Deserialize, Debug, PartialEq)]
    struct Tally {
        count: u64,
        unit: String,
    }
    impl Persisted for Tally {
        const KIND: &'static str = "tally";
        const SCHEMA: u16 = 7;
        fn upgrade(previous: serde_json::Value) -> Result<Self, BoxError> {
            let old: OldTally = serde_json::from_value(previous)?;
            Ok(Self { count: old.count, unit: "each".into() })
        }
    }

    let (visit, tally) = (Key::new("visit", "p", ""), Key::new("tally", "p", ""));
    let old = [
        Write::put(visit.clone(), Record::of(&OldVisit { at: 7 }, None).expect(RULE), Expect::Absent),
        Write::put(tally.clone(), Record::of(&OldTally { count: 3 }, None).expect(RULE), Expect::Absent),
    ];
    commit(store, RULE, &old).await;

    let (old_visit, old_tally) =
        (load(store, RULE, &visit).await.expect(RULE), load(store, RULE, &tally).await.expect(RULE));
    let mut new_visit: Visit = old_visit.read().expect(RULE);
    let new_tally: Tally = old_tally.read().expect(RULE);
    assert_eq!(new_visit, Visit { times: vec![7] }, "{RULE}");
    assert_eq!(new_tally, Tally { count: 3, unit: "each".into() }, "{RULE}");

    new_visit.times.push(8);
    let new = [
        Write::put(visit.clone(), Record::of(&new_visit, None).expect(RULE), Expect::Version(old_visit.version)),
        Write::put(tally.clone(), Record::of(&new_tally, None).expect(RULE), Expect::Version(old_tally.version)),
    ];
    commit(store, RULE, &new).await;
    let (visit, tally) = (load(store, RULE, &visit).await.expect(RULE), load(store, RULE, &tally).await.expect(RULE));
    assert_eq!((visit.record.schema, tally.record.schema), (2, 7), "{RULE}: rewritten in the new schema");
    assert_eq!(visit.read::<Visit>().expect(RULE), new_visit, "{RULE}");
    assert_eq!(tally.read::<Tally>().expect(RULE), new_tally, "{RULE}");
    // The former program says which schema it met, rather than misread it.
    assert!(
        matches!(visit.read::<OldVisit>(), Err(StoreError::Schema { kind: "visit", found: 2, current: 1 })),
        "{RULE}"
    );
    assert!(
        matches!(tally.read::<OldTally>(), Err(StoreError::Schema { kind: "tally", found: 7, current: 6 })),
        "{RULE}"
    );
}

/// How a caller goes on after [`StoreError::Unknown`]: the record holds the id of the operation that wrote it last.
async fn an_unknown_commit_is_resolved(store: impl Store) {
    const RULE: &str = "a commit that may have happened is told by the operation id in its record, and happens once";
    let store = Faulty::new(store);
    let key = Key::new("tally", "p", "");

    /// Adds one, exactly once, however often the commit's fate is unknown.
    async fn add_one(store: &impl Store, key: &Key, operation: &str) -> Result<u64, StoreError> {
        loop {
            let found = store.load(std::slice::from_ref(key), NOW).await?.pop().flatten();
            let (count, last) = found.as_ref().map_or((0, String::new()), |stored| {
                let body = value(&stored.record.body);
                (body["count"].as_u64().unwrap_or_default(), body["operation"].as_str().unwrap_or_default().to_owned())
            });
            if last == operation {
                return Ok(count);
            }
            let expect = found.map_or(Expect::Absent, |stored| Expect::Version(stored.version));
            let body = serde_json::json!({ "count": count + 1, "operation": operation }).to_string();
            let record = Record { schema: 1, body, expires_at: None };
            match store.commit(&[Write::put(key.clone(), record, expect)], NOW).await {
                Ok(_) => return Ok(count + 1),
                // Whether it was done shows in the record; if not, the version read still stands for the next try.
                Err(StoreError::Unknown(_) | StoreError::Conflict(_)) => {}
                Err(e) => return Err(e),
            }
        }
    }

    for (n, fault) in [None, Some(Fault::Done), Some(Fault::Lost), Some(Fault::Done), None].into_iter().enumerate() {
        if let Some(fault) = fault {
            store.fail(1, fault);
        }
        let count = add_one(&store, &key, &format!("operation {n}")).await.expect(RULE);
        assert_eq!(count, n as u64 + 1, "{RULE}: {fault:?}");
    }
    store.fail(1, Fault::Refused);
    let refused = add_one(&store, &key, "operation 5").await;
    assert!(matches!(refused, Err(StoreError::Unavailable(_))), "{RULE}: known not to have happened");
    let left = load(store.inner(), RULE, &key).await.expect(RULE);
    assert_eq!(value(&left.record.body)["count"], 5, "{RULE}: each operation once");
}

async fn races_for_an_absent_key(store: Arc<impl Store>) {
    const RULE: &str = "of many that put an absent key, one wins";
    for expired in [false, true] {
        let key = Key::new("note", "race", expired.to_string());
        if expired {
            let stale = Record { expires_at: Some(NOW), ..note(0) };
            commit(&*store, RULE, &[Write::put(key.clone(), stale, Expect::Absent)]).await;
        }
        let winners = race(&store, TASKS, |store, n| {
            let key = key.clone();
            async move { won(RULE, store.commit(&[Write::put(key, note(n), Expect::Absent)], NOW).await) }
        })
        .await;
        assert_eq!(winners.len(), 1, "{RULE}: the winners are {winners:?}");
        let left = load(&*store, RULE, &key).await.expect(RULE);
        assert_eq!(value(&left.record.body), winners[0], "{RULE}: the winner's record is there");
    }
}

async fn races_for_a_version(store: Arc<impl Store>) {
    const RULE: &str = "of many that write the same version, one wins, and no write is lost";
    let key = Key::new("tally", "race", "");
    let read = commit(&*store, RULE, &[Write::put(key.clone(), note(0), Expect::Absent)]).await[0].expect(RULE);
    let winners = race(&store, TASKS, |store, n| {
        let key = key.clone();
        async move {
            let write = if n % 2 == 0 {
                Write::put(key, note(0), Expect::Version(read))
            } else {
                Write::delete(key, Expect::Version(read))
            };
            won(RULE, store.commit(&[write], NOW).await)
        }
    })
    .await;
    assert_eq!(winners.len(), 1, "{RULE}: the winners are {winners:?}");

    // A counter that all of them raise, each until it succeeded twice.
    commit(&*store, RULE, &[Write::put(key.clone(), note(0), Expect::Any)]).await;
    let done = race(&store, 16, |store, _| {
        let key = key.clone();
        async move {
            let mut left = 2;
            while left > 0 {
                let found = load(&*store, RULE, &key).await.expect(RULE);
                let count = value(&found.record.body).as_u64().expect(RULE);
                let write = Write::put(key.clone(), note(count + 1), Expect::Version(found.version));
                if won(RULE, store.commit(&[write], NOW).await) {
                    left -= 1;
                }
            }
            true
        }
    })
    .await;
    assert_eq!(done.len(), 16, "{RULE}");
    let total = load(&*store, RULE, &key).await.expect(RULE);
    assert_eq!(value(&total.record.body), 32, "{RULE}: every raise counts");
}

async fn races_in_opposite_order(store: Arc<impl Store>) {
    const RULE: &str = "commits over the same keys in whatever order do not get in each other's way";
    let keys: Vec<Key> = (0..8).map(|n| Key::new("note", format!("p{n}"), "")).collect();
    let done = race(&store, TASKS, |store, n| {
        let mut writes: Vec<Write> = keys.iter().map(|key| Write::put(key.clone(), note(n), Expect::Any)).collect();
        let turn = usize::try_from(n % 8).expect(RULE);
        writes.rotate_left(turn);
        if n % 2 == 0 {
            writes.reverse();
        }
        async move { won(RULE, store.commit(&writes, NOW).await) }
    })
    .await;
    assert_eq!(done.len() as u64, TASKS, "{RULE}: all of them succeed");
    let loaded = store.load(&keys, NOW).await.expect(RULE);
    let bodies: HashSet<_> = loaded.into_iter().map(|found| found.expect(RULE).record.body).collect();
    assert_eq!(bodies.len(), 1, "{RULE}: the last one wrote all of them");
}

async fn no_write_skew(store: Arc<impl Store>) {
    const RULE: &str = "of two commits that each check what the other writes, one wins";
    for round in 0..32 {
        // Two are on duty, and each may go as long as the other stays; then both are away, and each may come as long
        // as the other is away.
        let keys = [0, 1].map(|n| Key::new("duty", format!("{round} {n}"), ""));
        let put = |n: usize| Write::put(keys[n].clone(), note(1), Expect::Absent);
        let on_duty = commit(&*store, RULE, &[put(0), put(1)]).await;
        for away in [false, true] {
            let done = race(&store, 2, |store, n| {
                let n = usize::try_from(n).expect(RULE);
                let (mine, others) = (keys[n].clone(), keys[1 - n].clone());
                let [mine_was, others_was] = [n, 1 - n].map(|n| Expect::Version(on_duty[n].expect(RULE)));
                let writes = if away {
                    [Write::check(others, Expect::Absent), Write::put(mine, note(1), Expect::Absent)]
                } else {
                    [Write::check(others, others_was), Write::delete(mine, mine_was)]
                };
                async move { won(RULE, store.commit(&writes, NOW).await) }
            })
            .await;
            assert_eq!(done.len(), 1, "{RULE}: away {away}, {done:?} succeeded");
            let left = store.load(&keys, NOW).await.expect(RULE).into_iter().flatten().count();
            assert_eq!(left, 1, "{RULE}: one is on duty");
            if !away {
                let all: Vec<_> = keys.iter().map(|key| Write::delete(key.clone(), Expect::Any)).collect();
                commit(&*store, RULE, &all).await;
            }
        }
    }
}

async fn no_torn_read(store: Arc<impl Store>) {
    const RULE: &str = "a load sees a commit in all of its keys or in none";
    let keys: Vec<Key> = (0..8).map(|n| Key::new("note", format!("p{n}"), "")).collect();
    let put = |n| keys.iter().map(|key| Write::put(key.clone(), note(n), Expect::Any)).collect::<Vec<_>>();
    commit(&*store, RULE, &put(0)).await;
    race(&store, 8, |store, n| {
        let (keys, writes) = (keys.clone(), put(n + 1));
        async move {
            for _ in 0..16 {
                if n % 2 == 0 {
                    commit(&*store, RULE, &writes).await;
                } else {
                    let loaded = store.load(&keys, NOW).await.expect(RULE);
                    let bodies: HashSet<_> = loaded.into_iter().map(|found| found.expect(RULE).record.body).collect();
                    assert_eq!(bodies.len(), 1, "{RULE}: {bodies:?}");
                }
            }
            true
        }
    })
    .await;
}

/// Runs tasks at once, and tells which of them said yes.
async fn race<S: Store, F>(store: &Arc<S>, tasks: u64, task: impl Fn(Arc<S>, u64) -> F) -> Vec<u64>
where
    F: Future<Output = bool> + Send + 'static,
{
    let mut running = JoinSet::new();
    for n in 0..tasks {
        let task = task(store.clone(), n);
        running.spawn(async move { task.await.then_some(n) });
    }
    running.join_all().await.into_iter().flatten().collect()
}

/// Whether a commit won, or lost by a conflict; nothing else may happen to it.
fn won(rule: &str, answer: Result<Vec<Option<Version>>, StoreError>) -> bool {
    match answer {
        Ok(_) => true,
        Err(StoreError::Conflict(_)) => false,
        Err(e) => panic!("{rule}: a race ends in success or conflict, not in {e:?}"),
    }
}

async fn commit(store: &impl Store, rule: &str, writes: &[Write]) -> Vec<Option<Version>> {
    let versions = store.commit(writes, NOW).await.unwrap_or_else(|e| panic!("{rule}: the commit answered {e:?}"));
    assert_eq!(versions.len(), writes.len(), "{rule}: one answer for each write");
    versions
}

async fn load(store: &impl Store, rule: &str, key: &Key) -> Option<Stored> {
    let mut loaded = store.load(std::slice::from_ref(key), NOW).await.unwrap_or_else(|e| panic!("{rule}: {e:?}"));
    assert_eq!(loaded.len(), 1, "{rule}: one answer for each key");
    loaded.pop().flatten()
}

fn refused<T>(rule: &str, answer: Result<T, StoreError>) {
    match answer {
        Err(StoreError::Refused(_)) => {}
        Err(e) => panic!("{rule}: `Refused` was expected, not {e:?}"),
        Ok(_) => panic!("{rule}: `Refused` was expected, and it was done"),
    }
}

/// A key that no operation takes.
async fn refused_everywhere(rule: &str, store: &impl Store, key: Key) {
    let prefix = Prefix { kind: key.kind, partition: key.partition.clone(), sort: key.sort.clone() };
    refused(rule, store.load(std::slice::from_ref(&key), NOW).await);
    refused(rule, store.scan(&prefix, None, 1, NOW).await);
    refused(rule, store.commit(&[Write::put(key.clone(), note(1), Expect::Any)], NOW).await);
    refused(rule, store.commit(&[Write::delete(key.clone(), Expect::Any)], NOW).await);
    refused(rule, store.commit(&[Write::check(key, Expect::Any)], NOW).await);
}

/// A record whose body is a number.
fn note(n: u64) -> Record {
    Record { schema: 1, body: n.to_string(), expires_at: None }
}

fn value(body: &str) -> serde_json::Value {
    serde_json::from_str(body).unwrap_or_else(|e| panic!("a stored body is not JSON: {e}"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::Memory;

    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn memory_keeps_the_rules() {
        store_conformance(async || Memory::new()).await;
    }

    /// A store with one thing wrong.
    #[derive(Clone, Copy, Debug)]
    enum Flaw {
        LoadsInAnotherOrder,
        KeepsWhatExpired,
        WritesOneByOne,
        ChecksNothing,
        ReusesVersions,
        ForgetsVersions,
        ChecksBeforeItWrites,
        ScansBackwards,
        ScansFromTheTextItself,
        SweepsWithoutLimit,
        SweepsNothing,
        ReadsOneByOne,
        TakesAnyBody,
        TakesAnyNumber,
        LosesTheSchema,
    }

    #[derive(Debug)]
    struct Flawed(Flaw, Memory);

    impl Store for Flawed {
        async fn load(&self, keys: &[Key], now: UnixTime) -> Result<Vec<Option<Stored>>, StoreError> {
            let mut found = match self.0 {
                Flaw::KeepsWhatExpired => self.1.load(keys, UnixTime::from_secs(0)).await?,
                Flaw::TakesAnyNumber => {
                    let mut found = Vec::new();
                    for some in keys.chunks(KEYS_MAX) {
                        found.extend(self.1.load(some, now).await?);
                    }
                    found
                }
                Flaw::ReadsOneByOne => {
                    self.1.load(keys, now).await?;
                    let mut found = Vec::new();
                    for key in keys {
                        found.extend(self.1.load(std::slice::from_ref(key), now).await?);
                        tokio::task::yield_now().await;
                    }
                    found
                }
                _ => self.1.load(keys, now).await?,
            };
            match self.0 {
                Flaw::LoadsInAnotherOrder => found.reverse(),
                Flaw::LosesTheSchema => found.iter_mut().flatten().for_each(|stored| stored.record.schema = 1),
                Flaw::ForgetsVersions => found.iter_mut().flatten().for_each(|stored| stored.version = Version(1)),
                _ => {}
            }
            Ok(found)
        }

        async fn commit(&self, writes: &[Write], now: UnixTime) -> Result<Vec<Option<Version>>, StoreError> {
            let unchecked = |write: &Write| match write.clone() {
                Write::Put { key, record, .. } => Write::put(key, record, Expect::Any),
                Write::Delete { key, .. } => Write::delete(key, Expect::Any),
                Write::Check { key, .. } => Write::check(key, Expect::Any),
            };
            match self.0 {
                Flaw::WritesOneByOne => {
                    let mut versions = Vec::new();
                    for write in writes {
                        versions.extend(self.1.commit(std::slice::from_ref(write), now).await?);
                    }
                    Ok(versions)
                }
                Flaw::ChecksNothing => self.1.commit(&writes.iter().map(unchecked).collect::<Vec<_>>(), now).await,
                Flaw::ChecksBeforeItWrites => {
                    let checks: Vec<_> = writes.iter().map(|w| Write::check(w.key().clone(), w.expect())).collect();
                    self.1.commit(&checks, now).await?;
                    tokio::task::yield_now().await;
                    self.1.commit(&writes.iter().map(unchecked).collect::<Vec<_>>(), now).await
                }
                Flaw::ReusesVersions => {
                    let versions = self.1.commit(writes, now).await?;
                    Ok(versions.into_iter().map(|version| version.map(|v| Version(v.0 % 8))).collect())
                }
                Flaw::TakesAnyBody => {
                    let mut writes = writes.to_vec();
                    for write in &mut writes {
                        if let Write::Put { record, .. } = write
                            && serde_json::from_str::<serde_json::Value>(&record.body).is_err()
                        {
                            record.body = "null".into();
                        }
                    }
                    self.1.commit(&writes, now).await
                }
                _ => self.1.commit(writes, now).await,
            }
        }

        async fn scan(
            &self,
            prefix: &Prefix,
            after: Option<&str>,
            limit: usize,
            now: UnixTime,
        ) -> Result<Vec<(Key, Stored)>, StoreError> {
            let after = after.filter(|_| !matches!(self.0, Flaw::ScansFromTheTextItself));
            let mut found = self.1.scan(prefix, after, limit, now).await?;
            if matches!(self.0, Flaw::ScansBackwards) {
                found.reverse();
            }
            Ok(found)
        }

        async fn sweep(&self, now: UnixTime, limit: usize) -> Result<usize, StoreError> {
            match self.0 {
                Flaw::SweepsWithoutLimit => self.1.sweep(now, usize::MAX).await,
                Flaw::SweepsNothing => Ok(0),
                _ => self.1.sweep(now, limit).await,
            }
        }
    }

    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn a_store_with_one_thing_wrong_does_not_pass() {
        for (flaw, rule) in [
            (Flaw::LoadsInAnotherOrder, "in the order of the keys"),
            (Flaw::KeepsWhatExpired, "expired is absent"),
            (Flaw::WritesOneByOne, "all of its writes or none"),
            (Flaw::ChecksNothing, "exactly if its expectation holds"),
            (Flaw::ReusesVersions, "exactly if its expectation holds"),
            (Flaw::ForgetsVersions, "the version that the commit told"),
            (Flaw::ChecksBeforeItWrites, "one wins"),
            (Flaw::ScansBackwards, "in the order of bytes"),
            (Flaw::ScansFromTheTextItself, "after"),
            (Flaw::SweepsWithoutLimit, "its limit"),
            (Flaw::SweepsNothing, "is swept"),
            (Flaw::ReadsOneByOne, "in all of its keys or in none"),
            (Flaw::TakesAnyBody, "a body that is not JSON"),
            (Flaw::TakesAnyNumber, "what is larger than its limit is refused"),
            (Flaw::LosesTheSchema, "load gives what was put"),
        ] {
            let suite = store_conformance(async move || Flawed(flaw, Memory::new()));
            let said = Caught(Box::pin(suite)).await.expect_err(&format!("{flaw:?} passed"));
            assert!(said.contains(rule), "{flaw:?} was met by another rule: {said}");
        }
    }

    /// A future that tells how it panicked.
    struct Caught<F>(F);

    impl<F: Future<Output = ()> + Unpin> Future for Caught<F> {
        type Output = Result<(), String>;

        fn poll(mut self: std::pin::Pin<&mut Self>, cx: &mut std::task::Context<'_>) -> std::task::Poll<Self::Output> {
            let poll = || std::pin::Pin::new(&mut self.0).poll(cx);
            match std::panic::catch_unwind(std::panic::AssertUnwindSafe(poll)) {
                Ok(poll) => poll.map(Ok),
                Err(panic) => std::task::Poll::Ready(Err(panic.downcast_ref::<String>().cloned().unwrap_or_default())),
            }
        }
    }
}
