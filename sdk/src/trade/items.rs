//! A catalogue in the program.

use std::collections::HashMap;

use super::{Catalog, Item, TradeError, is_name, is_title};

/// What is sold, as a list in the program: for a shop with a handful of things, for examples and for tests.
///
/// A list that cannot be sold from (a name twice, a text out of bounds) is [`ItemsError`]: nothing of it is sold, not even
/// what is fine, for of two prices nobody knows which was meant. [`check`](Self::check) says so before the first customer.
///
/// ```
/// use firsthand::{
///     money::{Currency, Money},
///     trade::{Item, Items},
/// };
///
/// let items = Items::new([
///     Item::new("sencha", "Sencha, 100 g", Money::parse("14.80", Currency::EUR)?).sent(120),
///     Item::new("lesson", "An hour of tea", Money::parse("60", Currency::EUR)?),
/// ]);
/// items.check()?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug)]
pub struct Items {
    by_name: HashMap<String, Item>,
    wrong: Option<ItemsError>,
}

/// Why nothing can be sold from a list.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ItemsError {
    /// Two items have one name.
    #[error("two items are called {0:?}")]
    Twice(String),
    /// A name is empty, longer than 64 bytes, or has control characters.
    #[error("the name {0:?} is empty, longer than 64 bytes, or has control characters")]
    Name(String),
    /// A title is empty, longer than 256 bytes, or has control characters.
    #[error("the title of {0:?} is empty, longer than 256 bytes, or has control characters")]
    Title(String),
}

impl ItemsError {
    /// The stable name of what is wrong, for logs.
    #[must_use]
    pub const fn code(&self) -> &'static str {
        match self {
            Self::Twice(_) => "item_twice",
            Self::Name(_) => "item_name",
            Self::Title(_) => "item_title",
        }
    }
}

impl Items {
    /// These are sold.
    pub fn new(items: impl IntoIterator<Item = Item>) -> Self {
        let (mut by_name, mut wrong) = (HashMap::new(), None);
        for item in items {
            let name = item.name.clone();
            if !is_name(&name) {
                wrong = wrong.or(Some(ItemsError::Name(name)));
            } else if !is_title(&item.title) {
                wrong = wrong.or(Some(ItemsError::Title(name)));
            } else if by_name.insert(name.clone(), item).is_some() {
                wrong = wrong.or(Some(ItemsError::Twice(name)));
            }
        }
        Self { by_name, wrong }
    }

    /// Whether it can be sold from.
    ///
    /// # Errors
    /// [`ItemsError`]: the first thing that is wrong.
    pub fn check(&self) -> Result<(), ItemsError> {
        self.wrong.clone().map_or(Ok(()), Err)
    }
}

impl Catalog for Items {
    async fn items(&self, names: &[String]) -> Result<Vec<Option<Item>>, TradeError> {
        self.check().map_err(|wrong| TradeError::new("catalogue", wrong))?;
        Ok(names.iter().map(|name| self.by_name.get(name).cloned()).collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        money::{Currency, Money},
        testing::trade::catalog_conformance,
    };

    fn item(name: &str, title: &str) -> Item {
        Item::new(name, title, Money::parse("14.80", Currency::EUR).unwrap())
    }

    #[tokio::test]
    async fn it_keeps_the_rules_of_a_catalogue() {
        let items = Items::new([item("sencha", "Sencha"), item("größe", "Größe"), item("wine", "Wine")]);
        catalog_conformance(&items, &["sencha", "größe", "wine"], &["Sencha", "sencha ", "beer"]).await;
    }

    #[tokio::test]
    async fn a_list_that_contradicts_itself_sells_nothing() {
        let cases = [
            (vec![item("a", "A"), item("b", "B"), item("a", "A")], "item_twice"),
            (vec![item("a", "A"), item("", "B")], "item_name"),
            (vec![item(" ", "B")], "item_name"),
            (vec![item("a\n", "B")], "item_name"),
            (vec![item(&"x".repeat(65), "B")], "item_name"),
            (vec![item("a", "")], "item_title"),
            (vec![item("a", "A\u{0}")], "item_title"),
            (vec![item("a", &"x".repeat(257))], "item_title"),
        ];
        for (list, code) in cases {
            let items = Items::new(list);
            assert_eq!(items.check().unwrap_err().code(), code);
            assert!(items.items(&["a".to_owned()]).await.is_err(), "{code}");
        }
        let longest = [item(&"x".repeat(64), &"y".repeat(256))];
        assert_eq!(Items::new(longest).check(), Ok(()));
    }
}
