//! Accounts of before: those who used to come by somebody else's "Sign in with ...", and move to what they hold themselves.
//!
//! What is stored of an account is where it was, a keyed digest of its name there, and what the merchant calls it, sealed.
//! The key comes from the root secret and the origin, so that two shops that compare what they store find nothing in
//! common. An e-mail address joins nothing: who says that it is theirs may have said so elsewhere before its owner did.

use std::{collections::BTreeMap, fmt, sync::Arc};

use serde::{Deserialize, Serialize};

use super::{
    Customer, Merchant, RACES_MAX, customer_key, lost_the_race, put,
    recognise::Recognised,
    sell::{Pending, Plan, RecentProof},
};
use crate::{
    customer::{CustomerId, CustomerRecord},
    error::{Error, Refusal},
    history::Happened,
    protocol::jose::base64url_encode,
    store::{Expect, KEYS_MAX, Key, Persisted, Prefix, SCAN_MAX, StoreError, Stored, Write},
    time::UnixTime,
};

/// What digests an account's name, and what seals the merchant's own name for it.
const ACCOUNT: &str = "legacy account";
/// How many accounts go in one commit, each with a count of its own in the worst case.
const BATCH: usize = KEYS_MAX / 2;
/// How many shards the counts have, so that customers who move at the same moment seldom meet.
const SHARDS: u8 = 16;
/// The longest name of a provider, in bytes.
const PROVIDER_MAX: usize = 64;
/// The longest name of an account at its provider, in bytes: as long as an OpenID Connect `sub` may be (Core 1.0, 2).
const SUBJECT_MAX: usize = 255;
/// The longest name that the merchant has for an account, in bytes.
const REFERENCE_MAX: usize = 255;

/// An account of before, as the merchant's own table has it.
#[derive(Clone, PartialEq, Eq)]
pub struct LegacyAccount {
    /// Where the customer used to sign in, such as `google`: 1 to 64 of a-z, 0-9, `.`, `-` and `_`. Stored as it is, shown
    /// in the customer's history and in [`Merchant::accounts_moved`].
    pub provider: String,
    /// The name of the account there: the `sub` of an ID token, never an e-mail address. 1 to 255 bytes. Stored as a keyed
    /// digest alone.
    pub subject: String,
    /// What the merchant calls the account, such as the number of its row: up to 255 bytes. Stored sealed, and given back
    /// when the account is linked.
    pub reference: String,
}

/// That this very request also carried a session of the old login. The merchant's handler vouches for it: it has checked
/// that session, and says what the login said.
#[derive(Clone, PartialEq, Eq)]
pub struct LegacyProof {
    /// Where the customer signed in.
    pub provider: String,
    /// The name of the account there.
    pub subject: String,
    /// When they signed in there, by the old login's own word: not when the session was last used.
    pub signed_in_at: UnixTime,
}

/// An account of before that a customer brought along.
#[derive(Clone, PartialEq, Eq)]
pub struct LinkedAccount {
    /// Where the customer used to sign in.
    pub provider: String,
    /// What the merchant calls the account.
    pub reference: String,
    /// When it was linked.
    pub linked_at: UnixTime,
}

/// What became of accounts that were imported.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Imported {
    /// How many are new.
    pub new: u64,
    /// How many were there already, and stay as they are.
    pub known: u64,
}

/// How many accounts of a provider have moved. It counts acts and holds no name: whoever moved and was forgotten stays
/// counted.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct AccountsMoved {
    /// Where they used to sign in.
    pub provider: String,
    /// How many were imported.
    pub imported: u64,
    /// How many of them a customer has linked.
    pub linked: u64,
}

/// An account as it is stored, under the digest of its name.
#[derive(Serialize, Deserialize)]
struct AccountRecord {
    provider: String,
    /// What the merchant calls it, sealed.
    reference: String,
    imported_at: UnixTime,
    #[serde(default)]
    link: Option<Link>,
}

#[derive(Serialize, Deserialize)]
struct Link {
    customer: CustomerId,
    at: UnixTime,
}

