//! The command `firsthand` over a database: its tables, and that it was put back from a backup.

use std::process::{Command, Output};

use firsthand_tests::program::program;

use super::*;

fn firsthand(words: &[&str]) -> Output {
    // Without a URL of this machine's own.
    Command::new(program()).args(words).env_remove("DATABASE_URL").output().unwrap()
}

fn said(output: &Output) -> String {
    String::from_utf8(output.stdout.clone()).unwrap() + &String::from_utf8_lossy(&output.stderr)
}

/// A session and a customer, as they lie in a backup; `open` opens the database.
async fn is_put_back<S: Store>(url: &str, open: impl AsyncFn() -> S) {
    let session = Key::new("session", "s", "");
    let customer = Key::new("customer", "c", "");
    // Another database than was meant is not filled with tables.
    let refused = firsthand(&["restored", url]);
    assert_eq!(refused.status.code(), Some(1), "{}", said(&refused));
    assert!(said(&refused).contains("holds nothing of Firsthand"), "{}", said(&refused));

    for _ in 0..2 {
        let made = firsthand(&["migrate", url]);
        assert!(made.status.success() && said(&made).starts_with("ready: "), "{}", said(&made));
    }
    let store = open().await;
    let epoch = store.epoch();
    let writes = [&session, &customer].map(|key| Write::put(key.clone(), note(1), Expect::Absent));
    store.commit(&writes, NOW).await.unwrap();
    drop(store);
    for times in 1..=2 {
        let done = Command::new(program()).arg("restored").env("DATABASE_URL", url).output().unwrap();
        assert!(done.status.success(), "{}", said(&done));
        assert!(said(&done).contains(&format!("for the {times}. time")), "{}", said(&done));
        let store = open().await;
        assert_eq!(store.epoch(), epoch + times);
        let found = store.load(&[session.clone(), customer.clone()], NOW).await.unwrap();
        assert_eq!(found.iter().map(Option::is_some).collect::<Vec<_>>(), [false, true]);
    }
}

#[tokio::test]
async fn the_command_puts_an_sqlite_file_back() {
    let folder = Folder::new();
    let url = folder.database();
    is_put_back(&url, async || Sqlite::connect(&url).await.unwrap()).await;
    // A file that is not there is not made.
    let nowhere = folder.database();
    assert_eq!(firsthand(&["restored", &nowhere]).status.code(), Some(1));
    assert!(!std::path::Path::new(nowhere.trim_start_matches("sqlite://")).exists());
}

#[tokio::test]
async fn the_command_puts_a_postgres_back() {
    let Some(cluster) = cluster() else { return left_out("the command `firsthand restored`") };
    let url = cluster.database();
    is_put_back(&url, async || Postgres::connect(&url).await.unwrap()).await;
}

#[test]
fn the_command_says_back_no_password() {
    let nowhere = "postgres://shop:hunter2@shop.invalid/shop";
    let nonsense = "postgres://shop:hunter2@127.0.0.1/shop?sslmode=sometimes";
    for words in
        [["restored", nowhere], ["migrate", nowhere], ["migrate", nonsense], ["restored", "mysql://shop:hunter2@h/"]]
    {
        let refused = firsthand(&words);
        assert!(!refused.status.success());
        assert!(!said(&refused).contains("hunter2"), "{}", said(&refused));
    }
    assert_eq!(firsthand(&["restored"]).status.code(), Some(2));
}
