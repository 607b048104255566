//! The tool that puts a shop under load (`benches/load.rs`): its arithmetic, and a short run of it, so that it works on the
//! day on which somebody needs it.

#[path = "load/arithmetic.rs"]
mod arithmetic;
#[path = "load/tool.rs"]
mod tool;

use std::{env, fs, time::Duration};

use firsthand_tests::postgres;
use tool::{Arrivals, Database, Mix, Options, Program, run, serve};

/// The shop under load, where the environment asks for it.
#[test]
fn the_shop_that_is_under_load() {
    serve();
}

#[test]
fn shops_serve_who_comes() {
    let mut databases = Database::ALL.to_vec();
    if postgres::durable_cluster().is_none() {
        postgres::left_out("shops under load over PostgreSQL");
        databases = vec![Database::Sqlite];
    }
    let program = Program {
        path: env::current_exe().unwrap(),
        args: ["--exact", "the_shop_that_is_under_load", "--nocapture"].map(Into::into).into(),
    };
    let options = Options {
        databases: databases.clone(),
        rates: vec![10.0],
        mix: Mix([6, 2, 2]),
        arrivals: Arrivals::Poisson,
        during: Duration::from_secs(3),
        alone: None,
        seed: 5,
    };
    let report = run(&program, &options).unwrap();
    println!("{}", report.markdown());
    assert_eq!(report.stages.len(), databases.len());
    for stage in &report.stages {
        assert_eq!(stage.errors.said(), "none", "{stage:?}");
        assert!(stage.visits.len() == 3 && (18..45).contains(&stage.served), "people of every kind: {stage:?}");
        assert!(stage.requests as usize > stage.served, "a presentation is more than one request: {stage:?}");
        assert!(stage.processor_s > 0.0 && stage.resident_mb.iter().all(|mb| *mb > 1.0), "{stage:?}");
    }
    // Two nodes: what one of them handed out the other one honoured.
    let nodes: Vec<usize> = report.stages.iter().map(|stage| stage.resident_mb.len()).collect();
    assert_eq!(nodes, [1, 1, 2][..databases.len()]);

    let folder = env::temp_dir().join(format!("firsthand-load-{}-report", std::process::id()));
    report.write(&folder).unwrap();
    let written = |name: &str| fs::read_to_string(folder.join(name)).unwrap();
    assert!(written("load.md").contains("| one node, SQLite | 10 |"));
    for name in ["page.svg", "presentation.svg", "checkout.svg"] {
        assert!(written(name).contains("<circle"), "{name} shows nothing");
    }
    fs::remove_dir_all(folder).unwrap();
}
