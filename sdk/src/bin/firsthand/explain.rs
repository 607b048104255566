//! `firsthand explain`: why an answer was refused.

use std::{
    fs::File,
    io::{Read, Write},
    path::Path,
    process::ExitCode,
};

use firsthand::{
    env::Env,
    explain::{Captured, Outcome},
    limits::Limits,
    protocol::{
        did::Did,
        jose::{DecryptionKey, base64url_decode},
    },
    time::UnixTime,
    trust::Trust,
};
use serde_json::Value;
use url::Url;
use zeroize::Zeroizing;

use super::Error;

/// The largest file that is read, in bytes: a status list is by far the largest of them.
const FILE_BYTES_MAX: u64 = 8 * 1024 * 1024;

pub(super) const HELP: &str = "\
firsthand explain: why an answer was refused

  firsthand explain --request FILE --response FILE [--key FILE] [--trust FOLDER --type TYPE] ...

Makes every check of one captured answer, and says of each whether it holds, with what was expected
and what was found. Nothing is fetched. It shows the names of claims and no values.

  --request FILE      the request object, its claims, or the request of the browser's API
  --response FILE     the form that was posted, the JWE in it, its content, or vp_token
  --key FILE          the private key that the answer is encrypted to, a JWK, or a set of them
  --trust FOLDER      roots of issuers, as in Trust::from_pem_dir
  --issuer FILE       the metadata of an issuer that is trusted by its URL, or the document of a DID;
                      may be repeated
  --did DID           an issuer that is trusted by its DID; may be repeated
  --type TYPE         what they are trusted for; may be repeated
  --national A=B      credentials of the type A count as B; may be repeated
  --status-list FILE  a status list token; may be repeated
  --origin URL        the page that asked by the browser's API
  --over YEARS        the age that the ask demands
  --at TIME           when the answer came: 2026-11-23T12:00:00Z, or seconds since 1970;
                      now, if it is left out
  --show-claims       shows what the customer showed: personal data
  --json              the same as JSON

Exit status: 0 accepted, or declined by the wallet; 1 refused, or not everything could be checked;
2 not understood.
";

/// Reads the options and the files, and prints the tree. Refused and undecided answers end with status 1.
pub(super) fn explain(words: &[&str], env: &dyn Env, out: &mut dyn Write) -> Result<ExitCode, Error> {
    let options = Options::parse(words)?;
    let request = read(options.needed("--request")?)?;
    let response = read(options.needed("--response")?)?;
    let keys = options.one("--key")?.map_or_else(|| Ok(Vec::new()), |path| decryption_keys(Path::new(path)))?;
    let documents = options.files("--issuer")?;
    let lists = options.files("--status-list")?;
    let trust = trust(&options, &documents)?;
    let now = options.one("--at")?.map_or_else(|| Ok(env.now()), time)?;

    let mut captured = Captured::new(&request, &response, &trust, now);
    for key in &keys {
        captured = captured.key(key);
    }
    if let Some(origin) = options.one("--origin")? {
        captured = captured.origin(origin.trim_end_matches('/'));
    }
    if let Some(years) = options.one("--over")? {
        let years = years.parse().map_err(|_| Error::Usage(format!("{years:?} is no number of years")))?;
        captured = captured.over(years);
    }
    for document in &documents {
        captured = captured.issuer_document(document);
    }
    for list in &lists {
        captured = captured.status_list(list);
    }
    if options.show_claims {
        captured = captured.show_claims();
    }
    let explanation = captured.explain();
    if options.json {
        let json = serde_json::to_string_pretty(&explanation).map_err(std::io::Error::other)?;
        writeln!(out, "{json}")?;
    } else {
        write!(out, "{explanation}")?;
    }
    Ok(match explanation.outcome {
        Outcome::Accepted | Outcome::Declined { .. } => ExitCode::SUCCESS,
        _ => ExitCode::from(1),
    })
}

/// The words after the command; what may be repeated is, in the order in which it was said.
struct Options<'a> {
    values: Vec<(&'a str, &'a str)>,
    show_claims: bool,
    json: bool,
}

impl<'a> Options<'a> {
    const KNOWN: [&'static str; 12] = [
        "--request",
        "--response",
        "--key",
        "--trust",
        "--issuer",
        "--did",
        "--type",
        "--national",
        "--status-list",
        "--origin",
        "--over",
        "--at",
    ];

    fn parse(words: &[&'a str]) -> Result<Self, Error> {
        let mut options = Self { values: Vec::new(), show_claims: false, json: false };
        let mut words = words.iter().copied();
        while let Some(word) = words.next() {
            match word {
                "--show-claims" => options.show_claims = true,
                "--json" => options.json = true,
                _ => {
                    let (name, value) = word.split_once('=').map_or((word, None), |(name, value)| (name, Some(value)));
                    if !Self::KNOWN.contains(&name) {
                        return Err(Error::Usage(format!("{name} is no option here")));
                    }
                    let value = value.or_else(|| words.next());
                    let value = value.ok_or_else(|| Error::Usage(format!("{name} needs a value")))?;
                    options.values.push((name, value));
                }
            }
        }
        Ok(options)
    }

    fn all(&self, name: &str) -> impl Iterator<Item = &'a str> {
        self.values.iter().filter(move |(known, _)| *known == name).map(|(_, value)| *value)
    }

