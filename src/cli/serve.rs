//! `sems serve`: start, signals, stop.

use std::{
    io::Write,
    path::{Path, PathBuf},
};

use sems_app::Plugin;
use sems_core::{Server, config::Config};
use sems_store::{AccountSeed, Store};
use sems_web::{State, Token};
use tokio::{
    net::TcpListener,
    signal::unix::{Signal, SignalKind, signal},
    sync::oneshot,
};
use tracing_subscriber::EnvFilter;

use super::{Failure, configuration, demo, seed};

/// Serves until SIGTERM or SIGINT.
pub(crate) fn run(file: Option<PathBuf>, plugins: &'static [Plugin]) -> Result<(), Failure> {
    let config = configuration(file.as_ref(), plugins)?;
    let filter = EnvFilter::builder().parse_lossy(&config.log.level);
    // Colours are for people: a file or a journal gets plain text.
    let colours = std::io::IsTerminal::is_terminal(&std::io::stderr());
    tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr).with_ansi(colours).init();
    for warning in &config.warnings {
        tracing::warn!("{warning}");
    }
    // Dependencies bring two providers of cryptography; whoever asks first would decide.
    if rustls::crypto::ring::default_provider().install_default().is_err() {
        tracing::warn!("another provider of cryptography was installed first");
    }
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .map_err(Failure::io("cannot start the runtime"))?;
    runtime.block_on(serve(file, config, plugins))
}

async fn serve(file: Option<PathBuf>, config: Config, plugins: &[Plugin]) -> Result<(), Failure> {
    // Before anything that takes long: a signal that comes early is not lost.
    let mut signals = Signals::new().map_err(Failure::io("cannot listen to signals"))?;
    let demo_path = config.below_data_dir("demo-accounts.txt");
    let (store, demo) = open_store(&config, &demo_path).await?;
    let http = TcpListener::bind(config.http.listen)
        .await
        .map_err(Failure::io(format!("http.listen: cannot listen on {}", config.http.listen)))?;
    let http_address = http.local_addr().map_err(Failure::io("http"))?;
    let path = config.below_data_dir("api.token");
    let token = Token::open(&path).map_err(Failure::io(path.display().to_string()))?;

    let server = Server::start(config, store.clone(), plugins).await?;
    let ready = server.ready_line();
    if let Some(accounts) = demo {
        tell_of(&accounts, &ready, &demo_path)?;
    }
    let (stop_http, http_stopped) = oneshot::channel::<()>();
    let state = State::new(server.snapshots(), token);
    let web = tokio::spawn(sems_web::serve(http, state, async {
        // A dropped sender stops it as well.
        let _ = http_stopped.await;
    }));
    // Whoever started us may have closed its end after all.
    let _ = writeln!(std::io::stdout(), "{ready} http={http_address}");

    while signals.next().await == Wish::Reload {
        reload(&server, &store, file.as_ref(), plugins).await;
    }
    tracing::info!("stopping: no new calls, those in progress may end");
    server.stop(async move { while signals.next().await == Wish::Reload {} }).await;
    drop(stop_http);
    web.abort();
    Ok(())
}

/// Opens the store, delivers what a crash left behind, and seeds the accounts: those of the configuration, or
/// else demo accounts, which are returned, where there are none at all.
async fn open_store(config: &Config, demo_path: &Path) -> Result<(Store, Option<Vec<AccountSeed>>), Failure> {
    let store = Store::open(seed::store(config)).await?;
    store.recover(seed::least_message(config)).await?;
    let wanted = seed::accounts(config);
    if !wanted.is_empty() || !store.accounts().await?.is_empty() {
        store.seed_accounts(&wanted).await?;
        if wanted.is_empty() && demo_path.exists() {
            tracing::info!("the demo accounts and what to dial are in {}", demo_path.display());
        }
        return Ok((store, None));
    }
    let domain = config.server.domains.first().map_or("localhost", String::as_str);
    let demo = demo::accounts(domain);
    // The store keeps no secrets: a start that fails after this must not have taken them with it.
    let listeners: Vec<String> = config.sip.listen.iter().map(ToString::to_string).collect();
    keep(&demo, &listeners.join(", "), demo_path)?;
    store.seed_accounts(&demo).await?;
    Ok((store, Some(demo)))
}

fn tell_of(accounts: &[AccountSeed], ready: &str, path: &Path) -> Result<(), Failure> {
    let listeners: Vec<&str> = ready.split(' ').filter_map(|pair| pair.strip_prefix("sip=")).collect();
    let text = keep(accounts, &listeners.join(", "), path)?;
    eprintln!("{text}\nThis is also in {}.", path.display());
    Ok(())
}

/// Writes down the demo accounts, and returns what was written.
fn keep(accounts: &[AccountSeed], listeners: &str, path: &Path) -> Result<String, Failure> {
    let text = demo::text(accounts, listeners);
    demo::write(path, &text).map_err(Failure::io(path.display().to_string()))?;
    Ok(text)
}

/// Takes over what may change in a running server; a broken file changes nothing.
async fn reload(server: &Server, store: &Store, file: Option<&PathBuf>, plugins: &[Plugin]) {
    let config = match configuration(file, plugins) {
        Ok(config) => config,
        Err(faults) => {
            for fault in faults.0 {
                tracing::error!("the configuration stays as it was: {fault}");
            }
            return;
        }
    };
    for warning in &config.warnings {
        tracing::warn!("{warning}");
    }
    if let Err(error) = store.seed_accounts(&seed::accounts(&config)).await {
        tracing::error!("the accounts stay as they were: {error}");
    }
    match server.reload(config).await {
        Ok(()) => tracing::info!("routes, accounts and certificates were read anew"),
        Err(error) => tracing::error!("the configuration stays as it was: {error}"),
    }
}

/// What a signal asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Wish {
    Stop,
    Reload,
}

struct Signals {
    terminate: Signal,
    interrupt: Signal,
    hang_up: Signal,
}

impl Signals {
    fn new() -> std::io::Result<Self> {
        Ok(Self {
            terminate: signal(SignalKind::terminate())?,
            interrupt: signal(SignalKind::interrupt())?,
            hang_up: signal(SignalKind::hangup())?,
        })
    }

    async fn next(&mut self) -> Wish {
        tokio::select! {
            _ = self.terminate.recv() => Wish::Stop,
            _ = self.interrupt.recv() => Wish::Stop,
            _ = self.hang_up.recv() => Wish::Reload,
        }
    }
}