/// Where the account of a customer is found: the sort key is the digest of its name.
#[derive(Serialize, Deserialize)]
pub(super) struct AccountEntry {}

/// What was imported and linked of a provider, in one shard.
#[derive(Clone, Copy, Debug, Default, Serialize, Deserialize)]
struct AccountCount {
    imported: u64,
    linked: u64,
}

impl Persisted for AccountRecord {
    const KIND: &'static str = "account";
    const SCHEMA: u16 = 1;
}

impl Persisted for AccountEntry {
    const KIND: &'static str = "customer_account";
    const SCHEMA: u16 = 1;
}

impl Persisted for AccountCount {
    const KIND: &'static str = "account_count";
    const SCHEMA: u16 = 1;
}

/// The digest of an account's name.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct AccountName([u8; 32]);

impl Merchant {
    /// Stores accounts of before, so that [`Recognised::link_account`] knows them. In batches: 32 accounts are one commit.
    /// An account that is there already stays as it is, so that an import that was interrupted is begun again, and a table is
    /// imported again when it has grown.
    ///
    /// Import a row again at the last old sign-in as well: then nobody is missed who came after the table was read.
    ///
    /// # Errors
    /// [`Error::Misuse`] with the place of an account that is none, counted from 0: what came before it may be stored;
    /// [`Error::Unavailable`] if the store does not answer.
    pub async fn import_accounts<I>(&self, accounts: I) -> Result<Imported, Error>
    where
        I: IntoIterator<Item = LegacyAccount>,
        I::IntoIter: Send,
    {
        let (mut accounts, mut place, mut sum) = (accounts.into_iter(), 0_usize, Imported::default());
        loop {
            let batch: Vec<LegacyAccount> = accounts.by_ref().take(BATCH).collect();
            if batch.is_empty() {
                return Ok(sum);
            }
            for account in &batch {
                account.check().map_err(|what| Error::Misuse(format!("account {place}: {what}")))?;
                place += 1;
            }
            let imported = self.import_batch(&batch).await?;
            sum.new += imported.new;
            sum.known += imported.known;
        }
    }

    async fn import_batch(&self, batch: &[LegacyAccount]) -> Result<Imported, Error> {
        for _ in 0..RACES_MAX {
            let (new, writes) = self.plan_import(batch).await?;
            if !writes.is_empty() {
                match self.0.store.commit(&writes, self.now()).await {
                    Err(error) if lost_the_race(&error) => continue,
                    other => other?,
                };
            }
            let known = u64::try_from(batch.len()).unwrap_or(u64::MAX).saturating_sub(new);
            return Ok(Imported { new, known });
        }
        Err(Refusal::Overtaken.into())
    }

    /// How many accounts of a batch are new, and the writes that store them.
    async fn plan_import(&self, batch: &[LegacyAccount]) -> Result<(u64, Vec<Write>), Error> {
        let now = self.now();
        let names: Vec<Vec<AccountName>> = batch.iter().map(|a| self.account_names(&a.provider, &a.subject)).collect();
        let keys: Vec<Key> = names.iter().flatten().map(AccountName::key).collect();
        let mut there = Vec::with_capacity(keys.len());
        for some in keys.chunks(KEYS_MAX) {
            there.extend(self.0.store.load(some, now).await?.into_iter().map(|found| found.is_some()));
        }
        let (mut there, mut new) = (there.into_iter(), BTreeMap::new());
        for (account, names) in batch.iter().zip(&names) {
            // All of them are asked, so that the next account finds its own.
            let is_there = names.iter().fold(false, |any, _| there.next().unwrap_or_default() | any);
            if let Some(name) = names.first().filter(|_| !is_there) {
                // The same row twice is one account.
                new.entry(*name).or_insert(account);
            }
        }
        let mut counts: BTreeMap<Key, AccountCount> = BTreeMap::new();
        let mut writes = Vec::new();
        for (name, account) in &new {
            let key = name.key();
            let reference = self.seal(ACCOUNT, &key, account.reference.as_bytes());
            let record = AccountRecord { provider: account.provider.clone(), reference, imported_at: now, link: None };
            writes.push(put(key, &record, None, Expect::Absent)?);
            counts.entry(name.count_key(&account.provider)).or_default().imported += 1;
        }
        writes.extend(self.counted(counts).await?);
        Ok((u64::try_from(new.len()).unwrap_or(u64::MAX), writes))
    }

