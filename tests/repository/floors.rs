//! The floors of the library, said as absences.

use crate::sources::{Source, files, names, rust};

/// The plain data of floor 1, but for the hinges: `presentation` reads answers, `session` digests tokens, `pairwise`
/// makes DIDs, `format` tells one credential from another, `error` says which check of a standard failed, and `explain`
/// makes each of them once more.
const DOMAIN: [&str; 13] = [
    "ask",
    "checkout",
    "customer",
    "history",
    "issuing",
    "limits",
    "meeting",
    "money",
    "names",
    "order",
    "receipt",
    "time",
    "trade/data",
];
const HINGES: [&str; 6] = ["error", "explain", "format", "pairwise", "presentation", "session"];

/// All files of modules of the library: `name.rs`, and those below `name/`.
fn modules(names: &[&str]) -> Vec<Source> {
    let mut found = Vec::new();
    for name in names {
        let before = found.len();
        let (file, folder) = (format!("sdk/src/{name}.rs"), format!("sdk/src/{name}/"));
        found.extend(rust("sdk/src").into_iter().filter(|it| it.path == file || it.path.starts_with(&folder)));
        assert!(found.len() > before, "there is no module {name}");
    }
    found
}

/// Floor 0 (bytes and types) and floor 1 (plain data and transitions).
fn pure() -> Vec<Source> {
    modules(&[&["protocol"], &DOMAIN[..], &HINGES[..]].concat())
}

fn nowhere(sources: &[Source], words: &[&str]) {
    let found: Vec<String> = sources.iter().flat_map(|source| source.naming(words)).collect();
    assert!(found.is_empty(), "{words:?} should not be here:\n{}", found.join("\n"));
}

#[test]
fn nothing_on_the_lower_floors_waits() {
    nowhere(&pure(), &["async fn", "async move", "async {", ".await", "tokio"]);
    // JSON-LD is written to be able to fetch: `ld` asks once whether it is done, and waits for nothing. It goes deep, so it
    // gets a stack of its own, for as long as the call takes.
    let is_json_ld = |source: &Source| source.path == "sdk/src/protocol/vc/ld.rs";
    let others: Vec<Source> = pure().into_iter().filter(|source| !is_json_ld(source)).collect();
    nowhere(&others, &["Future", "thread"]);
}

#[test]
fn nothing_on_the_lower_floors_reads_a_clock() {
    nowhere(&pure(), &["SystemTime", "Instant", "Timestamp::now", "Zoned::now", "Utc::now", "Local::now"]);
}

#[test]
fn nothing_on_the_lower_floors_draws_randomness() {
    nowhere(&pure(), &["rand", "SystemRandom", "getrandom", "thread_rng", "OsRng", "generate_pkcs8"]);
}

#[test]
fn nothing_on_the_lower_floors_reaches_outside() {
    nowhere(&pure(), &["TcpStream", "UdpSocket", "reqwest", "std::fs", "fs", "File", "std::env", "Command"]);
}

#[test]
fn floor_0_knows_nothing_above_it() {
    let root = crate::sources::read("sdk/src/lib.rs");
    let declared = root.lines().filter_map(|line| line.trim_start_matches("pub ").strip_prefix("mod "));
    // What tests are made of is used by tests alone, which stand in the same files.
    let below = ["limits", "protocol", "time", "testing"];
    let above: Vec<&str> =
        declared.map(|line| line.trim_end_matches(';')).filter(|name| !below.contains(name)).collect();
    assert!(above.contains(&"merchant") && above.contains(&"order"), "{above:?}");
    for source in modules(&["protocol"]) {
        for module in used(&source.code()) {
            assert!(!above.contains(&module.as_str()), "{} uses {module}", source.path);
        }
    }
}

#[test]
fn the_domain_imports_the_protocol_at_its_hinges_alone() {
    for source in modules(&DOMAIN) {
        assert!(!used(&source.code()).contains(&"protocol".to_owned()), "{} uses protocol", source.path);
    }
}

#[test]
fn the_domain_knows_what_a_seam_says_and_holds_none() {
    // `Item`, `Way`, `Cut`, `Outcome`, `Key` are plain data, wherever they stand; whoever has one of these could call it.
    // (`Discount` is also what a receipt says was let off.)
    let seams = ["Catalog", "Inventory", "Shipping", "Tax", "Trade", "Shelf", "Rail", "Store", "Fetch", "Env"];
    let adapters =
        ["AnyCatalog", "AnyInventory", "AnyShipping", "AnyTax", "AnyDiscount", "AnyRail", "AnyStore", "AnyFetch"];
    nowhere(&modules(&DOMAIN), &seams);
    nowhere(&modules(&DOMAIN), &adapters);
}

