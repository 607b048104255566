//! A PgBouncer for the tests, which lends each connection for one transaction; and a way to a server that counts how often
//! who goes it waits for an answer.

use std::{
    env,
    io::{BufRead, BufReader},
    path::Path,
    process::{Child, Stdio},
    str::FromStr,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
};

use sqlx::postgres::PgConnectOptions;
use tokio::{
    io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt},
    net::{TcpListener, TcpStream, UnixStream},
};

use crate::postgres::as_nobody_special;

/// How many connections to the server there are for each database: few, so that they change hands.
pub const SERVERS: usize = 4;

/// A running PgBouncer in front of one PostgreSQL.
#[derive(Debug)]
pub struct Pooler {
    folder: String,
    /// Ends when this process does, as PostgreSQL's own keeper.
    _keeper: Child,
}

/// A PgBouncer in front of the server of `url`. `None` if it is not installed: say what was left out with
/// [`pooler_left_out`].
pub fn pooler(url: &str) -> Option<Pooler> {
    let program = ["/usr/sbin/pgbouncer", "/usr/bin/pgbouncer", "/usr/local/bin/pgbouncer"];
    let program = program.into_iter().find(|path| Path::new(path).is_file())?;
    let server = PgConnectOptions::from_str(url).unwrap();
    let host = server.get_socket().map_or_else(|| server.get_host().to_owned(), |path| path.display().to_string());
    let password = url::Url::parse(url).unwrap().password().map(|word| format!(" password={word}")).unwrap_or_default();
    let server = format!("host={host} port={} user={}{password}", server.get_port(), server.get_username());
    let mut keeper = as_nobody_special()
        .args(["sh", "-c", KEEPER, "pgbouncer", program, &server, &SERVERS.to_string()])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .current_dir("/")
        .spawn()
        .expect("a shell starts");
    let mut folder = String::new();
    BufReader::new(keeper.stdout.take().unwrap()).read_line(&mut folder).unwrap();
    assert!(!folder.trim().is_empty(), "{program} does not start: see above");
    Some(Pooler { folder: folder.trim().to_owned(), _keeper: keeper })
}

/// Prints that a test was left out because PgBouncer is not installed; fails where `CI=true`.
pub fn pooler_left_out(what: &str) {
    println!("left out, for PgBouncer is not installed: {what}");
    assert_ne!(env::var("CI").as_deref(), Ok("true"), "PgBouncer must be installed here: {what} was left out");
}

impl Pooler {
    /// The URL of the same database through the pooler.
    pub fn to(&self, url: &str) -> String {
        let name = PgConnectOptions::from_str(url).unwrap().get_database().unwrap().to_owned();
        format!("postgres://shop@localhost:6432/{name}?host={}", self.folder)
    }
}

/// Starts a pooler, tells its folder, waits until its input ends, and stops it.
const KEEPER: &str = r#"
trap '' INT HUP
dir=$(mktemp -d /tmp/firsthand-pgbouncer-XXXXXX) || exit 1
trap 'rm -rf "$dir"' EXIT
cat >"$dir/pgbouncer.ini" <<END
[databases]
* = $2
[pgbouncer]
pool_mode = transaction
listen_addr =
listen_port = 6432
unix_socket_dir = $dir
auth_type = any
default_pool_size = $3
max_client_conn = 500
server_idle_timeout = 2
logfile = $dir/log
END
"$1" -q "$dir/pgbouncer.ini" </dev/null >"$dir/out" 2>&1 &
pooler=$!
tries=0
until [ -S "$dir/.s.PGSQL.6432" ]; do
    tries=$((tries + 1))
    if [ $tries -gt 100 ] || ! kill -0 $pooler 2>/dev/null; then cat "$dir/out" "$dir/log" >&2; exit 1; fi
    sleep 0.1
done
echo "$dir"
cat >/dev/null
kill $pooler
wait $pooler
"#;

/// A way to a server that counts the round trips of all who go it.
#[derive(Debug)]
pub struct Counter {
    url: String,
    trips: Arc<AtomicU64>,
}

impl Counter {
    /// In front of whatever `url` leads to.
    pub async fn before(url: &str) -> Self {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
        let (port, trips) = (listener.local_addr().unwrap().port(), Arc::<AtomicU64>::default());
        let there = PgConnectOptions::from_str(url).unwrap();
        let counted = trips.clone();
        let name = there.get_database().unwrap().to_owned();
        let user = there.get_username().to_owned();
        tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                client.set_nodelay(true).unwrap();
                let (trips, port) = (counted.clone(), there.get_port());
                match there.get_socket() {
                    Some(folder) => {
                        let server = UnixStream::connect(folder.join(format!(".s.PGSQL.{port}"))).await.unwrap();
                        tokio::spawn(count(client, server, trips));
                    }
                    None => {
                        let server = TcpStream::connect((there.get_host(), port)).await.unwrap();
                        server.set_nodelay(true).unwrap();
                        tokio::spawn(count(client, server, trips));
                    }
                }
            }
        });
        Self { url: format!("postgres://{user}@127.0.0.1:{port}/{name}?sslmode=disable"), trips }
    }

    /// The URL of the way that is counted.
    pub fn url(&self) -> &str {
        &self.url
    }

    /// How many round trips there were since this was last asked.
    pub fn trips(&self) -> u64 {
        self.trips.swap(0, Ordering::SeqCst)
    }
}

/// Passes on what two say to each other. A round trip begins where the client speaks after it was answered.
async fn count(client: TcpStream, server: impl AsyncRead + AsyncWrite + Unpin, trips: Arc<AtomicU64>) {
    let answered = AtomicBool::new(true);
    let (mut from_client, mut to_client) = client.into_split();
    let (mut from_server, mut to_server) = tokio::io::split(server);
    let asking = async {
        let mut bytes = [0; 16 * 1024];
        while let Ok(count @ 1..) = from_client.read(&mut bytes).await {
            if answered.swap(false, Ordering::SeqCst) {
                trips.fetch_add(1, Ordering::SeqCst);
            }
            if to_server.write_all(&bytes[..count]).await.is_err() {
                break;
            }
        }
    };
    let answering = async {
        let mut bytes = [0; 16 * 1024];
        while let Ok(count @ 1..) = from_server.read(&mut bytes).await {
            answered.store(true, Ordering::SeqCst);
            if to_client.write_all(&bytes[..count]).await.is_err() {
                break;
            }
        }
    };
    tokio::select! {
        () = asking => {}
        () = answering => {}
    }
}
