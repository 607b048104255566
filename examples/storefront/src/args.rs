//! The flags of the program.

use std::{
    fmt,
    net::{SocketAddr, ToSocketAddrs},
    path::PathBuf,
};

use firsthand_axum::{
    merchant::ClientIdPrefix,
    protocol::openid4vp::ResponseMode,
    rail::{Sepa, sepa::SepaError},
};
use url::Url;

/// What `--help` says.
pub const HELP: &str = "\
A tea and wine shop that knows its customers without cookies.

Usage: storefront [FLAGS]

  --listen ADDR              where to listen [default: 127.0.0.1:8080]
  --origin URL               the address that customers see [default: http://localhost:PORT]
  --data DIR                 where the SQLite file and the development keys are kept [default: storefront-data]
  --store URL                a database instead of that file: sqlite:FILE or postgres://USER@HOST/NAME
  --trust DIR                PEM files of issuers to believe, in addition to the development issuer
  --keys FILE                the merchant's keys; needed for every address that is not this machine
  --sepa-payee NAME          whose account the transfers go to, as the bank knows it; needed with --keys
  --sepa-iban IBAN           the account; needed with --keys [default: an example that belongs to nobody]
  --operator-key-file FILE   what opens the desk at /merchant [default: operator.key beside the data, made at first]
  --client-id-prefix PREFIX  how a wallet is told who asks: x509_hash (default), x509_san_dns,
                             decentralized_identifier (the shop's did:web) or redirect_uri (unsigned)
  --response-mode MODE       how a wallet answers: direct_post.jwt (default) or direct_post
  --registration LANG        print what to register as a relying party in the EU for what is asked, in JSON, and end;
                             LANG is the language that the purposes are written in (here: en)
  --help                     this text

With STOREFRONT_OPERATIONS=127.0.0.1:9090 in the environment, metrics, health, readiness and the doctor's findings are
there: at /metrics, /health, /ready and /doctor, for whoever runs the shop.
";

/// The flags, read and checked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Args {
    /// Where to listen.
    pub listen: SocketAddr,
    /// The address that customers see: scheme, host, port, and nothing behind it.
    pub origin: Url,
    /// Where files are kept.
    pub data: PathBuf,
    /// The database, if it is not the file in [`Self::data`].
    pub store: Option<String>,
    /// A folder of PEM roots to believe.
    pub trust: Option<PathBuf>,
    /// The merchant's keys.
    pub keys: Option<PathBuf>,
    /// Whose account the transfers go to.
    pub sepa_payee: String,
    /// The account.
    pub sepa_iban: String,
    /// The file of the key that opens the desk.
    pub operator_key_file: Option<PathBuf>,
    /// How a wallet is told who asks.
    pub client_id_prefix: ClientIdPrefix,
    /// How a wallet answers.
    pub response_mode: ResponseMode,
    /// The language in which a registration is printed, instead of running the shop.
    pub registration: Option<String>,
}

/// What the command line asks for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Command {
    /// To run the shop.
    Serve(Box<Args>),
    /// To say what there is.
    Help,
}

/// Why the flags cannot be followed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ArgsError {
    /// A flag that does not exist.
    Unknown(String),
    /// A flag with nothing behind it.
    NoValue(&'static str),
    /// A flag given twice.
    Twice(&'static str),
    /// A value that cannot be used, and what would do.
    Value {
        /// The flag.
        flag: &'static str,
        /// What stood behind it.
        value: String,
        /// What is expected there.
        expected: &'static str,
    },
    /// An account that is none.
    Account(SepaError),
    /// Keys, and no account, or half of one: real customers would be asked to pay to an example.
    AccountNeeded,
    /// An origin off this machine, without keys.
    KeysNeeded(Url),
    /// An address that others reach, without keys.
    OthersListen(SocketAddr),
}

impl fmt::Display for ArgsError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unknown(flag) => write!(f, "there is no flag {flag:?}; `storefront --help` lists them"),
            Self::NoValue(flag) => write!(f, "{flag} needs a value"),
            Self::Twice(flag) => write!(f, "{flag} is given twice"),
            Self::Value { flag, value, expected } => write!(f, "{flag} is {value:?}, but should be {expected}"),
            Self::Account(error) => write!(f, "the account of --sepa-payee and --sepa-iban: {error}"),
            Self::AccountNeeded => f.write_str(
                "--sepa-payee and --sepa-iban belong together, and with --keys the shop is a real one and needs them",
            ),
            Self::KeysNeeded(origin) => {
                write!(f, "{origin} is not this machine, so --keys FILE is needed (`firsthand keys` makes one)")
            }
            Self::OthersListen(address) => write!(
                f,
                "others reach {address}, and without --keys FILE this is a development shop with a wallet that anybody \
                 may use: listen on 127.0.0.1, or give it keys (`firsthand keys` makes them)"
            ),
        }
    }
}