    /// How many accounts were imported and linked, by provider. The work does not grow with the number of accounts.
    ///
    /// # Errors
    /// [`Error::Unavailable`] if the store does not answer.
    pub async fn accounts_moved(&self) -> Result<Vec<AccountsMoved>, Error> {
        let mut sums: BTreeMap<String, AccountCount> = BTreeMap::new();
        for shard in (0..SHARDS).map(|shard| shard.to_string()) {
            let prefix = Prefix { kind: AccountCount::KIND, partition: shard, sort: String::new() };
            // A merchant has a handful of providers; a thousand would be a mistake in an import.
            for (key, stored) in self.0.store.scan(&prefix, None, SCAN_MAX, self.now()).await? {
                let count: AccountCount = stored.read()?;
                let sum = sums.entry(key.sort).or_default();
                *sum = sum.and(count);
            }
        }
        let moved = |(provider, AccountCount { imported, linked })| AccountsMoved { provider, imported, linked };
        Ok(sums.into_iter().map(moved).collect())
    }

    /// The writes that add to counts.
    async fn counted(&self, more: BTreeMap<Key, AccountCount>) -> Result<Vec<Write>, Error> {
        let keys: Vec<Key> = more.keys().cloned().collect();
        let found = self.0.store.load(&keys, self.now()).await?;
        let mut writes = Vec::with_capacity(keys.len());
        for ((key, more), stored) in more.into_iter().zip(found) {
            let count = stored.as_ref().map(Stored::read::<AccountCount>).transpose()?.unwrap_or_default().and(more);
            let expect = stored.map_or(Expect::Absent, |stored| Expect::Version(stored.version));
            writes.push(put(key, &count, None, expect)?);
        }
        Ok(writes)
    }

    /// The digests that an account's name may be stored under: by the current root secret, and by those before it.
    fn account_names(&self, provider: &str, subject: &str) -> Vec<AccountName> {
        // Neither an origin nor a provider holds NUL, so no two accounts are one text.
        let info = zeroize::Zeroizing::new(format!("{}\0{provider}\0{subject}", self.0.origin));
        self.0.keys.derive_all(ACCOUNT, info.as_bytes()).into_iter().map(AccountName).collect()
    }

    async fn account(&self, provider: &str, subject: &str) -> Result<Option<(AccountName, Stored)>, Error> {
        if !is_provider(provider) {
            return Ok(None);
        }
        let names = self.account_names(provider, subject);
        let keys: Vec<Key> = names.iter().map(AccountName::key).collect();
        let found = self.0.store.load(&keys, self.now()).await?;
        Ok(names.into_iter().zip(found).find_map(|(name, stored)| Some((name, stored?))))
    }

    fn linked(&self, key: &Key, account: &AccountRecord, at: UnixTime) -> Result<LinkedAccount, Error> {
        let reference = self.open(ACCOUNT, key, &account.reference)?;
        let no_text = |_| Error::Misuse("the reference of an account is no text".to_owned());
        let reference = std::str::from_utf8(&reference).map_err(no_text)?.to_owned();
        Ok(LinkedAccount { provider: account.provider.clone(), reference, linked_at: at })
    }

