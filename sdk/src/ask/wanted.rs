//! One credential that an ask wants, in whichever formats a wallet may hold it.

/// The format identifiers of OpenID4VP, annex B.
pub(crate) const SD_JWT_VC: &str = "dc+sd-jwt";
pub(crate) const MSO_MDOC: &str = "mso_mdoc";
const JWT_VC_JSON: &str = "jwt_vc_json";
const LDP_VC: &str = "ldp_vc";

/// A credential that an ask wants, in one format, always from the hands of its holder: the wallet proves the key it is
/// bound to.
///
/// A wallet answers in whatever it has. What [`or`](Self::or) adds are the same facts in other formats, in the order in
/// which the merchant would rather have them, and a claim has one name in all of them: the merchant reads
/// `given_name`, whichever format it came in.
///
/// ```
/// use firsthand::ask::Wanted;
///
/// let name = Wanted::sd_jwt_vc("urn:eudi:pid:1")
///     .claim(["given_name"])
///     .or(Wanted::mdoc("org.iso.18013.5.1.mDL", "org.iso.18013.5.1").claim(["given_name"]));
/// assert_eq!(name.names().count(), 1);
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
#[must_use]
pub struct Wanted {
    format: &'static str,
    types: Vec<String>,
    /// Where the claims stand: the namespace of an mdoc, the subject of a W3C credential.
    within: Option<String>,
    all_of: Vec<Asked>,
    one_of: Vec<Asked>,
}

/// The same facts in several formats or documents, each with its claims: one of them is enough. Made of [`Wanted`].
#[derive(Clone, Debug, PartialEq, Eq)]
#[must_use]
pub struct AnyOf(Vec<Wanted>);

/// What an ask wants under one id, by which its claims are read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AskedFor {
    id: String,
    any_of: AnyOf,
}

/// A claim, by what the merchant calls it and by where it stands in this format.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Asked {
    name: Vec<String>,
    path: Vec<String>,
}

impl Wanted {
    /// A credential in the format `dc+sd-jwt` of the type `vct`. Claims are named by their path from the top.
    pub fn sd_jwt_vc(vct: impl Into<String>) -> Self {
        Self::of(SD_JWT_VC, vct.into(), None)
    }

    /// A credential in the format `mso_mdoc` (ISO/IEC 18013-5) of a document type. Claims are the elements of one
    /// namespace, named by their identifier.
    pub fn mdoc(doctype: impl Into<String>, namespace: impl Into<String>) -> Self {
        Self::of(MSO_MDOC, doctype.into(), Some(namespace.into()))
    }

    /// A W3C credential secured as a JWT (`jwt_vc_json`) that has this type beside `VerifiableCredential`. Claims are
    /// named by their path within `credentialSubject`.
    pub fn jwt_vc(kind: impl Into<String>) -> Self {
        Self::of(JWT_VC_JSON, kind.into(), Some("credentialSubject".to_owned()))
    }

    /// A W3C credential secured by a Data Integrity proof (`ldp_vc`), otherwise as [`jwt_vc`](Self::jwt_vc).
    pub fn ldp_vc(kind: impl Into<String>) -> Self {
        Self::of(LDP_VC, kind.into(), Some("credentialSubject".to_owned()))
    }

    fn of(format: &'static str, kind: String, within: Option<String>) -> Self {
        Self { format, types: vec![kind], within, all_of: Vec::new(), one_of: Vec::new() }
    }

    /// Also accepts a credential of this type, with the same claims.
    pub fn or_type(mut self, kind: impl Into<String>) -> Self {
        self.types.push(kind.into());
        self
    }

    /// Asks for a claim, by its path.
    pub fn claim<P: Into<String>>(self, path: impl IntoIterator<Item = P>) -> Self {
        let path: Vec<String> = path.into_iter().map(Into::into).collect();
        self.claim_as(path.clone(), path)
    }

    /// Asks for a claim that the merchant reads as `name` and this format calls `path`.
    pub fn claim_as<N: Into<String>, P: Into<String>>(
        mut self,
        name: impl IntoIterator<Item = N>,
        path: impl IntoIterator<Item = P>,
    ) -> Self {
        self.all_of.push(Asked::new(name, path));
        self
    }

    /// Asks for a claim that may stand in for the others named so; the wallet gives the first that it has.
    pub fn either<P: Into<String>>(self, path: impl IntoIterator<Item = P>) -> Self {
        let path: Vec<String> = path.into_iter().map(Into::into).collect();
        self.either_as(path.clone(), path)
    }

    /// The same for a claim that the merchant reads as `name`.
    pub fn either_as<N: Into<String>, P: Into<String>>(
        mut self,
        name: impl IntoIterator<Item = N>,
        path: impl IntoIterator<Item = P>,
    ) -> Self {
        self.one_of.push(Asked::new(name, path));
        self
    }

    /// Also takes what the other describes: the same facts in another format, or from another document.
    pub fn or(self, other: impl Into<AnyOf>) -> AnyOf {
        AnyOf::from(self).or(other)
    }

