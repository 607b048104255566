//! Names of records whose order is that of time, and the shards over which they lie spread. Kept for ever: what was written
//! under such a name is found by it.

use std::fmt;

use crate::time::UnixTime;

/// A sort text that puts earlier times first, then the names of what is due.
pub(crate) fn by_time(at: UnixTime, name: impl fmt::Display) -> String {
    format!("{:020}/{name}", at.as_secs().max(0))
}

/// A sort text that puts later times first.
pub(crate) fn newest_first(at: UnixTime, name: impl fmt::Display) -> String {
    format!("{:020}/{name}", i64::MAX.saturating_sub(at.as_secs().max(0)))
}

/// When something is due that [`by_time`] named; none for what it did not.
pub(crate) fn due_at(sort: &str) -> Option<UnixTime> {
    sort.split('/').next()?.parse().ok().map(UnixTime::from_secs)
}

/// What [`by_time`] and [`newest_first`] put behind the time; none for what they did not make.
pub(crate) fn named(sort: &str) -> Option<&str> {
    let (time, name) = sort.split_once('/')?;
    (time.len() == 20 && time.bytes().all(|b| b.is_ascii_digit())).then_some(name)
}

/// In which of so many shards something lies, so that commits spread over them: the last hexadecimal digit of its name,
/// folded.
pub(crate) fn shard_of(name: &str, shards: u8) -> String {
    let digit = name.chars().last().and_then(|c| c.to_digit(16)).unwrap_or_default();
    digit.checked_rem(shards.into()).unwrap_or_default().to_string()
}

/// So many shards.
pub(crate) fn shards(shards: u8) -> impl DoubleEndedIterator<Item = String> {
    (0..shards).map(|shard| shard.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What is in the stores of merchants already is named so.
    #[test]
    fn names_stay_as_they_are() {
        let at = UnixTime::from_secs(1_790_000_000);
        assert_eq!(by_time(at, "o_1f"), "00000000001790000000/o_1f");
        assert_eq!(newest_first(at, "o_1f"), "09223372035064775807/o_1f");
        assert_eq!(by_time(UnixTime::from_secs(-1), "x"), "00000000000000000000/x");
        assert_eq!(due_at(&by_time(at, "o_1f/2")), Some(at));
        assert_eq!(named(&by_time(at, "o_1f/2")), Some("o_1f/2"));
        assert_eq!(named(&newest_first(at, "")), Some(""));
        for none in ["", "o_1f", "/", "x/1"] {
            assert_eq!((due_at(none), named(none)), (None, None), "{none:?}");
        }
        assert_eq!(["o_1f", "o_10", "o_17", "", "-"].map(|name| shard_of(name, 8)), ["7", "0", "7", "0", "0"]);
        assert_eq!(["o_1f", "o_10", "o_17", "", "-"].map(|name| shard_of(name, 4)), ["3", "0", "3", "0", "0"]);
        assert_eq!(shards(4).collect::<Vec<_>>(), ["0", "1", "2", "3"]);
    }
}