    async fn plan_link(self, customer: CustomerId, old: Arc<LegacyProof>) -> Result<Plan<LinkedAccount>, Error> {
        let (now, age_s) = (self.now(), self.0.limits.legacy_sign_in_s);
        // A clock that was set back proves nothing: a proof is not of the future.
        if old.signed_in_at > now || now.since_s(old.signed_in_at) > age_s {
            return Err(Refusal::OldSignIn { age_s }.into());
        }
        let (_, version) = self.live_record(&customer).await?;
        let found = self.account(&old.provider, &old.subject).await?;
        let (name, stored) = found.ok_or(Refusal::NoSuchAccount)?;
        let (key, account) = (name.key(), stored.read::<AccountRecord>()?);
        if let Some(link) = &account.link
            && let Some((owner, ..)) = self.resolved(&link.customer).await?
        {
            if owner != customer {
                return Err(Refusal::AccountLinked.into());
            }
            return Ok(Plan::nothing(self.linked(&key, &account, link.at)?, now));
        }
        let value = self.linked(&key, &account, now)?;
        let provider = account.provider.clone();
        let is_first = account.link.is_none();
        let account = AccountRecord { link: Some(Link { customer: customer.clone(), at: now }), ..account };
        let mut writes = vec![
            put(key, &account, None, Expect::Version(stored.version))?,
            put(account_entry(&customer, &name), &AccountEntry {}, None, Expect::Any)?,
            // Whoever is forgotten at this very moment links nothing.
            Write::check(customer_key(&customer), Expect::Version(version)),
        ];
        if is_first {
            let more = AccountCount { imported: 0, linked: 1 };
            writes.extend(self.counted(BTreeMap::from([(name.count_key(&provider), more)])).await?);
        }
        writes.push(self.note(&customer, Happened::AccountLinked { provider })?);
        Ok(Plan { writes, value, witness: None, at: now })
    }
}

impl Recognised {
    /// Joins an account of before to this customer, for good: at the last old sign-in, with fresh proof of both. An account
    /// is one customer's, and a customer may bring several along; one that is theirs already stays theirs, and then nothing
    /// [is new](Pending::is_new).
    ///
    /// Commit it together with your own row, end the old session in the same breath, and open the old login for this account
    /// no more: whoever else holds it would still come in by it.
    ///
    #[cfg_attr(feature = "postgres", doc = "```no_run")]
    #[cfg_attr(not(feature = "postgres"), doc = "```ignore")]
    /// # use firsthand::{Error, Postgres, merchant::{LegacyProof, Recognised, RecentProof}};
    /// # async fn link(pool: sqlx::PgPool, postgres: Postgres, known: Recognised, proof: RecentProof, old: LegacyProof)
    /// # -> Result<(), Box<dyn std::error::Error>> {
    /// let linked = known.link_account(&proof, old).await?;
    /// let mut tx = pool.begin().await?;
    /// let linked = postgres.commit_in(&mut tx, linked).await?;
    /// sqlx::query("UPDATE customers SET firsthand_id = $1 WHERE id = $2::bigint")
    ///     .bind(known.id().as_str())
    ///     .bind(&linked.preview().reference)
    ///     .execute(&mut *tx)
    ///     .await?;
    /// tx.commit().await?;
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// [`Refusal::OldSignIn`] if the old sign-in is longer ago than
    /// [`Limits::legacy_sign_in_s`](crate::limits::Limits::legacy_sign_in_s); [`Refusal::NoSuchAccount`] if it was never
    /// imported; [`Refusal::AccountLinked`] if it is another customer's; [`Refusal::StepUp`] if the proof is another's.
    pub async fn link_account(&self, proof: &RecentProof, old: LegacyProof) -> Result<Pending<LinkedAccount>, Error> {
        if proof.customer() != self.id() {
            return Err(Refusal::StepUp { age_s: self.merchant().limits().step_up_s }.into());
        }
        let input = (self.id().clone(), Arc::new(old));
        Pending::new(self.merchant(), input, |merchant, (customer, old)| merchant.plan_link(customer, old)).await
    }
}