impl std::error::Error for ArgsError {}

const FLAGS: [&str; 12] = [
    "--listen",
    "--origin",
    "--data",
    "--store",
    "--trust",
    "--keys",
    "--sepa-payee",
    "--sepa-iban",
    "--operator-key-file",
    "--client-id-prefix",
    "--response-mode",
    "--registration",
];

/// The account of a demonstration: the example of the German banks, which belongs to nobody.
const EXAMPLE_ACCOUNT: (&str, &str) = ("Blatt und Rebe", "DE89370400440532013000");

impl Command {
    /// Reads the arguments that follow the program's name; both `--flag VALUE` and `--flag=VALUE` are understood.
    ///
    /// # Errors
    /// The first thing that is wrong with them.
    pub fn parse(args: impl IntoIterator<Item = String>) -> Result<Self, ArgsError> {
        let mut given: Vec<(&'static str, String)> = Vec::new();
        let mut args = args.into_iter();
        while let Some(arg) = args.next() {
            if arg == "--help" || arg == "-h" {
                return Ok(Self::Help);
            }
            let (name, value) = match arg.split_once('=') {
                Some((name, value)) => (name, Some(value.to_owned())),
                None => (arg.as_str(), None),
            };
            let Some(flag) = FLAGS.into_iter().find(|flag| *flag == name) else { return Err(ArgsError::Unknown(arg)) };
            let value = value.or_else(|| args.next()).filter(|value| !value.is_empty() && !value.starts_with("--"));
            let value = value.ok_or(ArgsError::NoValue(flag))?;
            if given.iter().any(|(seen, _)| *seen == flag) {
                return Err(ArgsError::Twice(flag));
            }
            given.push((flag, value));
        }
        Ok(Self::Serve(Box::new(Args::from_given(&given)?)))
    }
}

impl Args {
    fn from_given(given: &[(&'static str, String)]) -> Result<Self, ArgsError> {
        let value = |flag: &str| given.iter().find(|(seen, _)| *seen == flag).map(|(_, value)| value.clone());
        let listen = match value("--listen") {
            Some(value) => address(value)?,
            None => SocketAddr::from(([127, 0, 0, 1], 8080)),
        };
        let origin = match value("--origin") {
            Some(value) => origin(value)?,
            None => origin(format!("http://localhost:{}", listen.port()))?,
        };
        let keys = value("--keys").map(PathBuf::from);
        if keys.is_none() && !is_this_machine(&origin) {
            return Err(ArgsError::KeysNeeded(origin));
        }
        if keys.is_none() && !listen.ip().to_canonical().is_loopback() {
            return Err(ArgsError::OthersListen(listen));
        }
        let account = (value("--sepa-payee"), value("--sepa-iban"));
        let (sepa_payee, sepa_iban) = match account {
            (Some(payee), Some(iban)) => (payee, iban),
            (None, None) if keys.is_none() => (EXAMPLE_ACCOUNT.0.to_owned(), EXAMPLE_ACCOUNT.1.to_owned()),
            _ => return Err(ArgsError::AccountNeeded),
        };
        if let Err(error) = Sepa::new(&sepa_payee, &sepa_iban) {
            return Err(ArgsError::Account(error));
        }
        Ok(Self {
            listen,
            origin,
            data: value("--data").unwrap_or_else(|| "storefront-data".to_owned()).into(),
            store: value("--store").map(store).transpose()?,
            trust: value("--trust").map(PathBuf::from),
            keys,
            sepa_payee,
            sepa_iban,
            operator_key_file: value("--operator-key-file").map(PathBuf::from),
            client_id_prefix: value("--client-id-prefix").map(client_id_prefix).transpose()?.unwrap_or_default(),
            response_mode: value("--response-mode").map(response_mode).transpose()?.unwrap_or_default(),
            registration: value("--registration"),
        })
    }
}

fn address(value: String) -> Result<SocketAddr, ArgsError> {
    let resolved = value.to_socket_addrs().ok().and_then(|mut addresses| addresses.next());
    resolved.ok_or(ArgsError::Value {
        flag: "--listen",
        value,
        expected: "an address and a port, such as 127.0.0.1:8080",
    })
}

fn origin(value: String) -> Result<Url, ArgsError> {
    let origin = Url::parse(&value).ok().filter(|url| {
        let bare = url.path() == "/" && url.query().is_none() && url.fragment().is_none();
        matches!(url.scheme(), "http" | "https")
            && bare
            && url.username().is_empty()
            && url.password().is_none()
            && (url.scheme() == "https" || is_this_machine(url))
    });
    origin.ok_or(ArgsError::Value {
        flag: "--origin",
        value,
        expected: "https://HOST, or http://localhost:PORT on this machine, without a path",
    })
}

fn is_this_machine(url: &Url) -> bool {
    match url.host() {
        Some(url::Host::Domain(name)) => name == "localhost" || name.ends_with(".localhost"),
        Some(url::Host::Ipv4(address)) => address.is_loopback(),
        Some(url::Host::Ipv6(address)) => address.is_loopback(),
        None => false,
    }
}

fn store(value: String) -> Result<String, ArgsError> {
    if ["sqlite:", "postgres:", "postgresql:"].iter().any(|scheme| value.starts_with(scheme)) {
        return Ok(value);
    }
    // A connection URL may hold a password: it is not repeated.
    Err(ArgsError::Value {
        flag: "--store",
        value: "...".to_owned(),
        expected: "sqlite:FILE or postgres://USER@HOST/NAME",
    })
}

fn client_id_prefix(value: String) -> Result<ClientIdPrefix, ArgsError> {
    match value.as_str() {
        "x509_hash" => Ok(ClientIdPrefix::X509Hash),
        "x509_san_dns" => Ok(ClientIdPrefix::X509SanDns),
        "decentralized_identifier" => Ok(ClientIdPrefix::DecentralizedIdentifier),
        "redirect_uri" => Ok(ClientIdPrefix::RedirectUri),
        _ => Err(ArgsError::Value {
            flag: "--client-id-prefix",
            value,
            expected: "x509_hash, x509_san_dns, decentralized_identifier or redirect_uri",
        }),
    }
}

fn response_mode(value: String) -> Result<ResponseMode, ArgsError> {
    match value.as_str() {
        "direct_post.jwt" => Ok(ResponseMode::DirectPostJwt),
        "direct_post" => Ok(ResponseMode::DirectPost),
        _ => Err(ArgsError::Value { flag: "--response-mode", value, expected: "direct_post.jwt or direct_post" }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(line: &str) -> Result<Command, ArgsError> {
        Command::parse(line.split_whitespace().map(str::to_owned))
    }

    fn args(line: &str) -> Args {
        match parse(line) {
            Ok(Command::Serve(args)) => *args,
            other => panic!("{line}: {other:?}"),
        }
    }

    #[test]
    fn without_flags_it_serves_this_machine() {
        let args = args("");
        assert_eq!(args.listen.to_string(), "127.0.0.1:8080");
        assert_eq!(args.origin.as_str(), "http://localhost:8080/");
        assert_eq!((args.store, args.trust, args.keys, args.operator_key_file), (None, None, None, None));
        assert_eq!((args.sepa_payee.as_str(), args.sepa_iban.as_str()), EXAMPLE_ACCOUNT);
        assert_eq!(args.client_id_prefix, ClientIdPrefix::X509Hash);
        assert_eq!(args.response_mode, ResponseMode::DirectPostJwt);
    }

    #[test]
    fn every_flag_is_read_in_both_ways_of_writing() {
        let spaced = args(
            "--listen 0.0.0.0:9000 --origin https://shop.example --data /var/lib/shop --store postgres://shop@db/shop \
             --trust issuers --keys merchant.pem --sepa-payee Blatt --sepa-iban DE89370400440532013000 \
             --operator-key-file desk.key --client-id-prefix x509_san_dns --response-mode direct_post",
        );
        assert_eq!(
            spaced,
            args(
                "--listen=0.0.0.0:9000 --origin=https://shop.example --data=/var/lib/shop --store=postgres://shop@db/shop \
                 --trust=issuers --keys=merchant.pem --sepa-payee=Blatt --sepa-iban=DE89370400440532013000 \
                 --operator-key-file=desk.key --client-id-prefix=x509_san_dns --response-mode=direct_post",
            )
        );
        assert_eq!(spaced.origin.as_str(), "https://shop.example/");
        assert_eq!(spaced.store.as_deref(), Some("postgres://shop@db/shop"));
        assert_eq!((spaced.sepa_payee.as_str(), spaced.sepa_iban.as_str()), ("Blatt", "DE89370400440532013000"));
        assert_eq!(spaced.operator_key_file, Some(PathBuf::from("desk.key")));
    }

    #[test]
    fn the_origin_follows_the_port() {
        assert_eq!(args("--listen 127.0.0.1:9001").origin.as_str(), "http://localhost:9001/");
        assert_eq!(args("--origin http://127.0.0.1:9001").origin.as_str(), "http://127.0.0.1:9001/");
        assert_eq!(args("--listen [::1]:9001").origin.as_str(), "http://localhost:9001/");
        assert_eq!(args("--origin http://[::1]:9001").origin.as_str(), "http://[::1]:9001/");
    }

    #[test]
    fn what_cannot_be_followed_is_said() {
        for (line, said) in [
            ("--prot 1", "there is no flag \"--prot\""),
            ("shop", "there is no flag \"shop\""),
            ("--listen", "--listen needs a value"),
            ("--listen --origin", "--listen needs a value"),
            ("--data=", "--data needs a value"),
            ("--data a --data b", "--data is given twice"),
            ("--listen here", "--listen is \"here\", but should be an address"),
            ("--origin shop.example", "--origin is \"shop.example\""),
            ("--origin http://shop.example", "--origin is \"http://shop.example\", but should be https://HOST"),
            ("--origin https://shop.example/path", "without a path"),
            ("--origin https://u@shop.example", "without a path"),
            ("--origin https://shop.example", "--keys FILE is needed"),
            ("--listen 0.0.0.0:8080", "others reach 0.0.0.0:8080"),
            ("--listen [::]:8080", "listen on 127.0.0.1"),
            ("--store mysql://u:secret@h/d", "--store is \"...\""),
            ("--keys merchant.pem", "needs them"),
            ("--sepa-payee Blatt", "belong together"),
            ("--keys merchant.pem --sepa-iban DE89370400440532013000", "belong together"),
            ("--sepa-payee Blatt --sepa-iban DE89370400440532013001", "the account of --sepa-payee and --sepa-iban"),
            ("--client-id-prefix did", "x509_hash, x509_san_dns, decentralized_identifier or redirect_uri"),
            ("--response-mode fragment", "direct_post.jwt or direct_post"),
        ] {
            let error = parse(line).expect_err(line).to_string();
            assert!(error.contains(said), "{line}: {error}");
            assert!(!error.contains("secret"), "{error}");
        }
    }

    #[test]
    fn help_wins() {
        assert_eq!(parse("--data a --help --nonsense"), Ok(Command::Help));
        for flag in FLAGS {
            assert!(HELP.contains(flag), "{flag}");
        }
    }
}