    fn one(&self, name: &str) -> Result<Option<&'a str>, Error> {
        let mut all = self.all(name);
        let first = all.next();
        match all.next() {
            Some(_) => Err(Error::Usage(format!("{name} is there twice"))),
            None => Ok(first),
        }
    }

    fn needed(&self, name: &str) -> Result<&'a Path, Error> {
        let value = self.one(name)?.ok_or_else(|| Error::Usage(format!("`explain` needs {name} FILE")))?;
        Ok(Path::new(value))
    }

    fn files(&self, name: &str) -> Result<Vec<Vec<u8>>, Error> {
        self.all(name).map(|path| read(Path::new(path))).collect()
    }
}

/// Who is believed: the roots of a folder, and the issuers whose metadata is given.
fn trust(options: &Options<'_>, documents: &[Vec<u8>]) -> Result<Trust, Error> {
    let types: Vec<&str> = options.all("--type").collect();
    let mut trust = match options.one("--trust")? {
        Some(_) if types.is_empty() => {
            return Err(Error::Usage("--trust needs --type TYPE: what its issuers are trusted for".to_owned()));
        }
        Some(folder) => Trust::from_pem_dir(folder, &types)?,
        None => Trust::new(),
    };
    // What an operator debugs may well be a shop on this machine.
    trust = trust.danger_loopback();
    for document in documents {
        // A key set names no issuer: it belongs to one whose metadata does.
        let document: Value = serde_json::from_slice(document).unwrap_or_default();
        if let Some(issuer) = document.get("issuer").and_then(Value::as_str) {
            let url = Url::parse(issuer).map_err(|_| Error::Usage(format!("{issuer:?} is no URL of an issuer")))?;
            trust = trust.issuer(url, &types)?;
        }
    }
    for did in options.all("--did") {
        let did = Did::parse(did, &Limits::default()).map_err(|e| Error::Usage(format!("{did:?} is no DID: {e}")))?;
        trust = trust.did(did, &types)?;
    }
    for national in options.all("--national") {
        let (kind, base) =
            national.split_once('=').ok_or_else(|| Error::Usage("--national needs TYPE=BASE".to_owned()))?;
        trust = trust.national(kind, base);
    }
    Ok(trust)
}

/// The keys in a JWK, or in a set of them.
fn decryption_keys(path: &Path) -> Result<Vec<DecryptionKey>, Error> {
    let text = Zeroizing::new(read(path)?);
    let jwk: Value = serde_json::from_slice(&text).map_err(|_| Error::Key(path.to_owned()))?;
    match jwk.get("keys").and_then(Value::as_array) {
        Some(several) => several.iter().map(|jwk| decryption_key(path, jwk)).collect(),
        None => Ok(vec![decryption_key(path, &jwk)?]),
    }
}

/// The key in a JWK: the private scalar, and the name that it has in the request.
fn decryption_key(path: &Path, jwk: &Value) -> Result<DecryptionKey, Error> {
    let refuse = || Error::Key(path.to_owned());
    let member = |name: &str| jwk.get(name).and_then(Value::as_str);
    let scalar = Zeroizing::new(base64url_decode(member("d").ok_or_else(refuse)?).map_err(|_| refuse())?);
    let scalar: &[u8; 32] = scalar.as_slice().try_into().map_err(|_| refuse())?;
    if member("crv") != Some("P-256") {
        return Err(refuse());
    }
    DecryptionKey::from_scalar(scalar, member("kid").unwrap_or_default()).map_err(|_| refuse())
}

fn time(text: &str) -> Result<UnixTime, Error> {
    let seconds = text.parse().ok().or_else(|| Some(text.parse::<jiff::Timestamp>().ok()?.as_second()));
    seconds.map(UnixTime::from_secs).ok_or_else(|| Error::Usage(format!("{text:?} is no time")))
}

/// A file of at most [`FILE_BYTES_MAX`].
fn read(path: &Path) -> Result<Vec<u8>, Error> {
    let failed = |source| Error::File { path: path.to_owned(), source };
    let mut bytes = Vec::new();
    File::open(path).and_then(|file| file.take(FILE_BYTES_MAX + 1).read_to_end(&mut bytes)).map_err(failed)?;
    if bytes.len() as u64 > FILE_BYTES_MAX {
        return Err(failed(std::io::Error::other(format!("it has more than {FILE_BYTES_MAX} bytes"))));
    }
    Ok(bytes)
}