impl Customer {
    /// The accounts of before that the customer brought along, those of records that became this one included.
    ///
    /// # Errors
    /// [`Error::Misuse`] if one was sealed under a root that is not in the keys any more, [`Error::Unavailable`] if the store
    /// does not answer.
    pub async fn accounts(&self) -> Result<Vec<LinkedAccount>, Error> {
        let merchant = self.merchant();
        let CustomerRecord { merged, .. } = self.record();
        let mut accounts = Vec::new();
        for name in merged.iter().map(|merged| &merged.customer).chain([self.id()]) {
            for (sort, _) in merchant.walk::<AccountEntry>(name).await? {
                let key = Key::new(AccountRecord::KIND, sort, "");
                let Some(stored) = merchant.load_one(&key).await? else { continue };
                let account: AccountRecord = stored.read()?;
                if let Some(Link { at, .. }) = account.link {
                    accounts.push(merchant.linked(&key, &account, at)?);
                }
            }
        }
        accounts.sort_by_key(|account| account.linked_at);
        Ok(accounts)
    }
}

impl AccountName {
    fn text(&self) -> String {
        base64url_encode(&self.0)
    }

    fn key(&self) -> Key {
        Key::new(AccountRecord::KIND, self.text(), "")
    }

    /// Where an account of this provider is counted.
    fn count_key(&self, provider: &str) -> Key {
        let [first, ..] = self.0;
        Key::new(AccountCount::KIND, (first % SHARDS).to_string(), provider)
    }
}

impl AccountCount {
    const fn and(self, more: Self) -> Self {
        Self { imported: self.imported.saturating_add(more.imported), linked: self.linked.saturating_add(more.linked) }
    }
}

impl LegacyAccount {
    /// What is wrong with it, in words that hold none of it.
    fn check(&self) -> Result<(), String> {
        if !is_provider(&self.provider) {
            return Err(format!("a provider is 1 to {PROVIDER_MAX} of a-z, 0-9, ., - and _"));
        }
        if self.subject.is_empty() || self.subject.len() > SUBJECT_MAX {
            return Err(format!("a subject has 1 to {SUBJECT_MAX} bytes"));
        }
        if self.reference.len() > REFERENCE_MAX {
            return Err(format!("a reference has at most {REFERENCE_MAX} bytes"));
        }
        Ok(())
    }
}

fn is_provider(text: &str) -> bool {
    let plain = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || matches!(b, b'.' | b'-' | b'_');
    (1..=PROVIDER_MAX).contains(&text.len()) && text.bytes().all(plain)
}

fn account_entry(customer: &CustomerId, name: &AccountName) -> Key {
    Key::new(AccountEntry::KIND, customer.as_str(), name.text())
}

/// The account that a customer's entry leads to.
pub(super) fn account_of(entry: &Key, _: &Stored) -> Result<Option<Key>, StoreError> {
    Ok(Some(Key::new(AccountRecord::KIND, entry.sort.clone(), "")))
}

impl fmt::Debug for LegacyAccount {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("LegacyAccount").field("provider", &self.provider).finish_non_exhaustive()
    }
}

impl fmt::Debug for LegacyProof {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { provider, signed_in_at, .. } = self;
        f.debug_struct("LegacyProof")
            .field("provider", provider)
            .field("signed_in_at", signed_in_at)
            .finish_non_exhaustive()
    }
}

impl fmt::Debug for LinkedAccount {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { provider, linked_at, .. } = self;
        f.debug_struct("LinkedAccount")
            .field("provider", provider)
            .field("linked_at", linked_at)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{store::Memory, testing::TestShop};

    fn account(provider: &str, number: usize) -> LegacyAccount {
        let subject = format!("subject-{number}");
        LegacyAccount { provider: provider.into(), subject, reference: number.to_string() }
    }

    #[tokio::test]
    async fn accounts_are_imported_once_however_often_they_come() {
        let shop = TestShop::new();
        let merchant = shop.merchant();
        // Not a whole number of batches, and one of them twice.
        let all = || (0..75).map(|n| account("google", n)).chain([account("google", 74), account("apple", 1)]);
        assert_eq!(merchant.import_accounts(all()).await.unwrap(), Imported { new: 76, known: 1 });
        assert_eq!(merchant.import_accounts(all()).await.unwrap(), Imported { new: 0, known: 77 });
        let moved = |provider: &str, imported| AccountsMoved { provider: provider.into(), imported, linked: 0 };
        assert_eq!(merchant.accounts_moved().await.unwrap(), [moved("apple", 1), moved("google", 75)]);
    }

