//! Taospg: a time-series database server that speaks PostgreSQL.
//!
//! ```text
//! socket -> wire -> frame -> connection -> session (crate query)
//!                               |               |
//! socket <- wire <- output <- encode <- rows <-+
//! ```
//! `config` says how it runs, `listener` takes connections, `startup` opens their sessions after `authentication` and `tls`, `connection`, `extended`, `rows` and `copy` speak
//! the protocol, `encode` writes values, `cancel`, `interrupts` and `shutdown` end things early. Only this crate knows the wire.

mod authentication;
mod cancel;
mod config;
mod connection;
mod copy;
mod data_dir;
mod defects;
mod encode;
mod extended;
mod failure;
mod frame;
mod init;
mod interrupts;
mod listener;
mod output;
mod reload;
mod rows;
mod shutdown;
mod sqlstate;
mod startup;
#[cfg(test)]
mod tests;
mod tls;
mod wire;
mod workers;

use std::fs::OpenOptions;
use std::io::Write as _;
use std::process::ExitCode;
use std::sync::Arc;

use clap::Parser as _;
use taospg_query::access::audit;
use taospg_query::{Engine, EngineOptions};
use tracing::Metadata;
use tracing_subscriber::filter::{EnvFilter, FilterExt as _, filter_fn};
use tracing_subscriber::layer::{Layer as _, SubscriberExt as _};
use tracing_subscriber::util::SubscriberInitExt as _;

use crate::authentication::Doorkeeper;
use crate::config::{Action, Flags, LogFormat, Settings};
use crate::listener::Front;
use crate::startup::Door;
use crate::tls::Tls;

fn main() -> ExitCode {
    let flags = Flags::parse();
    match run(&flags) {
        Ok(()) => ExitCode::SUCCESS,
        Err(message) => {
            eprintln!("taospg: {message}");
            ExitCode::FAILURE
        }
    }
}

/// Runs until a signal. The error is a sentence for the user.
fn run(flags: &Flags) -> Result<(), String> {
    let settings = Settings::load(flags)?;
    if flags.command.is_none() {
        start_log(&settings)?;
    }
    let runtime = workers::start().map_err(|error| format!("cannot start threads: {error}"))?;
    match &flags.command {
        None => runtime.block_on(serve(settings, flags.clone())),
        Some(Action::Init(options)) => runtime.block_on(init::init(&settings, options)),
    }
}

async fn serve(settings: Settings, flags: Flags) -> Result<(), String> {
    tracing::info!(
        version = env!("CARGO_PKG_VERSION"),
        data_dir = %settings.data_dir.display(),
        "starting"
    );
    // The port first: it costs nothing, and opening the data may take a while.
    let listener = listener::bind(&settings.listen).await?;
    let _lock = data_dir::lock(&settings.data_dir)?;
    let engine = Engine::open(engine_options(&settings)).map_err(|error| {
        format!(
            "cannot open the data directory \"{}\": {error}",
            settings.data_dir.display()
        )
    })?;
    let address = listener
        .local_addr()
        .map_err(|error| format!("cannot tell the port: {error}"))?;
    if let Some(password) = &settings.password
        && !engine.first_role_has_password()
    {
        let set = engine.set_first_password(password);
        set.map_err(|error| format!("cannot take up TAOS_PASSWORD: {error}"))?;
        tracing::info!("superuser postgres has the password of TAOS_PASSWORD");
    }
    listener::check_reach(address, &engine)?;
    let tls = load_tls(&settings)?;
    if let Some(tls) = &tls {
        tokio::spawn(tls.clone().watch());
    }
    let door = Arc::new(Door {
        keeper: Doorkeeper::new(settings.authentication.clone()),
        tls,
    });
    tokio::spawn(reload::watch(flags, engine.clone(), door.clone()));
    tracing::info!(%address, "ready for connections");
    // For scripts that asked for port 0. Nobody may be reading, which is no reason to stop.
    let _ = writeln!(std::io::stdout(), "listening on {address}");

    let max_message = usize::try_from(settings.max_message).unwrap_or(usize::MAX);
    let front = Arc::new(Front::new(engine.clone(), door, settings.max_connections, max_message));
    let stop = async {
        match shutdown::wait_for_signal().await {
            Ok(()) => tracing::info!("stopping"),
            Err(error) => {
                tracing::error!(%error, "cannot wait for signals: only SIGKILL will stop this server");
                std::future::pending::<()>().await;
            }
        }
    };
    listener::serve(listener, front, stop).await;
    engine
        .close()
        .await
        .map_err(|error| format!("cannot close the data directory: {error}"))?;
    tracing::info!("stopped");
    Ok(())
}

fn engine_options(settings: &Settings) -> EngineOptions {
    let memory = |bytes: u64| usize::try_from(bytes).unwrap_or(usize::MAX);
    EngineOptions {
        data_dir: settings.data_dir.clone(),
        memtable_bytes: memory(settings.memtable),
        memtables_bytes_max: memory(settings.memtables_max),
        query_memory_bytes: memory(settings.query_memory),
        temporary_bytes: memory(settings.temporary_tables),
        database_defaults: settings.database_defaults(),
    }
}

/// Certificate and key, where both are set.
fn load_tls(settings: &Settings) -> Result<Option<Arc<Tls>>, String> {
    match (settings.tls_certificate.as_os_str(), settings.tls_key.as_os_str()) {
        (certificate, key) if certificate.is_empty() && key.is_empty() => Ok(None),
        (certificate, key) if certificate.is_empty() || key.is_empty() => {
            Err("settings tls_certificate and tls_key go together: one of them is missing".into())
        }
        _ => Tls::load(&settings.tls_certificate, &settings.tls_key).map(|tls| Some(Arc::new(tls))),
    }
}

fn start_log(settings: &Settings) -> Result<(), String> {
    let filter = EnvFilter::builder()
        .parse(&settings.log_level)
        .map_err(|error| format!("setting log_level: \"{}\": {error}", settings.log_level))?;
    let is_audit = |metadata: &Metadata<'_>| metadata.target() == audit::TARGET;
    let (in_log, file) = match settings.audit_log.as_str() {
        "off" => (false, None),
        "log" => (true, None),
        path => {
            let file = OpenOptions::new().create(true).append(true).open(path);
            let file = file.map_err(|error| format!("cannot write audit log \"{path}\": {error}"))?;
            (false, Some(Arc::new(file)))
        }
    };
    let filter = filter.and(filter_fn(move |metadata| in_log || !is_audit(metadata)));
    let log = tracing_subscriber::fmt::layer().with_writer(std::io::stderr);
    let log = match settings.log_format {
        LogFormat::Json => log.json().with_filter(filter).boxed(),
        LogFormat::Text => log
            .with_ansi(std::io::IsTerminal::is_terminal(&std::io::stderr()))
            .with_filter(filter)
            .boxed(),
    };
    // One line of JSON for each event, whatever the log's level.
    let audit_log = file.map(|file| {
        let events = tracing_subscriber::fmt::layer()
            .json()
            .flatten_event(true)
            .with_writer(file);
        events.with_filter(filter_fn(is_audit))
    });
    tracing_subscriber::registry().with(log).with(audit_log).init();
    Ok(())
}