    /// Its format identifier in OpenID4VP, annex B.
    #[must_use]
    pub const fn format(&self) -> &'static str {
        self.format
    }

    /// The credential types that are taken: `vct` values, document types, or W3C types.
    #[must_use]
    pub fn types(&self) -> &[String] {
        &self.types
    }

    /// The claims that are all asked for, then those of which one is enough, by their paths from the top of the
    /// credential.
    #[must_use]
    pub fn paths(&self) -> (Vec<Vec<String>>, Vec<Vec<String>>) {
        let full = |asked: &Asked| self.within.iter().chain(&asked.path).cloned().collect();
        (self.all_of.iter().map(full).collect(), self.one_of.iter().map(full).collect())
    }

    /// What the merchant calls the claim at a path from the top of the credential.
    pub(crate) fn name_of(&self, path: &[&str]) -> Option<&[String]> {
        let inner = match (&self.within, path.split_first()) {
            (None, _) => path,
            (Some(within), Some((first, inner))) if first == within => inner,
            _ => return None,
        };
        let found = self.all_of.iter().chain(&self.one_of).find(|asked| asked.path == inner)?;
        Some(&found.name)
    }

    /// Both in one: the claims of both, of a credential that is wanted by both. None if one query cannot say it: another
    /// credential, or two lists of which each has its own first that a wallet gives.
    pub(crate) fn united(&self, other: &Self) -> Option<Self> {
        if (self.format, &self.types, &self.within) != (other.format, &other.types, &other.within) {
            return None;
        }
        let paths = |one_of: &[Asked]| one_of.iter().map(|asked| asked.path.clone()).collect::<Vec<_>>();
        let one_of = match (self.one_of.as_slice(), other.one_of.as_slice()) {
            (own, []) => own,
            ([], its) => its,
            (own, its) if paths(own) == paths(its) => own,
            _ => return None,
        };
        let mut all_of = self.all_of.clone();
        for asked in &other.all_of {
            if !all_of.iter().any(|known| known.path == asked.path) {
                all_of.push(asked.clone());
            }
        }
        Some(Self { all_of, one_of: one_of.to_vec(), ..self.clone() })
    }

    /// Whether showing claims of these names answers it.
    pub(crate) fn is_answered_by(&self, shown: impl Fn(&str) -> bool) -> bool {
        let is_shown = |asked: &Asked| asked.name.first().is_some_and(|name| shown(name));
        self.all_of.iter().all(is_shown) && (self.one_of.is_empty() || self.one_of.iter().any(is_shown))
    }
}

/// An mdoc is asked for by one document type at a time, so one of several is asked for in each.
impl From<Wanted> for AnyOf {
    fn from(wanted: Wanted) -> Self {
        if wanted.format != MSO_MDOC {
            return Self(vec![wanted]);
        }
        let each = |kind: &String| Wanted { types: vec![kind.clone()], ..wanted.clone() };
        Self(wanted.types.iter().map(each).collect())
    }
}

impl AnyOf {
    /// Also takes what the other describes.
    pub fn or(mut self, other: impl Into<Self>) -> Self {
        self.0.extend(other.into().0);
        self
    }

    /// The formats in which it is taken, the one that the merchant would rather have first.
    pub fn alternatives(&self) -> &[Wanted] {
        &self.0
    }

    /// The claims asked for, by the names under which they are read, each once.
    pub fn names(&self) -> impl Iterator<Item = &[String]> {
        let mut names: Vec<&[String]> = Vec::new();
        for name in self.0.iter().flat_map(|one| one.all_of.iter().chain(&one.one_of)).map(|a| &*a.name) {
            if !names.contains(&name) {
                names.push(name);
            }
        }
        names.into_iter()
    }
}

impl AskedFor {
    pub(crate) fn new(id: impl Into<String>, any_of: impl Into<AnyOf>) -> Self {
        Self { id: id.into(), any_of: any_of.into() }
    }

    pub(super) fn add(&mut self, other: impl Into<AnyOf>) {
        self.any_of.0.extend(other.into().0);
    }

    /// The id by which its claims are read.
    #[must_use]
    pub fn id(&self) -> &str {
        &self.id
    }

    /// What is taken, the one that the merchant would rather have first.
    pub fn alternatives(&self) -> &[Wanted] {
        self.any_of.alternatives()
    }

    /// The claims asked for, by the names under which they are read, each once.
    pub fn names(&self) -> impl Iterator<Item = &[String]> {
        self.any_of.names()
    }

    /// The alternatives that `can` be asked for, each with the id of its credential query: that of the credential for the
    /// first, and numbered from 2 on for the others.
    pub(crate) fn queries<'a>(
        &'a self,
        can: impl Fn(&Wanted) -> bool + 'a,
    ) -> impl Iterator<Item = (String, &'a Wanted)> {
        self.alternatives()
            .iter()
            .filter(move |one| can(one))
            .enumerate()
            .map(move |(at, one)| (self.query_id(at), one))
    }

    /// The id of the credential query for the alternative at this place among those that can be asked for.
    pub(super) fn query_id(&self, at: usize) -> String {
        if at == 0 { self.id.clone() } else { format!("{}-{}", self.id, at + 1) }
    }
}

impl Asked {
    fn new<N: Into<String>, P: Into<String>>(
        name: impl IntoIterator<Item = N>,
        path: impl IntoIterator<Item = P>,
    ) -> Self {
        Self { name: name.into_iter().map(Into::into).collect(), path: path.into_iter().map(Into::into).collect() }
    }
}
