//! LISTEN and NOTIFY between connections: told at commit, in order, to those of the database who listen.

use std::time::Duration;

use futures::{StreamExt, stream};
use integration_tests::Server;
use tokio::sync::mpsc;
use tokio_postgres::{AsyncMessage, Client, NoTls};

/// Long enough for a machine under load; nothing waits so long when all is well.
const PATIENCE: Duration = Duration::from_secs(30);

/// A client, and what is told to it as `channel payload`.
async fn listener(server: &Server) -> (Client, mpsc::UnboundedReceiver<String>) {
    let (client, mut connection) = tokio_postgres::connect(&server.dsn("postgres"), NoTls)
        .await
        .expect("a client connects");
    let (told, receiver) = mpsc::unbounded_channel();
    tokio::spawn(async move {
        let mut messages = stream::poll_fn(move |context| connection.poll_message(context));
        while let Some(Ok(message)) = messages.next().await {
            if let AsyncMessage::Notification(notification) = message {
                let _ = told.send(format!("{} {}", notification.channel(), notification.payload()));
            }
        }
    });
    (client, receiver)
}

async fn next(receiver: &mut mpsc::UnboundedReceiver<String>) -> String {
    let told = tokio::time::timeout(PATIENCE, receiver.recv()).await;
    told.expect("something is told").expect("the connection lives")
}

#[tokio::test]
async fn what_commits_is_told_to_those_who_listen() {
    let server = Server::start();
    let (client, mut told) = listener(&server).await;
    client.batch_execute("LISTEN devices").await.expect("a session listens");
    let teller = server.connect("postgres").await;
    // Rolled back, in another transaction's savepoint, and to a channel that nobody listens to: none of it arrives.
    teller
        .batch_execute("BEGIN; NOTIFY devices, 'taken back'; ROLLBACK")
        .await
        .expect("a transaction ends");
    teller
        .batch_execute("BEGIN; NOTIFY devices, 'first'; SAVEPOINT s; NOTIFY devices, 'undone'; ROLLBACK TO s; NOTIFY other; COMMIT")
        .await
        .expect("a transaction commits");
    teller
        .execute("SELECT pg_notify($1, $2)", &[&"devices", &"second"])
        .await
        .expect("a function tells");
    assert_eq!(next(&mut told).await, "devices first");
    assert_eq!(next(&mut told).await, "devices second");
    // A session that tells itself hears it; nothing comes after UNLISTEN.
    client.batch_execute("NOTIFY devices, 'own'").await.expect("it tells");
    assert_eq!(next(&mut told).await, "devices own");
    client
        .batch_execute("UNLISTEN devices")
        .await
        .expect("it stops listening");
    client.batch_execute("LISTEN \"end\"").await.expect("it listens again");
    teller
        .batch_execute("NOTIFY devices, 'late'; NOTIFY \"end\"")
        .await
        .expect("it tells");
    assert_eq!(next(&mut told).await, "end ");
    let long = format!("NOTIFY devices, '{}'", "x".repeat(8_000));
    let refused = teller.batch_execute(&long).await.expect_err("too long");
    assert_eq!(refused.code().map(|code| code.code()), Some("22023"));
}
