//! `taospg-bench`: loads generated device data into a system, asks it questions, and says how fast and at what cost.
//!
//!     load    one load, on one way, into one system
//!     query   questions to what was loaded
//!     mixed   both at once, at rates that do not wait
//!     run     the short or the full comparison of all systems that are installed (`make bench`, `make bench-full`)
//!     fleet   very many devices: memory, questions, start-up, kill -9 in the middle of a load
//!     gate    CPU seconds beside a recorded baseline (`make bench-gate`)
//!     data    generated rows as text, for other tools
//!
//! `data/` says what rows there are, `dialects/` how a system is spoken to, `docs/benchmarks.md` what came out.

mod answers;
mod ask;
mod data;
mod dialect;
mod embedded;
mod encode;
mod fleet;
mod gate;
mod histogram;
mod load;
mod mixed;
mod one;
mod process;
mod progress;
mod queries;
mod random;
mod report;
mod run;
mod start;
mod system;
mod time;
mod wire;

use clap::{Parser, Subcommand};

pub type Error = Box<dyn std::error::Error + Send + Sync>;
pub type Result<T> = std::result::Result<T, Error>;

#[derive(Parser)]
#[command(
    name = "taospg-bench",
    about = "Loads generated device data, asks questions of it, and measures both",
    version
)]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Loads generated rows and counts them
    Load(Box<one::LoadArguments>),
    /// Asks questions of loaded rows
    Query(Box<one::QueryArguments>),
    /// Loads and asks at once, at fixed rates
    Mixed(Box<one::MixedArguments>),
    /// Compares all systems that are installed
    Run(Box<run::Arguments>),
    /// Makes very many devices, asks about them, starts and kills the server
    Fleet(Box<fleet::Arguments>),
    /// Compares the server's CPU seconds with a recorded baseline
    Gate(Box<gate::Arguments>),
    /// Prints generated rows as COPY text
    Data(Box<one::DataArguments>),
}

#[tokio::main(flavor = "multi_thread", worker_threads = 2)]
async fn main() -> std::process::ExitCode {
    let outcome = match Arguments::parse().command {
        Command::Load(arguments) => one::load(&arguments).await,
        Command::Query(arguments) => one::query(&arguments).await,
        Command::Mixed(arguments) => one::mixed(&arguments).await,
        Command::Run(arguments) => run::run(&arguments).await,
        Command::Fleet(arguments) => fleet::fleet(&arguments).await,
        Command::Gate(arguments) => gate::gate(&arguments).await,
        Command::Data(arguments) => one::data(&arguments),
    };
    match outcome {
        Ok(()) => std::process::ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("taospg-bench: {error}");
            std::process::ExitCode::FAILURE
        }
    }
}