#[test]
fn only_the_merchant_calls_a_seam() {
    for source in pure() {
        assert!(!used(&source.code()).contains(&"merchant".to_owned()), "{} uses merchant", source.path);
    }
    // Who waits for a store or a fetch is the merchant, or the seam's own adapter, cache or test suite.
    let waits = |source: &Source| !source.naming(&[".await"]).is_empty();
    let may = ["merchant", "store", "fetch", "resolve", "rail", "trade", "testing", "bin"];
    for source in rust("sdk/src").iter().filter(|source| waits(source)) {
        let place = source.path.trim_start_matches("sdk/src/").split(['/', '.']).next().unwrap();
        assert!(may.contains(&place), "{} waits", source.path);
    }
}

#[test]
fn building_a_merchant_starts_nothing() {
    let sources: Vec<Source> = rust("sdk/src").into_iter().filter(|s| s.path.starts_with("sdk/src/merchant")).collect();
    nowhere(&sources, &["spawn", "spawn_blocking", "thread"]);
}

#[test]
fn the_library_knows_no_web_framework() {
    nowhere(&rust("sdk/src"), &["axum", "utoipa", "tower", "hyper"]);
    let manifest = crate::sources::read("sdk/Cargo.toml");
    for name in ["axum", "utoipa", "tower", "hyper"] {
        assert!(!names(&manifest, name), "sdk/Cargo.toml names {name}");
    }
}

#[test]
fn each_large_library_is_known_in_one_place() {
    let places: [(&str, &[&str]); 8] = [
        ("josekit", &["sdk/src/protocol/jose.rs", "sdk/src/protocol/jose/"]),
        ("quick_xml", &["sdk/src/rail/sepa/xml.rs"]),
        ("moka", &["sdk/src/fetch/cached.rs", "sdk/src/trust/chains.rs"]),
        ("sqlx", &["sdk/src/store/"]),
        ("reqwest", &["sdk/src/fetch/https.rs"]),
        ("didwebvh_rs", &["sdk/src/webvh.rs"]),
        ("webauthn_rs_core", &["sdk/src/protocol/webauthn.rs"]),
        ("ssi", &["sdk/src/protocol/vc/ld.rs", "sdk/src/resolve/account.rs"]),
    ];
    for (library, places) in places {
        for source in rust("sdk/src").iter().chain(&rust("middleware/src")) {
            let here = places.iter().any(|place| source.path.starts_with(place));
            assert!(here || source.naming(&[library]).is_empty(), "{} names {library}", source.path);
        }
    }
}

#[test]
fn nothing_is_left_to_be_written() {
    let crates = ["sdk", "middleware", "examples", "tests"];
    for source in files(&crates, &[".rs"]) {
        let open = source.naming(&["todo!", "unimplemented!"]);
        // The names themselves stand here in quotes, which are no code.
        assert!(open.is_empty(), "{}", open.join("\n"));
    }
}

/// The modules of its own crate that a file uses: `crate::x`, and each `x` of `use crate::{x, ..}`.
fn used(code: &str) -> Vec<String> {
    let mut modules = Vec::new();
    for (at, found) in code.match_indices("crate::") {
        let rest = &code[at + found.len()..];
        let Some(group) = rest.strip_prefix('{') else {
            modules.push(rest.chars().take_while(|c| c.is_alphanumeric() || *c == '_').collect());
            continue;
        };
        let (mut depth, mut name) = (0, String::new());
        for c in group.chars() {
            match c {
                '{' => depth += 1,
                '}' if depth == 0 => break,
                '}' => depth -= 1,
                ',' if depth == 0 => modules.push(std::mem::take(&mut name)),
                _ if depth == 0 => name.push(c),
                _ => {}
            }
        }
        modules.push(name);
    }
    let head = |path: &String| path.trim().split("::").next().unwrap_or_default().to_owned();
    modules.iter().map(head).filter(|name| !name.is_empty()).collect()
}

#[test]
fn imports_are_read_in_every_form() {
    assert_eq!(used("use crate::{a::{b, c}, d, e::f}; crate::g::h()"), ["a", "d", "e", "g"]);
}
