//! The command `firsthand`: the merchant's keys, the shop's database, what a registrar certified, and why an answer was
//! refused.

#[cfg(any(feature = "postgres", feature = "sqlite"))]
#[path = "firsthand/database.rs"]
mod database;
#[path = "firsthand/doctor.rs"]
mod doctor;
#[path = "firsthand/explain.rs"]
mod explain;

use std::{
    fs::{self, OpenOptions},
    io::{self, Write},
    path::{Path, PathBuf},
    process::ExitCode,
};

use firsthand::{
    env::{Env, SystemEnv},
    keys::{KeysError, KeysFile, signing_request},
    limits::Limits,
    protocol::registration::{RegistrationCertificate, RegistrationError},
};
use url::{Host, Url};
use zeroize::Zeroizing;

const HELP: &str = "\
firsthand: the keys and certificates of a merchant who uses Firsthand, and why an answer was refused

  firsthand keys new --origin URL [--out FILE]
      Makes a signing key and a root secret in FILE (default: merchant.pem), and a certificate
      request beside it (merchant.csr) to send to an access certificate authority.

  firsthand keys add-certificate FILE --chain CHAIN.pem [--later]
      Installs the certificates that the authority sent, leaf first, and makes them the current ones.
      With --later the current ones stay until the same is said without it.

  firsthand keys check FILE [--origin URL]
      Says what is in FILE, until when, and what is missing. Prints no secret.

  firsthand keys rotate-signing FILE [--origin URL] [--csr FILE]
      Adds a new signing key and writes its certificate request. The current one stays current until
      the new certificate is added, and answers to its requests are understood afterwards too.

  firsthand keys rotate-root FILE [--later]
      Adds a new root secret for everything that is sealed from now on. What was sealed before is
      still read. With --later the new one reads and seals nothing until the same is said without it.

  firsthand did FILE --origin URL [--log LOG]
      Begins the history of the shop's public identity (did:webvh) in LOG (default: did.jsonl), or adds
      what has changed in the keys of FILE. For a command that is built with the feature `webvh`; give
      LOG to the builder's .webvh(..).

  firsthand registration CERTIFICATE
      Says what a registration certificate (rc-wrp+jwt, from the registrar) allows to ask for, what for,
      and until when. Give it to the builder's .registration(ask, ..).

  firsthand explain --request FILE --response FILE [--key FILE] [--trust FOLDER --type TYPE] ...
      Says of one captured answer which checks hold and which fail, with the values that disagree.
      `firsthand explain --help` names all options.

  firsthand doctor --origin URL --keys FILE [--ask NAME] [--mount PATH]
      Looks at a shop from outside, as browsers and wallets come, and says what is wrong and what to
      do: whether this shop answers, TLS, what stands in front, clocks, certificates, the policy of
      its first page. NAME is an ask that the shop declares; PATH is /wallet unless said here.

  firsthand migrate [URL]
      Makes the tables of Firsthand in the database of URL (postgres://.. or sqlite://..), or what is
      missing of them. The shop does that itself when it opens; behind a pooler, such as PgBouncer, it
      does not: then say this before, with the URL of the server itself.

  firsthand restored [URL]
      Says that the database of URL was put back from a backup: once, before any program uses it. What
      may have ended since the backup was made ends: sessions, open questions to wallets, nonces.

Without URL, these two take DATABASE_URL of the environment; they are there in a command that is built
with the feature `postgres` or `sqlite`.

Existing files are never overwritten; FILE is readable by its owner alone. Whoever reads FILE can
pretend to be the merchant: keep it out of version control, and keep a copy in a safe place.
Restart the shop after a change, all nodes with the same file. Several nodes that are restarted one
after the other change without a pause in two steps: --later, restart all; without it, restart all.

Exit status: 0 done; 1 refused, `check` or `doctor` found a problem, or `explain` does not end with an answer that
holds; 2 not understood.
";

fn main() -> ExitCode {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let mut out = io::stdout().lock();
    match run(&args, &SystemEnv, &mut out) {
        Ok(code) => code,
        Err(error) => {
            // Nobody is left to tell if this fails too.
            let _ = writeln!(io::stderr(), "firsthand: {error}");
            match error {
                Error::Usage(_) => ExitCode::from(2),
                _ => ExitCode::from(1),
            }
        }
    }
}

#[derive(Debug, thiserror::Error)]
enum Error {
    #[error("{0}; see `firsthand --help`")]
    Usage(String),
    #[error("{}: {source}", path.display())]
    File { path: PathBuf, source: io::Error },
    #[error("{} exists already and is left alone: choose another name", .0.display())]
    Exists(PathBuf),
    #[error(transparent)]
    Keys(#[from] KeysError),
    #[error(transparent)]
    Trust(#[from] firsthand::trust::TrustError),
    #[error("{} is no private JWK on P-256", .0.display())]
    Key(PathBuf),
    #[cfg(feature = "webvh")]
    #[error(transparent)]
    Webvh(#[from] firsthand::webvh::WebvhError),
    #[error(transparent)]
    Registration(#[from] RegistrationError),
    #[error(transparent)]
    Merchant(#[from] firsthand::Error),
    #[cfg(any(feature = "postgres", feature = "sqlite"))]
    #[error(transparent)]
    Store(firsthand::store::StoreError),
    #[cfg(any(feature = "postgres", feature = "sqlite"))]
    #[error("that database holds nothing of Firsthand: is it the one that was put back?")]
    NothingThere,
    #[error("cannot write the answer: {0}")]
    Output(#[from] io::Error),
}

fn run(args: &[String], env: &dyn Env, out: &mut dyn Write) -> Result<ExitCode, Error> {
    let words: Vec<&str> = args.iter().map(String::as_str).collect();
    match words.as_slice() {
        [] | ["help" | "keys", ..] if words.len() < 2 => help(out),
        ["explain", "-h" | "--help", ..] => {
            out.write_all(explain::HELP.as_bytes())?;
            Ok(ExitCode::SUCCESS)
        }
        _ if words.iter().any(|word| matches!(*word, "-h" | "--help")) => help(out),
        ["-V" | "--version"] => {
            writeln!(out, "firsthand {}", env!("CARGO_PKG_VERSION"))?;
            Ok(ExitCode::SUCCESS)
        }
        ["keys", "new", rest @ ..] => new(&Options::parse(rest, &["--origin", "--out"])?, env, out),
        ["keys", "add-certificate", rest @ ..] => {
            let (later, rest) = later(rest);
            add_certificate(&Options::parse(&rest, &["--chain"])?, later, out)
        }
        ["keys", "check", rest @ ..] => check(&Options::parse(rest, &["--origin"])?, env, out),
        ["keys", "rotate-signing", rest @ ..] => rotate_signing(&Options::parse(rest, &["--origin", "--csr"])?, out),
        ["keys", "rotate-root", rest @ ..] => {
            let (later, rest) = later(rest);
            rotate_root(&Options::parse(&rest, &[])?, later, env, out)
        }
        ["doctor", rest @ ..] => {
            doctor::doctor(&Options::parse(rest, &["--origin", "--keys", "--ask", "--mount"])?, out)
        }
        #[cfg(any(feature = "postgres", feature = "sqlite"))]
        ["migrate", rest @ ..] => database::migrate(&Options::parse(rest, &[])?, out),
        #[cfg(any(feature = "postgres", feature = "sqlite"))]
        ["restored", rest @ ..] => database::restored(&Options::parse(rest, &[])?, out),
        ["explain", rest @ ..] => explain::explain(rest, env, out),
        #[cfg(feature = "webvh")]
        ["did", rest @ ..] => did(&Options::parse(rest, &["--origin", "--log"])?, env, out),
        ["registration", rest @ ..] => registration(&Options::parse(rest, &[])?, env, out),
        _ => Err(Error::Usage(format!("`firsthand {}` is no command", words.join(" ")))),
    }
}

fn help(out: &mut dyn Write) -> Result<ExitCode, Error> {
    out.write_all(HELP.as_bytes())?;
    Ok(ExitCode::SUCCESS)
}

fn new(options: &Options<'_>, env: &dyn Env, out: &mut dyn Write) -> Result<ExitCode, Error> {
    if !options.files.is_empty() {
        return Err(Error::Usage("`keys new` takes its file as --out FILE".to_owned()));
    }
    let origin = options.origin()?.ok_or_else(|| Error::Usage("`keys new` needs --origin URL".to_owned()))?;
    let path = PathBuf::from(options.value("--out").unwrap_or("merchant.pem"));
    let csr = path.with_extension("csr");
    // Before anything is made: a key without its request would be of little use.
    for path in [&path, &csr] {
        if path.exists() {
            return Err(Error::Exists(path.clone()));
        }
    }
    let file = KeysFile::generate(*random(env))?;
    let request = signing_request(file.waiting_key().ok_or(KeysError::NoSigningKey)?, &host(&origin)?)?;
    write_new(&path, file.to_pem().as_bytes())?;
    write_new(&csr, request.as_bytes())?;
    writeln!(out, "made {}: a signing key and a root secret, for you alone", path.display())?;
    writeln!(out, "made {}: send it to an access certificate authority, then run", csr.display())?;
    writeln!(out, "  firsthand keys add-certificate {} --chain CHAIN.pem", path.display())?;
    Ok(ExitCode::SUCCESS)
}

/// Whether a change waits for the other nodes, and the words but for that.
fn later<'a>(words: &[&'a str]) -> (bool, Vec<&'a str>) {
    let rest: Vec<&str> = words.iter().copied().filter(|word| *word != "--later").collect();
    (rest.len() < words.len(), rest)
}

fn add_certificate(options: &Options<'_>, later: bool, out: &mut dyn Write) -> Result<ExitCode, Error> {
    let path = options.file("add-certificate")?;
    let chain = options
        .value("--chain")
        .ok_or_else(|| Error::Usage("`keys add-certificate` needs --chain CHAIN.pem".to_owned()))?;
    let mut file = read_keys(path)?;
    let certificates = read(Path::new(chain))?;
    if later {
        file.install_behind(&certificates)?;
        replace(path, file.to_pem().as_bytes())?;
        writeln!(out, "added to {}, behind the current one: restart all nodes, then run", path.display())?;
        writeln!(out, "  firsthand keys add-certificate {} --chain {chain}", path.display())?;
        return Ok(ExitCode::SUCCESS);
    }
    file.install(&certificates)?;
    replace(path, file.to_pem().as_bytes())?;
    writeln!(out, "added to {}: the current certificate is for {}", path.display(), file.dns_names().join(", "))?;
    Ok(ExitCode::SUCCESS)
}

fn check(options: &Options<'_>, env: &dyn Env, out: &mut dyn Write) -> Result<ExitCode, Error> {
    let file = read_keys(options.file("check")?)?;
    let report = file.check(options.origin()?.as_ref(), env.now());
    for fact in &report.facts {
        writeln!(out, "{fact}")?;
    }
    for warning in &report.warnings {
        writeln!(out, "soon: {warning}")?;
    }
    for problem in &report.problems {
        writeln!(out, "PROBLEM: {problem}")?;
    }
    if report.problems.is_empty() {
        writeln!(out, "ready")?;
        return Ok(ExitCode::SUCCESS);
    }
    Ok(ExitCode::from(1))
}

fn rotate_signing(options: &Options<'_>, out: &mut dyn Write) -> Result<ExitCode, Error> {
    let path = options.file("rotate-signing")?;
    let mut file = read_keys(path)?;
    let name = match options.origin()? {
        Some(origin) => host(&origin)?,
        None => file.dns_names().first().cloned().ok_or_else(|| {
            Error::Usage("there is no certificate yet that names the host: add --origin URL".to_owned())
        })?,
    };
    let csr = options.value("--csr").map_or_else(|| path.with_extension("csr"), PathBuf::from);
    let request = signing_request(&file.add_signing_key()?, &name)?;
    // The request first: if it cannot be written, the keys stay as they are.
    write_new(&csr, request.as_bytes())?;
    replace(path, file.to_pem().as_bytes())?;
    writeln!(out, "added a signing key to {}; the current one stays until its certificate comes", path.display())?;
    writeln!(out, "made {}: send it to an access certificate authority, then run", csr.display())?;
    writeln!(out, "  firsthand keys add-certificate {} --chain CHAIN.pem", path.display())?;
    Ok(ExitCode::SUCCESS)
}

fn rotate_root(options: &Options<'_>, later: bool, env: &dyn Env, out: &mut dyn Write) -> Result<ExitCode, Error> {
    let path = options.file("rotate-root")?;
    let mut file = read_keys(path)?;
    if later {
        file.prepare_root_secret(*random(env))?;
        replace(path, file.to_pem().as_bytes())?;
        writeln!(out, "added the next root secret to {}: restart all nodes, then run", path.display())?;
        writeln!(out, "  firsthand keys rotate-root {}", path.display())?;
        return Ok(ExitCode::SUCCESS);
    }
    if !file.take_next_root_secret()? {
        file.add_root_secret(*random(env))?;
    }
    replace(path, file.to_pem().as_bytes())?;
    writeln!(out, "added a root secret to {}; what was sealed before is still read", path.display())?;
    Ok(ExitCode::SUCCESS)
}

#[cfg(feature = "webvh")]
fn did(options: &Options<'_>, env: &dyn Env, out: &mut dyn Write) -> Result<ExitCode, Error> {
    use firsthand::{Keys, webvh::WebvhLog};

    let keys = match options.files.as_slice() {
        [file] => Keys::from_pem(&read(Path::new(*file))?)?,
        _ => return Err(Error::Usage("`did` needs one FILE".to_owned())),
    };
    let origin = options.origin()?.ok_or_else(|| Error::Usage("`did` needs --origin URL".to_owned()))?;
    let path = PathBuf::from(options.value("--log").unwrap_or("did.jsonl"));
    if !path.exists() {
        let log = WebvhLog::begin(&origin, &keys, env.now())?;
        write_new(&path, log.as_str().as_bytes())?;
        writeln!(out, "made {}: the history of {}", path.display(), log.did())?;
        return Ok(ExitCode::SUCCESS);
    }
    match WebvhLog::parse(&read(&path)?)?.continued(&origin, &keys, env.now())? {
        Some(log) => {
            replace(&path, log.as_str().as_bytes())?;
            writeln!(out, "added entry {} to {}: restart the shop, all nodes", log.entries(), path.display())?;
        }
        None => writeln!(out, "{} says already what the keys are", path.display())?,
    }
    Ok(ExitCode::SUCCESS)
}

fn registration(options: &Options<'_>, env: &dyn Env, out: &mut dyn Write) -> Result<ExitCode, Error> {
    let [path] = options.files.as_slice() else {
        return Err(Error::Usage("`registration` needs one CERTIFICATE".to_owned()));
    };
    let certificate = RegistrationCertificate::parse(&read(Path::new(*path))?, &Limits::default())?;
    if let Some(name) = certificate.intended_use() {
        writeln!(out, "intended use: {name}")?;
    }
    for purpose in certificate.purposes() {
        writeln!(out, "purpose ({}): {}", purpose.lang, purpose.text)?;
    }
    for credential in certificate.credentials() {
        writeln!(out, "{} {}", credential.format, credential.types.join(" or "))?;
        match &credential.claims {
            None => writeln!(out, "  all claims")?,
            Some(claims) => {
                for claim in claims {
                    writeln!(out, "  {}", serde_json::Value::Array(claim.clone()))?;
                }
            }
        }
    }
    match certificate.expires_at() {
        Some(at) if at <= env.now() => {
            writeln!(out, "PROBLEM: it expired at {at}: ask the registrar for a new one")?;
            return Ok(ExitCode::from(1));
        }
        Some(at) => writeln!(out, "valid until {at}")?,
        None => writeln!(out, "valid until the registrar revokes it")?,
    }
    Ok(ExitCode::SUCCESS)
}

/// The words after a command.
struct Options<'a> {
    files: Vec<&'a str>,
    values: Vec<(&'a str, &'a str)>,
}

impl<'a> Options<'a> {
    fn parse(words: &[&'a str], known: &[&str]) -> Result<Self, Error> {
        let mut options = Self { files: Vec::new(), values: Vec::new() };
        let mut words = words.iter().copied();
        while let Some(word) = words.next() {
            if !word.starts_with('-') {
                options.files.push(word);
                continue;
            }
            let (name, value) = match word.split_once('=') {
                Some((name, value)) => (name, Some(value)),
                None => (word, None),
            };
            if !known.contains(&name) {
                return Err(Error::Usage(format!("{name} is no option here")));
            }
            if options.value(name).is_some() {
                return Err(Error::Usage(format!("{name} is there twice")));
            }
            let value = value.or_else(|| words.next()).ok_or_else(|| Error::Usage(format!("{name} needs a value")))?;
            options.values.push((name, value));
        }
        Ok(options)
    }

    fn value(&self, name: &str) -> Option<&'a str> {
        self.values.iter().find(|(known, _)| *known == name).map(|(_, value)| *value)
    }

    fn file(&self, command: &str) -> Result<&'a Path, Error> {
        match self.files.as_slice() {
            [file] => Ok(Path::new(*file)),
            _ => Err(Error::Usage(format!("`keys {command}` needs one FILE"))),
        }
    }

    fn origin(&self) -> Result<Option<Url>, Error> {
        let Some(origin) = self.value("--origin") else { return Ok(None) };
        match Url::parse(origin) {
            Ok(url) if matches!(url.scheme(), "https" | "http") => Ok(Some(url)),
            _ => Err(Error::Usage(format!("{origin:?} is no origin such as https://shop.example"))),
        }
    }
}

/// The name that a certificate can be for.
fn host(origin: &Url) -> Result<String, KeysError> {
    match origin.host() {
        Some(Host::Domain(host)) => Ok(host.to_owned()),
        _ => Err(KeysError::Origin(origin.to_string())),
    }
}

fn random(env: &dyn Env) -> Zeroizing<[u8; 32]> {
    let mut bytes = Zeroizing::new([0; 32]);
    env.fill(&mut *bytes);
    bytes
}

fn read_keys(path: &Path) -> Result<KeysFile, Error> {
    Ok(KeysFile::parse(&read(path)?)?)
}

fn read(path: &Path) -> Result<Zeroizing<String>, Error> {
    fs::read_to_string(path).map(Zeroizing::new).map_err(|source| Error::File { path: path.to_owned(), source })
}

/// Writes a file that was not there, for its owner alone.
fn write_new(path: &Path, bytes: &[u8]) -> Result<(), Error> {
    let mut options = OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    let write = || {
        let mut file = options.open(path)?;
        file.write_all(bytes)?;
        file.sync_all()
    };
    write().map_err(|source| match source.kind() {
        io::ErrorKind::AlreadyExists => Error::Exists(path.to_owned()),
        _ => Error::File { path: path.to_owned(), source },
    })
}

/// Puts a new text in the place of an old one at once: a machine that stops halfway loses no key.
fn replace(path: &Path, bytes: &[u8]) -> Result<(), Error> {
    // A file that an earlier run left behind must not stand in the way.
    let new = path.with_extension(format!("{}.new", std::process::id()));
    write_new(&new, bytes)?;
    fs::rename(&new, path).map_err(|source| {
        let _ = fs::remove_file(&new);
        Error::File { path: path.to_owned(), source }
    })
}

#[cfg(test)]
mod tests {
    use firsthand::{keys::Keys, time::UnixTime};

    use super::*;

    #[derive(Debug)]
    struct Still;

    impl Env for Still {
        fn now(&self) -> UnixTime {
            UnixTime::from_secs(1_793_500_000)
        }

        fn fill(&self, bytes: &mut [u8]) {
            bytes.fill(7);
        }
    }

    /// A folder of its own for each test, removed at the end.
    struct Folder(PathBuf);

    impl Folder {
        fn new(name: &str) -> Self {
            let path = std::env::temp_dir().join(format!("firsthand-{name}-{}", std::process::id()));
            let _ = fs::remove_dir_all(&path);
            fs::create_dir(&path).unwrap();
            Self(path)
        }

        fn path(&self, name: &str) -> String {
            self.0.join(name).display().to_string()
        }
    }

    impl Drop for Folder {
        fn drop(&mut self) {
            let _ = fs::remove_dir_all(&self.0);
        }
    }

    fn firsthand(args: &[&str]) -> Result<(String, bool), Error> {
        let args: Vec<String> = args.iter().map(|&word| word.to_owned()).collect();
        let mut out = Vec::new();
        let code = run(&args, &Still, &mut out)?;
        Ok((String::from_utf8(out).unwrap(), code == ExitCode::SUCCESS))
    }

    #[test]
    fn a_registration_certificate_says_what_may_be_asked() {
        use firsthand::protocol::jose::base64url_encode;
        let folder = Folder::new("registration");
        let (part, path) = (|text: &str| base64url_encode(text.as_bytes()), folder.path("age.jwt"));
        let written = |exp: u64| {
            let claims = format!(
                r#"{{"exp":{exp},"purpose":[{{"lang":"en","content":"Wine is sold to adults"}}],"credentials":[{{"format":
                "dc+sd-jwt","meta":{{"vct_values":["urn:eudi:pid:1"]}},"claims":[{{"path":["birthdate"]}}]}}]}}"#
            );
            let header = part(r#"{"typ":"rc-wrp+jwt","alg":"ES256"}"#);
            fs::write(&path, format!("{header}.{}.AA\n", part(&claims))).unwrap();
        };
        written(1_800_000_000);
        let (said, well) = firsthand(&["registration", &path]).unwrap();
        assert!(
            well && said.contains("Wine is sold to adults") && said.contains("urn:eudi:pid:1\n  [\"birthdate\"]"),
            "{said}"
        );
        written(1_700_000_000);
        let (said, well) = firsthand(&["registration", &path]).unwrap();
        assert!(!well && said.contains("PROBLEM: it expired"), "{said}");
        fs::write(&path, "e30.e30.AA").unwrap();
        assert!(matches!(firsthand(&["registration", &path]), Err(Error::Registration(_))));
        assert!(matches!(firsthand(&["registration"]), Err(Error::Usage(_))));
    }

    #[test]
    fn new_keys_wait_for_a_certificate_and_overwrite_nothing() {
        let folder = Folder::new("new");
        let pem = folder.path("shop.pem");
        let new = ["keys", "new", "--origin", "https://shop.example", "--out", &pem];
        let (said, done) = firsthand(&new).unwrap();
        assert!(done && said.contains("add-certificate"), "{said}");
        assert!(
            fs::read_to_string(folder.path("shop.csr")).unwrap().starts_with("-----BEGIN CERTIFICATE REQUEST-----")
        );
        #[cfg(unix)]
        {
            use std::os::unix::fs::PermissionsExt;
            assert_eq!(fs::metadata(&pem).unwrap().permissions().mode() & 0o777, 0o600);
        }
        let before = fs::read(&pem).unwrap();
        assert!(matches!(firsthand(&new), Err(Error::Exists(_))));
        assert_eq!(fs::read(&pem).unwrap(), before);

        let (said, ready) = firsthand(&["keys", "check", &pem]).unwrap();
        assert!(!ready && said.contains("no certificate yet"), "{said}");
        assert!(matches!(Keys::from_pem_file(&pem), Err(KeysError::NoCertificate)));
    }

    #[cfg(feature = "testing")]
    #[test]
    fn a_certificate_makes_keys_ready_and_each_key_can_be_renewed() {
        use firsthand::{
            protocol::jose::SigningKey,
            testing::authority::{Authority, Leaf, certificate_pem},
        };

        let folder = Folder::new("renew");
        let (pem, chain_file) = (folder.path("merchant.pem"), folder.path("chain.pem"));
        let authority = Authority::new("Access CA", Still.now());
        let certify = || {
            let file = read_keys(Path::new(&pem)).unwrap();
            let key = SigningKey::from_pkcs8_der(file.waiting_key().unwrap()).unwrap();
            let leaf = Leaf::new("Shop", Still.now()).dns_name("shop.example");
            let mut chain = authority.certify(&leaf, key.public_key());
            chain.push(authority.root_der().to_vec());
            fs::write(&chain_file, chain.iter().map(|der| certificate_pem(der)).collect::<String>()).unwrap();
        };
        firsthand(&["keys", "new", "--origin=https://shop.example", "--out", &pem]).unwrap();
        certify();
        firsthand(&["keys", "add-certificate", &pem, "--chain", &chain_file]).unwrap();
        let check = |origin: &str| firsthand(&["keys", "check", &pem, "--origin", origin]).unwrap();
        let (said, ready) = check("https://shop.example");
        assert!(ready && said.contains("ready") && said.contains("shop.example"), "{said}");
        let (said, ready) = check("https://other.example");
        assert!(!ready && said.contains("not for other.example"), "{said}");
        let first = Keys::from_pem_file(&pem).unwrap();
        let sealed = first.seal("test", b"record", b"text", [1; 12]);

        // In two steps, for nodes that are started one after the other: whoever has the second file reads what whoever has the
        // third one seals, and the other way round.
        firsthand(&["keys", "rotate-root", &pem, "--later"]).unwrap();
        let between = Keys::from_pem_file(&pem).unwrap();
        assert!(firsthand(&["keys", "rotate-root", &pem, "--later"]).is_err(), "there is a next one");
        assert!(check("https://shop.example").0.contains("next root secret: reads already"));
        let said = between.seal("test", b"record", b"text", [2; 12]);
        assert_eq!(first.open("test", b"record", &said).unwrap(), b"text", "nothing is sealed under it yet");
        firsthand(&["keys", "rotate-root", &pem]).unwrap();
        let after = Keys::from_pem_file(&pem).unwrap();
        let said = after.seal("test", b"record", b"text", [3; 12]);
        assert_eq!(between.open("test", b"record", &said).unwrap(), b"text");
        assert_eq!(between.derive_all("nonce", b"").len(), after.derive_all("nonce", b"").len());

        fs::remove_file(folder.path("merchant.csr")).unwrap();
        firsthand(&["keys", "rotate-root", &pem]).unwrap();
        firsthand(&["keys", "rotate-signing", &pem]).unwrap();
        let waiting = Keys::from_pem_file(&pem).unwrap();
        assert_eq!(waiting.identity().leaf(), first.identity().leaf());
        certify();
        firsthand(&["keys", "add-certificate", &pem, "--chain", &chain_file, "--later"]).unwrap();
        let known = Keys::from_pem_file(&pem).unwrap();
        assert_eq!(known.identity().leaf(), first.identity().leaf());
        assert_eq!(known.identities().len(), 2, "whoever was told the new one is understood");
        let twice = ["keys", "add-certificate", &pem, "--chain", &chain_file];
        assert!(firsthand(&[&twice[..], &["--later"]].concat()).is_err());
        firsthand(&twice).unwrap();
        assert!(matches!(firsthand(&twice), Err(Error::Keys(KeysError::CertificateKnown))));
        let second = Keys::from_pem_file(&pem).unwrap();
        assert_ne!(second.identity().leaf(), first.identity().leaf());
        assert!(second.identity_by_leaf(&first.identity().leaf().fingerprint()).is_some());
        assert_eq!(second.open("test", b"record", &sealed).unwrap(), b"text");
    }

    #[test]
    fn what_is_not_understood_is_said() {
        for words in [
            &["pay"][..],
            &["keys", "burn"],
            &["keys", "new"],
            &["keys", "new", "--origin", "shop.example"],
            &["keys", "new", "--origin"],
            &["keys", "new", "--origin", "https://a.example", "--origin", "https://b.example"],
            &["keys", "check"],
            &["keys", "check", "a", "b"],
            &["keys", "check", "a", "--out", "b"],
            &["keys", "check", "a", "--later"],
            &["restored", "mysql://shop"],
            &["restored", "sqlite:a", "sqlite:b"],
            &["migrate", "shop.db"],
            &["doctor"],
            &["doctor", "--origin", "https://shop.example"],
            &["doctor", "--keys", "a"],
            &["doctor", "a", "--origin", "https://shop.example", "--keys", "a"],
        ] {
            assert!(matches!(firsthand(words), Err(Error::Usage(_))), "{words:?}");
        }
        assert!(matches!(
            firsthand(&["keys", "new", "--origin", "https://192.0.2.1", "--out", "/nowhere/x.pem"]),
            Err(Error::Keys(KeysError::Origin(_)))
        ));
        for words in [&[][..], &["--help"], &["keys"], &["keys", "new", "--help"]] {
            assert_eq!(firsthand(words).unwrap().0, HELP);
        }
    }
}
