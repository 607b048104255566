//! Words for a discount that are wrong: a checkout takes so many of them and no more, for whoever tries words one after the
//! other is looking for one that was sent to somebody else.

use super::{CheckedWishes, CheckoutRecord, Message, MessageCode, Offering, Severity, Wishes};

/// How many wrong words a checkout takes: far more than anybody mistypes.
pub const WRONG_WORDS_MAX: usize = 10;

impl CheckoutRecord {
    /// Whether it takes words that it has not looked at yet.
    #[must_use]
    pub const fn takes_words(&self) -> bool {
        self.wrong_words < WRONG_WORDS_MAX
    }

    /// How many of these words it has not looked at yet.
    #[must_use]
    pub fn new_words(&self, wishes: &Wishes) -> usize {
        wishes.codes.iter().filter(|word| !self.knows(word)).count()
    }

    /// What of these wishes is looked at: of the new words as many as may still be wrong, and everything else.
    pub(crate) fn taken(&self, wishes: CheckedWishes) -> CheckedWishes {
        let mut left = WRONG_WORDS_MAX.saturating_sub(self.wrong_words);
        wishes.with_codes(|word| {
            let is_looked_at = self.knows(word) || left > 0;
            if !self.knows(word) {
                left = left.saturating_sub(1);
            }
            is_looked_at
        })
    }

    /// The same checkout with the wrong words of new wishes counted, and the offer that says so once there were too many.
    pub(super) fn counting(self, wishes: &CheckedWishes, offering: Offering) -> (Self, Offering) {
        let is_wrong = |word: &&String| {
            let about = |message: &Message| message.about.as_ref() == Some(word);
            offering.messages.iter().any(|it| it.code == MessageCode::DiscountCodeInvalid && about(it))
        };
        let wrong = wishes.codes.iter().filter(|word| !self.knows(word)).filter(is_wrong).count();
        let counted = Self { wrong_words: self.wrong_words.saturating_add(wrong), ..self };
        let offering = counted.telling(offering);
        (counted, offering)
    }

    /// An offer for it, with a word on it if it takes no words any more.
    pub(crate) fn telling(&self, mut offering: Offering) -> Offering {
        if !self.takes_words() {
            let text = "Too many words for a discount were wrong: no new ones are taken for this order.";
            offering.messages.push(Message::new(Severity::Warning, MessageCode::DiscountCodesClosed, text));
        }
        offering
    }

    /// Whether it has looked at a word. One that begins has looked at nothing.
    fn knows(&self, word: &str) -> bool {
        self.revision > 0 && self.wishes.codes.iter().any(|known| known.eq_ignore_ascii_case(word))
    }
}