    #[tokio::test]
    async fn two_imports_at_once_count_each_account_once() {
        let shop = TestShop::new();
        let merchant = shop.merchant();
        let all = || (0..40).map(|n| account("google", n));
        let (one, two) = tokio::join!(merchant.import_accounts(all()), merchant.import_accounts(all()));
        assert_eq!(one.unwrap().new + two.unwrap().new, 40);
        assert_eq!(merchant.accounts_moved().await.unwrap()[0].imported, 40);
    }

    #[tokio::test]
    async fn an_account_that_is_none_is_refused_without_being_quoted() {
        let shop = TestShop::new();
        let good = account("google", 1);
        let long = "s".repeat(256);
        for bad in [
            LegacyAccount { provider: String::new(), ..good.clone() },
            LegacyAccount { provider: "Google".into(), ..good.clone() },
            LegacyAccount { provider: "a\0b".into(), ..good.clone() },
            LegacyAccount { provider: "g".repeat(65), ..good.clone() },
            LegacyAccount { subject: String::new(), ..good.clone() },
            LegacyAccount { subject: long.clone(), ..good.clone() },
            LegacyAccount { reference: long.clone(), ..good.clone() },
        ] {
            let error = shop.merchant().import_accounts([good.clone(), bad]).await.unwrap_err();
            assert_eq!(error.code(), "misuse");
            assert!(error.to_string().contains("account 1: ") && !error.to_string().contains(&long), "{error}");
        }
    }

    #[tokio::test]
    async fn two_shops_with_one_root_store_nothing_in_common() {
        let shop = TestShop::new();
        let mut stored = Vec::new();
        for origin in ["https://shop.example", "https://other.example"] {
            let memory = Memory::new();
            let merchant = Merchant::builder(origin.parse().unwrap())
                .keys(shop.keys().clone())
                .trust(shop.cast().trust().unwrap())
                .fetch(shop.network().clone())
                .env(shop.clock().clone())
                .store(memory.clone())
                .build()
                .unwrap();
            merchant.import_accounts([account("google", 1)]).await.unwrap();
            let (name, record) = merchant.account("google", "subject-1").await.unwrap().unwrap();
            for told in ["subject-1", "\"1\""] {
                assert!(!record.record.body.contains(told), "{}", record.record.body);
            }
            let record: AccountRecord = record.read().unwrap();
            stored.push((name, record.reference));
        }
        assert!(stored[0].0 != stored[1].0 && stored[0].1 != stored[1].1);
    }

    #[tokio::test]
    async fn an_account_is_found_after_a_new_root_secret() {
        let memory = Memory::new();
        let shop = TestShop::with(|builder| builder.store(memory.clone()));
        shop.merchant().import_accounts([account("google", 1)]).await.unwrap();
        let renewed = shop.again(|builder| builder.store(memory.clone()).keys(shop.renewed_root()));
        let merchant = renewed.merchant();
        let imported = merchant.import_accounts([account("google", 1), account("google", 2)]).await.unwrap();
        assert_eq!(imported, Imported { new: 1, known: 1 });
        let (name, stored) = merchant.account("google", "subject-1").await.unwrap().unwrap();
        let linked = merchant.linked(&name.key(), &stored.read().unwrap(), merchant.now()).unwrap();
        assert_eq!(linked.reference, "1");
    }

    #[test]
    fn what_names_a_person_is_not_printed() {
        let (provider, subject) = ("google".to_owned(), "subject-1".to_owned());
        let at = UnixTime::from_secs(7);
        let texts = [
            format!("{:?}", LegacyProof { provider: provider.clone(), subject: subject.clone(), signed_in_at: at }),
            format!("{:?}", LegacyAccount { provider: provider.clone(), subject: subject.clone(), reference: subject }),
            format!("{:?}", LinkedAccount { provider, reference: "subject-1".into(), linked_at: at }),
        ];
        for text in texts {
            assert!(text.contains("google") && !text.contains("subject-1"), "{text}");
        }
    }
}
